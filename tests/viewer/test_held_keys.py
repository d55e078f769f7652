"""The picture's keys work wherever no text is being edited, as a person finds the window."""

from __future__ import annotations

import pytest
from PyQt6.QtCore import QEvent, QPoint, QSettings, Qt
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QApplication, QScrollArea, QWidget

from viewer.state.preferences import Preferences
from viewer.widgets.controls.flat import FlatButton
from viewer.widgets.controls.value_spin import ValueSpin
from viewer.widgets.panels.panel_dock import PanelDock
from viewer.widgets.panels.record_panel import RecordPanel
from viewer.window.held_keys import edits_text
from viewer.window.main_window import MainWindow

pytestmark = pytest.mark.slow

HERE = Qt.FocusReason.MouseFocusReason


@pytest.fixture
def window(qtbot, tmp_path):
    settings = QSettings(str(tmp_path / "s.ini"), QSettings.Format.IniFormat)
    settings.setValue("hint_seen", True)
    window = MainWindow(Preferences(settings))
    qtbot.addWidget(window)
    window.resize(1600, 1000)
    with qtbot.waitActive(window):
        window.show()
        window.activateWindow()
    return window


def press(key: Qt.Key, text: str = "") -> None:
    """Press a key where the keyboard is, as the window system would."""
    send(QEvent.Type.KeyPress, key, text)


def release(key: Qt.Key, text: str = "") -> None:
    send(QEvent.Type.KeyRelease, key, text)


def send(kind: QEvent.Type, key: Qt.Key, text: str) -> None:
    receiver = QApplication.focusWidget() or QApplication.activeWindow()
    assert receiver is not None
    QApplication.sendEvent(receiver, QKeyEvent(kind, key, Qt.KeyboardModifier.NoModifier, text))


def flies(qtbot, window) -> bool:
    """Whether W flies ahead while it is held, and only so long."""
    told = []
    window.pane.flight_changed.connect(lambda *way: told.append(way))
    press(Qt.Key.Key_W, "w")
    release(Qt.Key.Key_W, "w")
    window.pane.flight_changed.disconnect()
    return told == [(0.0, 0.0, 1.0, False), (0.0, 0.0, 0.0, False)]


def orbits(window) -> bool:
    told = []
    window.pane.orbit_dragged.connect(lambda *way: told.append(way))
    press(Qt.Key.Key_Right)
    release(Qt.Key.Key_Right)
    window.pane.orbit_dragged.disconnect()
    return told == [(20.0, 0.0)]


def clicked(qtbot, widget: QWidget, at: QPoint) -> None:
    """Click with the focus that Qt gives to what is clicked."""
    below = widget.childAt(at) or widget
    qtbot.mouseClick(below, Qt.MouseButton.LeftButton, pos=below.mapFrom(widget, at))


def test_after_a_click_beside_the_controls_of_every_panel(window, qtbot):
    for dock in window.findChildren(PanelDock):
        dock.show()
        dock.raise_()
        area = dock.findChild(QScrollArea)
        contents = area.widget()
        for at in (QPoint(2, 2), QPoint(contents.width() // 2, contents.height() - 3)):
            clicked(qtbot, contents, at)
            where = f"after a click in {dock.windowTitle()}"
            assert orbits(window), where
            assert flies(qtbot, window), where


def test_after_a_click_on_anything_that_takes_the_keyboard_with_one(window, qtbot):
    """Labels whose text can be selected do, among others."""
    takers = [
        one
        for one in window.findChildren(QWidget)
        if one.focusPolicy() & Qt.FocusPolicy.ClickFocus
        and not edits_text(one)
        and one.isVisibleTo(window)
    ]
    assert len(takers) > 2
    for taker in takers:
        taker.setFocus(HERE)
        name = f"{type(taker).__name__} {taker.accessibleName()}"
        assert orbits(window), name
        assert flies(qtbot, window), name


def test_with_a_button_that_tab_has_reached(window, qtbot):
    button = window.findChild(RecordPanel) or window.compare.layers.findChildren(QWidget)[-1]
    button.setFocus(Qt.FocusReason.TabFocusReason)
    assert flies(qtbot, window)


def number(window) -> ValueSpin:
    """A field for a number that is in sight."""
    return next(one for one in window.findChildren(ValueSpin) if one.isVisible())


def test_not_while_a_number_is_typed(window, qtbot):
    field = number(window)
    field.setFocus(HERE)
    assert field.hasFocus()
    assert not flies(qtbot, window)
    assert not orbits(window)


def test_with_enter_a_number_is_typed(window, qtbot):
    field = number(window)
    field.setFocus(HERE)
    press(Qt.Key.Key_Return)
    assert flies(qtbot, window)
    assert orbits(window)


def test_a_click_on_anything_else_ends_the_typing(window, qtbot):
    field = number(window)
    others = [
        next(one for one in window.findChildren(FlatButton) if one.isVisible()),
        next(area for area in window.findChildren(QScrollArea) if area.isVisible()).widget(),
        window.compare.view,
    ]
    for other in others:
        field.setFocus(HERE)
        assert not flies(qtbot, window)
        qtbot.mouseClick(other, Qt.MouseButton.LeftButton, pos=other.rect().bottomRight())
        assert flies(qtbot, window), type(other).__name__
    field.setFocus(HERE)
    qtbot.mouseClick(field.lineEdit(), Qt.MouseButton.LeftButton)
    assert field.hasFocus()


def test_what_is_held_ends_where_text_begins(window, qtbot):
    window.pane.setFocus()
    press(Qt.Key.Key_W, "w")
    with qtbot.waitSignal(window.pane.flight_changed) as told:
        number(window).setFocus(HERE)
    assert told.args == [0.0, 0.0, 0.0, False]


def test_what_is_held_ends_with_the_window(window, qtbot):
    window.pane.clearFocus()
    press(Qt.Key.Key_W, "w")
    with qtbot.waitSignal(window.pane.flight_changed) as told:
        QApplication.sendEvent(window, QEvent(QEvent.Type.WindowDeactivate))
    assert told.args == [0.0, 0.0, 0.0, False]


def test_in_a_panel_that_floats(window, qtbot):
    dock = next(d for d in window.findChildren(PanelDock) if d.windowTitle() == "Performance")
    dock.setFloating(True)
    with qtbot.waitActive(dock):
        dock.show()
        dock.activateWindow()
    dock.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    dock.setFocus()
    assert flies(qtbot, window)
    dock.setFloating(False)
