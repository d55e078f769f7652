"""A number is read alike in every locale, typed or pasted, with or without its unit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PyQt6.QtCore import QLocale, QSettings, Qt
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QAbstractSpinBox, QVBoxLayout, QWidget

from viewer.state.preferences import Preferences
from viewer.widgets.controls.value_spin import ValueSpin, may_become_number, parse_number
from viewer.widgets.panels.key_panel import KeyPanel
from viewer.widgets.panels.record_panel import RecordPanel
from viewer.widgets.panels.scene_dialog import SceneDialog
from viewer.window.main_window import MainWindow

LOCALES = ["en_US", "de_DE"]


@pytest.fixture(params=LOCALES)
def _locale(request):
    before = QLocale()
    QLocale.setDefault(QLocale(request.param))
    yield
    QLocale.setDefault(before)


@pytest.fixture
def make(qtbot):
    """Makes a field in a shown window that has the keyboard; beside it lies another widget."""

    windows = []  # qtbot alone would not keep them

    def make(low=-1000.0, high=1000.0, decimals=3, unit="", wraps=False):
        window = QWidget()
        qtbot.addWidget(window)
        windows.append(window)
        field = ValueSpin("Number", low, high, decimals, 1.0, unit)
        field.setWrapping(wraps)
        QVBoxLayout(window).addWidget(field)
        with qtbot.waitActive(window):
            window.show()
            window.activateWindow()
        field.show_value(30.0)
        field.setFocus()
        field.selectAll()
        return field

    return make


def enter(qtbot, field: ValueSpin, text: str, how: str) -> None:
    """Type a text letter by letter, or paste it, and press Enter."""
    if how == "typed":
        qtbot.keyClicks(field, text)
    else:
        clipboard = QGuiApplication.clipboard()
        assert clipboard is not None
        clipboard.setText(text)
        qtbot.keyClick(field, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(field, Qt.Key.Key_Return)


class TestParsing:
    @pytest.mark.parametrize(
        ("text", "unit", "value"),
        [
            ("4.5", "", 4.5),
            ("4,5", "", 4.5),
            ("1.234", "", 1.234),
            ("1,234", "", 1.234),
            (".5", "", 0.5),
            (",5", "", 0.5),
            ("7.", "", 7.0),
            ("-3,25", "", -3.25),
            ("\u22123.25", "", -3.25),
            ("+2", "", 2.0),
            (" 12 \n", "", 12.0),
            ("1\u202f234,5", "", 1234.5),
            ("1e-3", "", 0.001),
            ("45°", "°", 45.0),
            ("45 deg", "°", 45.0),
            ("45 Degrees", "°", 45.0),
            ("640 px", " px", 640.0),
            ("640px", " px", 640.0),
            ("640", " px", 640.0),
            ("2,5 s", " s", 2.5),
            ("2.5 seconds", " s", 2.5),
            ("50 %", " %", 50.0),
        ],
    )
    def test_what_is_a_number(self, text, unit, value):
        assert parse_number(text, unit) == value

    @pytest.mark.parametrize(
        "text", ["", " ", "-", ".", ",", "1.2.3", "1,234.5", "1.234,5", "x", "4 px", "nan", "1e999"]
    )
    def test_what_is_none(self, text):
        assert parse_number(text) is None

    @given(st.floats(-1e9, 1e9), st.sampled_from(["", "°", " px"]), st.booleans())
    def test_what_is_written_is_read(self, value, unit, comma):
        text = f"{value:.6f}".replace(".", "," if comma else ".")
        for typed in (text, text + unit):
            assert parse_number(typed, unit) == float(f"{value:.6f}")
            assert may_become_number(typed, unit)


@pytest.mark.usefixtures("_locale")
@pytest.mark.parametrize("how", ["typed", "pasted"])
class TestField:
    @pytest.mark.parametrize("text", ["4.5", "4,5", "4.5 °", "4,5deg", " 4.50"])
    def test_both_marks_and_the_unit(self, make, qtbot, how, text):
        field = make(unit="°")
        with qtbot.waitSignal(field.edited):
            enter(qtbot, field, text, how)
        assert field.value() == 4.5
        assert field.text() == "4.500°"

    def test_more_decimals_than_are_shown(self, make, qtbot, how):
        field = make(decimals=1)
        enter(qtbot, field, "4,5678", how)
        assert field.value() == 4.6

    def test_out_of_range_becomes_the_nearest(self, make, qtbot, how):
        field = make(low=1, high=170, unit="°")
        enter(qtbot, field, "500", how)
        assert field.value() == 170

    def test_an_angle_beyond_half_a_turn_is_the_same_angle(self, make, qtbot, how):
        field = make(low=-180, high=180, unit="°", wraps=True)
        enter(qtbot, field, "270", how)
        assert field.value() == -90

    @pytest.mark.parametrize("text", ["1.2.3", "1,234.5", "-"])
    def test_what_is_no_number_changes_nothing(self, make, qtbot, how, text):
        field = make()
        enter(qtbot, field, text, how)
        assert field.value() == 30.0
        assert field.text() == "30.000"


def test_a_first_click_chooses_the_number_and_a_second_a_place_in_it(make, qtbot):
    field = make()
    field.clearFocus()
    field.lineEdit().deselect()
    qtbot.mouseClick(field.lineEdit(), Qt.MouseButton.LeftButton)
    assert field.lineEdit().selectedText() == "30.000"
    qtbot.mouseClick(field.lineEdit(), Qt.MouseButton.LeftButton)
    assert field.lineEdit().selectedText() == ""


def test_every_number_of_the_window_is_such_a_field(qtbot, tmp_path):
    settings = QSettings(str(tmp_path / "s.ini"), QSettings.Format.IniFormat)
    window = MainWindow(Preferences(settings))
    for widget in (window, RecordPanel(window), KeyPanel(window), SceneDialog(window)):
        qtbot.addWidget(widget)
    fields = window.findChildren(QAbstractSpinBox)
    assert len(fields) > 15
    assert all(isinstance(field, ValueSpin) for field in fields)
