"""What is said of a picture on its way to exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtWidgets import QLabel

from r2l_core.geometry.camera import Camera
from r2l_core.render.frames import Frame, FrameTimings
from r2l_core.types import EngineInfo, Precision
from tests.viewer.find import words
from viewer.widgets.compare.compare_view import CompareView
from viewer.widgets.panels.performance_panel import PerformancePanel
from viewer.widgets.panels.performance_readout import PerformanceReadout
from viewer.widgets.picture.picture_footer import PictureFooter
from viewer.widgets.picture.refining import RefiningClock

CAMERA = Camera(np.eye(4), 60, 60, 80.0)
INFO = EngineInfo("torch", Precision.FP32, "cpu", "fp32", "fp32", "oneDNN", 1)


def frame(share: float, elapsed_ms: float, seq: int = 1, stride: int = 8) -> Frame:
    image = np.zeros((60, 60, 3), np.uint8)
    made = Frame(seq, 1, CAMERA, image, stride, 10, FrameTimings(), elapsed_ms, INFO)
    return replace(made, known_share=share)


class Alone(RefiningClock):
    """Of one pane, whose frames say what they have cost."""

    def add(self, frame, spent_ms=None):
        return super().add(frame, frame.elapsed_ms if spent_ms is None else spent_ms)


def test_the_time_left_follows_from_the_pace():
    clock = Alone()
    assert clock.add(frame(0.02, 50)) is None, "the first picture of a camera moves"
    refining = clock.add(frame(0.62, 20_050))
    assert refining.remaining_s == pytest.approx(0.38 / 0.6 * 20)
    assert refining.words == "exact in 13 s – 62 %"
    assert clock.add(frame(1.0, 30_000, stride=1)) is None


def test_a_new_camera_begins_anew():
    clock = Alone()
    for seq in range(1, 5):
        assert clock.add(frame(0.05, 30, seq)) is None
    assert clock.add(frame(0.051, 40, 4)).words == "refining – 5 %"
    assert clock.add(frame(0.5, 140_030, 4)).words == "exact in 2 min 36 s – 50 %"


def test_a_pane_that_was_exact_before_does_not_hurry_the_others():
    clock = RefiningClock()
    assert clock.add(frame(0.02, 50), 80.0) is None
    refining = clock.add(frame(0.5, 60), 24_080.0)
    assert refining.remaining_s == pytest.approx(0.5 / 0.48 * 24)


def show(footer: PictureFooter, frame: Frame) -> None:
    footer.show_seen([frame])
    footer.show_progress(frame, frame.elapsed_ms)


@pytest.fixture
def footer(qtbot):
    footer = PictureFooter()
    qtbot.addWidget(footer)
    footer.resize(700, 30)
    footer.show()
    return footer


def test_what_only_stays_until_something_else_is_there_does_not_become_exact(qtbot):
    view = CompareView()
    qtbot.addWidget(view)
    view.show()
    view.show_frame(frame(0.02, 50))
    view.show_frame(frame(0.5, 1050))
    assert "exact in 2 s – 50 %" in words(view.footer)
    view.show_waiting("still fp32, int8 is on its way")
    assert "exact in" not in words(view.footer)
    assert "still fp32" in words(view.pane)
    view.show_waiting("")
    view.show_frame(frame(0.02, 50, seq=2))
    view.show_frame(frame(0.5, 1050, seq=2))
    assert "exact in 2 s – 50 %" in words(view.footer)


def test_of_several_panes_the_last_to_be_exact_is_waited_for(qtbot):
    view = CompareView()
    qtbot.addWidget(view)
    view.show()
    truth = replace(frame(1.0, 0), whole=True)
    view.show_frames([truth, frame(0.02, 50)])
    view.show_frames([truth, frame(0.5, 1050)])
    assert "all exact in 2 s – 50 %" in words(view.footer), "not only the one that is named"
    view.set_active(1)
    view.show_frames([truth, frame(0.6, 1250)])
    assert "\nexact in 1 s – 60 %" in words(view.footer)
    view.show_frames([frame(0.7, 1450), frame(0.7, 1450)])
    assert "\nexact in " in words(view.footer), "what is named comes no later"


def test_two_pictures_in_one_are_as_exact_as_the_worse_of_them(footer):
    exact = frame(1.0, 0, stride=1)
    for two in ([exact, frame(0.3, 50)], [frame(0.3, 50), exact]):
        footer.show_seen(two)
        assert "8×8 of 60×60 · preview, interpolated" in words(footer)
    footer.show_seen([exact, replace(frame(0.0, 0), why_blank="not at a pose")])
    assert "60×60 · exact" in words(footer)


def test_the_footer_says_it_larger_than_anything_else_and_draws_a_bar(footer):
    show(footer, frame(0.02, 50))
    (label,) = (one for one in footer.findChildren(QLabel) if one.accessibleName() == "Refining")
    assert not label.isVisible()
    before = footer.grab().toImage()
    show(footer, frame(0.5, 1050))
    assert label.isVisible()
    assert label.text() == "exact in 2 s – 50 %"
    others = [one for one in footer.findChildren(QLabel) if one is not label and one.isVisible()]
    assert all(one.font().pointSizeF() < label.font().pointSizeF() for one in others)
    after = footer.grab().toImage()
    assert after.pixel(300, 1) != before.pixel(300, 1)
    assert after.pixel(400, 1) == before.pixel(400, 1)
    show(footer, frame(1.0, 2000, stride=1))
    assert not label.isVisible()


def test_the_rate_is_large_only_while_something_moves(qtbot):
    panel = PerformancePanel()
    qtbot.addWidget(panel)
    rate = next(o for o in panel.findChildren(QLabel) if o.accessibleName() == "New images /s")
    small = rate.font().pointSizeF()
    panel.show_readout(PerformanceReadout(images_per_s=28.0, moving=True))
    assert rate.font().pointSizeF() > 2 * small
    panel.show_readout(PerformanceReadout(images_per_s=6.0, moving=False))
    assert rate.font().pointSizeF() == small
