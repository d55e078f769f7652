"""The choice of precision: groups, what each is, and why some cannot run here."""

from __future__ import annotations

import pytest
from PyQt6.QtCore import QSettings, Qt
from PyQt6.QtWidgets import QApplication, QLabel, QToolTip

from r2l_core.engines import backends
from r2l_core.types import Availability, Precision
from viewer.state.preferences import Preferences
from viewer.widgets import theme
from viewer.widgets.panels.precision_switch import PrecisionSegment
from viewer.widgets.theme import WIDEST_PX
from viewer.window.main_window import MainWindow

WHY = "this processor has no 8-bit dot products (VNNI), and torch finds no CUDA device"
SENTENCE = "This processor has no 8-bit dot products (VNNI), and torch finds no CUDA device."
OFFERS = {
    one: Availability(one is not Precision.INT8, WHY if one is Precision.INT8 else "")
    for one in Precision
}


@pytest.fixture
def chosen() -> list[Precision]:
    """What keys and the menu chose."""
    return []


@pytest.fixture
def window(qtbot, tmp_path, chosen):
    window = MainWindow(Preferences(QSettings(str(tmp_path / "s"), QSettings.Format.IniFormat)))
    qtbot.addWidget(window)
    window.offer_precisions(OFFERS, chosen.append)
    with qtbot.waitActive(window):
        window.show()
        window.activateWindow()
    return window


def segments(window) -> dict[Precision, PrecisionSegment]:
    return {one.precision: one for one in window.findChildren(PrecisionSegment)}


def group_of(window, precision: Precision) -> str:
    """The caption next above a segment."""
    segment = segments(window)[precision]
    y = segment.mapTo(window, segment.rect().topLeft()).y()
    names = ("Runs here", "Simulated", "Published recipes", "Not on this machine")
    captions = [one for one in window.findChildren(QLabel) if one.text() in names]
    above = [one for one in captions if one.mapTo(window, one.rect().bottomLeft()).y() < y]
    return max(above, key=lambda one: one.mapTo(window, one.rect().bottomLeft()).y()).text()


@pytest.mark.parametrize("size", [(1600, 1000), (1024, 640), (2560, 1440)])
def test_groups(window, qtbot, size):
    window.resize(*size)
    qtbot.wait(1)
    for precision, name in (
        (Precision.FP32, "Runs here"),
        (Precision.BF16, "Runs here"),
        (Precision.INT8_SIM, "Simulated"),
        (Precision.DYNAMIC_INT8_FAKE, "Published recipes"),
        (Precision.INT8, "Not on this machine"),
    ):
        assert group_of(window, precision) == name


def test_each_says_what_it_is_or_why_it_cannot_run(window):
    said = {one: seg.accessibleDescription() for one, seg in segments(window).items()}
    assert said[Precision.INT8] == SENTENCE
    assert all(said.values())
    assert len(set(said.values())) == len(said)
    assert not segments(window)[Precision.INT8].isEnabled()


def test_a_long_reason_has_room_for_all_its_lines(window):
    segment = segments(window)[Precision.INT8]
    free = segment.fontMetrics().height() * 2
    assert segment.heightForWidth(280) > segment.heightForWidth(360) - 1 > free
    assert segment.height() >= segment.heightForWidth(segment.width())


def test_its_key_says_why(window, qtbot, chosen):
    qtbot.keyClick(window.pane, Qt.Key.Key_6)
    assert not chosen
    shown = [one.text() for one in window.findChildren(QLabel) if one.isVisible()]
    assert "int8 cannot run here" in shown
    assert any(text.startswith(SENTENCE) for text in shown)
    qtbot.keyClick(window.pane, Qt.Key.Key_2)
    assert chosen == [Precision.BF16]


def test_reasons_of_engines_become_one_sentence(monkeypatch):
    reasons = {
        "cuda": "torch finds no CUDA device",
        "fused": "the fused engine has no such arithmetic",
        "openvino": "this processor has no 8-bit dot products (VNNI)",
        "torch": "the torch engine has no eight-bit arithmetic",
        "simulated": "this processor has no 8-bit dot products (VNNI)",
    }

    class Absent:
        def __init__(self, why: str) -> None:
            self.why = why

        def available(self, precision: Precision, device: str) -> Availability:
            return Availability(False, self.why)

    monkeypatch.setattr(backends, "ENGINES", {name: Absent(why) for name, why in reasons.items()})
    said = backends.availability(Precision.INT8).why_not
    assert said == "torch finds no CUDA device, and " + reasons["openvino"]
    one = backends.availability(Precision.INT8, "torch").why_not
    assert one == reasons["torch"]


@pytest.fixture
def _styled():
    app = QApplication.instance()
    before = app.style().name()
    theme.install(app)
    yield
    app.setStyle(before)


@pytest.mark.usefixtures("_styled")
def test_tooltips_wrap(window, qtbot):
    place = window.mapToGlobal(window.rect().center())
    for text in ("word " * 60, "other words " * 40):
        QToolTip.showText(place, text, window)
        (tip,) = (one for one in QApplication.topLevelWidgets() if one.inherits("QTipLabel"))
        assert tip.width() <= WIDEST_PX
        assert tip.height() > 3 * tip.fontMetrics().height()
    QToolTip.showText(place, "short", window)
    assert tip.height() < 2 * tip.fontMetrics().height()
    QToolTip.hideText()


def test_what_is_emulated_stands_with_the_simulated_and_says_so(window, qtbot):
    emulated = Availability(True, emulated=True)
    offers = {**OFFERS, Precision.FP16: emulated, Precision.INT8_SIM: emulated}
    window.offer_precisions(offers, str)
    qtbot.wait(1)
    assert group_of(window, Precision.FP16) == "Simulated"
    segment = segments(window)[Precision.FP16]
    assert segment.simulated
    assert segment.accessibleDescription() == "fp16 values in fp32"
    assert not segments(window)[Precision.BF16].simulated
    simulated = segments(window)[Precision.INT8_SIM]
    assert simulated.accessibleDescription() == "int8 computed in fp32"
