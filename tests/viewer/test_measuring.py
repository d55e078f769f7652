"""What is measured: a dragged region, against a chosen pane; the difference as a file."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtWidgets import QLabel

from r2l_core.images.difference import DifferenceKind, difference_map
from r2l_core.images.metrics import pixel_errors
from r2l_core.types import Precision
from tests.viewer.find import button, named, words
from viewer.state.panes import TRUTH, CompareMode, PaneChoice
from viewer.state.region import Region
from viewer.state.view_state import LightFieldChoice, ViewState
from viewer.widgets.controls.flat import FlatCombo

THREE = tuple(map(PaneChoice, (Precision.FP32, Precision.BF16, Precision.INT8_SIM)))
STATE = ViewState(LightFieldChoice("demo"), THREE, pair=(0, 1))


@given(
    st.tuples(st.floats(-50, 150), st.floats(-50, 150)),
    st.tuples(st.floats(-50, 150), st.floats(-50, 150)),
)
def test_a_region_lies_in_the_picture_whichever_way_it_was_pulled(a, b):
    found = Region.between(a, b).within(100, 80)
    assert found == Region.between(b, a).within(100, 80)
    if found is not None:
        assert 0 <= found.left < found.left + found.width <= 100
        assert 0 <= found.top < found.top + found.height <= 80
        assert found.of(np.zeros((80, 100, 3))).shape == (found.height, found.width, 3)


class TestReference:
    def test_differences_are_of_it_as_well(self):
        assert STATE.measured_against(2).pair == (0, 2)
        assert STATE.measured_against(0).pair == (1, 0)
        assert STATE.measured_against(None).reference is None
        assert STATE.measured_against(7).reference is None

    def test_it_stays_while_others_go_and_goes_with_its_pane(self):
        state = STATE.measured_against(2)
        assert state.without_pane(0).reference == 1
        assert state.without_pane(2).reference is None
        assert state.with_panes(THREE[:2]).reference is None


class TestInTheWindow:
    @pytest.fixture
    def compared(self, app, until, write_light_field):
        other = PaneChoice(Precision.FP32, checkpoint=write_light_field("another one"))
        app.store.change(panes=(THREE[0], other, THREE[2]), mode=CompareMode.SIDE)
        until(lambda: len(app.window.pane.frames) == 3)
        self.measured(app, until, "A – B")
        return app

    def heads(self, app) -> list[str]:
        return [one.text() for one in app.window.compare.metrics.findChildren(QLabel)]

    def measured(self, app, until, *pairs: str) -> None:
        until(lambda: all(pair in self.heads(app) for pair in pairs))

    def value(self, app, name: str) -> str:
        return named(app.window.compare.metrics, QLabel, name).text()

    def drag(self, qtbot, app, a: tuple[float, float], b: tuple[float, float]) -> None:
        """Pull the right button between two corners of pixels of the first picture."""
        pane = app.window.pane
        size = pane.logical_px_per_image_px()
        height_px, width_px, _ = pane.frame.image.shape
        first = QPointF(pane.rect().left() + 20, pane.rect().center().y())
        corner = pane.image_center(first) - QPointF(width_px, height_px) * (size / 2)
        at = [(corner + QPointF(*one) * size).toPoint() for one in (a, b)]
        qtbot.mousePress(pane, Qt.MouseButton.RightButton, pos=at[0])
        qtbot.mouseMove(pane, at[1])
        qtbot.mouseRelease(pane, Qt.MouseButton.RightButton, pos=at[1])

    def test_a_dragged_region_is_measured_until_esc(self, qtbot, compared, until):
        app, metrics = compared, compared.window.compare.metrics
        whole = self.value(app, "Mean error levels A – B")
        self.drag(qtbot, app, (8.5, 8.5), (23.5, 19.5))
        region = app.store.state.region
        assert region == Region(8, 8, 16, 12)
        until(lambda: region.words[1:] in words(metrics))
        a, b = (region.of(frame.colors) for frame in app.window.pane.frames[:2])
        wanted = 255 * pixel_errors(a, b).mean_abs
        assert self.value(app, "Mean error levels A – B") == f"{wanted:.3f}" != whole
        qtbot.keyClick(app.window.pane, Qt.Key.Key_Escape)
        assert app.store.state.region is None
        until(lambda: self.value(app, "Mean error levels A – B") == whole)

    def test_a_right_click_still_follows_a_pixel(self, qtbot, compared):
        pane = compared.window.pane
        at = pane.image_center(QPointF(20, pane.height() / 2)).toPoint() + QPoint(2, 2)
        with qtbot.waitSignal(pane.pixel_picked):
            qtbot.mouseClick(pane, Qt.MouseButton.RightButton, pos=at)
        assert compared.store.state.region is None

    def test_all_panes_are_measured_against_the_chosen_one(self, compared, until):
        combo = named(compared.window.compare.metrics, FlatCombo, "Reference pane")
        combo.activated.emit(combo.findText("All against C"))
        self.measured(compared, until, "A – C", "B – C")
        until(lambda: "A – B" not in self.heads(compared))
        assert compared.window.pane.compared.pair == (0, 2)
        combo.activated.emit(combo.findText("Every two panes"))
        self.measured(compared, until, "A – B", "A – C", "B – C")

    def test_the_difference_is_saved_as_it_is(self, compared, until, tmp_path):
        file = tmp_path / "difference.npy"
        compared.compare.measuring.save(str(file))
        until(lambda: "float32" in words(compared.window.centralWidget()))
        a, b = compared.window.pane.frames[:2]
        saved = np.load(file)
        assert saved.dtype == np.float32
        wanted = difference_map(DifferenceKind.ABSOLUTE, a.colors, b.colors)
        assert np.array_equal(saved, wanted)

    def test_a_difference_that_cannot_be_written_says_so(self, compared, until, tmp_path):
        compared.compare.measuring.save(str(tmp_path / "no-such-folder" / "d.npy"))
        until(lambda: compared.has_failed)

    def test_there_is_nothing_to_save_of_one_picture(self, app):
        assert not button(app.window.compare.difference, "Save as .npy…").isEnabled()


def test_the_truth_is_what_others_are_measured_by_unless_one_is_chosen():
    state = ViewState(LightFieldChoice("demo"), (PaneChoice(TRUTH), PaneChoice(Precision.FP32)))
    assert state.measured_against(1).pair == (0, 1)
