"""Each widget by itself: what it shows, and what it reports."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyqtgraph as pg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PyQt6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PyQt6.QtGui import QColor, QDropEvent, QGuiApplication, QImage, QKeyEvent, QWheelEvent
from PyQt6.QtWidgets import QAbstractButton, QApplication, QComboBox, QLabel, QSlider, QWidget

from r2l_core.geometry.camera import Camera
from r2l_core.geometry.orbit import Orbit
from r2l_core.render.frames import Frame, FrameTimings
from r2l_core.types import Availability, EngineInfo, Precision
from tests.viewer.find import named
from viewer.widgets import theme
from viewer.widgets.controls import wording
from viewer.widgets.controls.value_spin import ScrubLabel, ValueSpin
from viewer.widgets.panels.camera_panel import CameraPanel
from viewer.widgets.panels.cost_plot import CostPlot
from viewer.widgets.panels.engine_card import EngineCard
from viewer.widgets.panels.performance_panel import PerformancePanel
from viewer.widgets.panels.performance_readout import ImageCost, PerformanceReadout
from viewer.widgets.panels.precision_switch import PrecisionSwitch
from viewer.widgets.panels.scene_panel import ScenePanel
from viewer.widgets.panels.status_line import StatusLine
from viewer.widgets.picture.image_pane import ImagePane
from viewer.widgets.picture.message_bar import MessageBar
from viewer.widgets.picture.picture_footer import PictureFooter
from viewer.widgets.picture.placement import place

THREE = list(Precision)[:3]

INFO = EngineInfo(
    "torch", Precision.BF16, "CPU", "bf16", "bf16 × bf16 → fp32", "oneDNN", 11_800_000
)


def make_frame(width_px: int = 100, height_px: int = 100, seq: int = 1, stride: int = 1) -> Frame:
    """A frame of noise, in which every misplaced pixel shows."""
    image = np.random.default_rng(seq).integers(0, 256, (height_px, width_px, 3), np.uint8)
    image.flags.writeable = False
    camera = Camera(np.eye(4), width_px, height_px, 100.0)
    return Frame(seq, 1, camera, image, stride, 10, FrameTimings(), 5.0, INFO)


def pixels(image: QImage) -> np.ndarray:
    """uint8 (height, width, 3) copy of an image."""
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    bits = image.constBits()
    assert bits is not None
    rows = np.frombuffer(bits.asarray(image.sizeInBytes()), np.uint8)
    rows = rows.reshape(image.height(), image.bytesPerLine())[:, : image.width() * 3]
    return rows.reshape(image.height(), image.width(), 3).copy()


def shown_picture(pane: ImagePane) -> np.ndarray:
    """What the pane paints where its picture lies (pixel ratio 1)."""
    at, center = pane.placement, pane.image_center()
    assert at is not None
    left, top = round(center.x() - at.width / 2), round(center.y() - at.height / 2)
    return pixels(pane.grab().toImage())[top : top + at.height, left : left + at.width]


@pytest.fixture
def pane(qtbot) -> ImagePane:
    """A pane of 228 x 228: 200 pixels for the picture."""
    pane = ImagePane()
    qtbot.addWidget(pane)
    pane.resize(228, 228)
    pane.show()
    return pane


class TestPlacement:
    @given(
        st.integers(1, 4000),
        st.integers(1, 4000),
        st.integers(1, 4000),
        st.integers(1, 4000),
        st.booleans(),
        st.integers(0, 30),
    )
    def test_the_picture_fits_and_is_centred(
        self, width, height, area_width, area_height, integer_zoom, slack
    ):
        at = place(width, height, area_width, area_height, integer_zoom, slack)
        assert at.width <= area_width + slack
        assert at.height <= area_height + slack
        assert abs(2 * at.x + at.width - area_width) <= 1
        assert abs(2 * at.y + at.height - area_height) <= 1
        if at.nearest:
            assert (at.width, at.height) == (width * at.scale, height * at.scale)

    def test_the_largest_whole_scale_that_fits(self):
        assert place(400, 400, 1270, 1000, True).scale == 2

    def test_a_picture_too_large_for_one_to_one_is_fitted_smoothly(self):
        at = place(1600, 1600, 800, 640, True)
        assert at.scale == pytest.approx(0.4)
        assert at.words == "0.40× smooth"

    @pytest.mark.parametrize("area", [396, 400, 408])
    def test_almost_one_to_one_becomes_one_to_one(self, area):
        assert place(400, 400, area, area, False, slack=14).words == "1:1"

    def test_words(self):
        assert place(400, 400, 800, 900, False).words == "2× nearest"
        assert place(400, 400, 640, 900, False).words == "1.60× smooth"


class TestImagePane:
    def test_one_to_one_shows_exactly_the_rendered_pixels(self, pane):
        frame = make_frame(200, 200)
        pane.show_frame(frame)
        np.testing.assert_array_equal(shown_picture(pane), frame.image)

    def test_integer_zoom_makes_each_pixel_one_square(self, pane):
        frame = make_frame(60, 60)
        pane.set_integer_zoom(True)
        pane.show_frame(frame)
        expected = frame.image.repeat(3, axis=0).repeat(3, axis=1)
        np.testing.assert_array_equal(shown_picture(pane), expected)

    def test_without_integer_zoom_the_picture_fills_the_pane(self, pane):
        pane.show_frame(make_frame(60, 60))
        assert shown_picture(pane).shape == (200, 200, 3)

    def test_a_reduced_picture_keeps_its_mean(self, pane):
        frame = make_frame(800, 800)
        pane.show_frame(frame)
        assert shown_picture(pane).mean() == pytest.approx(frame.image.mean(), abs=1)

    def test_rows_that_are_not_contiguous_are_shown_upright(self, pane):
        frame = make_frame(200, 200)
        flipped = Frame(2, 1, frame.camera, frame.image[::-1], 1, 10, FrameTimings(), 5.0, INFO)
        pane.show_frame(flipped)
        np.testing.assert_array_equal(shown_picture(pane), frame.image[::-1])

    def test_copied_image_has_the_rendered_pixels_whatever_the_zoom(self, pane):
        assert pane.copied_image().isNull()
        frame = make_frame(37, 23)
        pane.show_frame(frame)
        np.testing.assert_array_equal(pixels(pane.copied_image()), frame.image)

    def test_the_surround_is_a_grey_without_hue(self, pane):
        pane.show_frame(make_frame(200, 200))
        red, green, blue = pixels(pane.grab().toImage())[2, 2]
        assert red == green == blue

    def test_each_frame_is_reported_once_when_its_pixels_are_painted(self, pane):
        painted: list[int] = []
        pane.picture_painted.connect(lambda seq, paint_ms: painted.append(seq))
        pane.show_frame(make_frame(seq=7))
        assert painted == []
        pane.repaint()
        pane.repaint()
        assert painted == [7]
        pane.show_frame(make_frame(seq=7, stride=2))
        pane.repaint()
        assert painted == [7, 7]

    def test_left_drag_orbits_in_logical_pixels(self, qtbot, pane):
        log: list[tuple] = []
        pane.show_frame(make_frame(50, 50))
        pane.drag_started.connect(lambda: log.append(("start",)))
        pane.orbit_dragged.connect(lambda dx, dy: log.append((dx, dy)))
        pane.drag_finished.connect(lambda: log.append(("end",)))
        qtbot.mousePress(pane, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
        qtbot.mouseMove(pane, QPoint(110, 96))
        qtbot.mouseRelease(pane, Qt.MouseButton.LeftButton, pos=QPoint(110, 96))
        assert log == [("start",), (10.0, -4.0), ("end",)]

    def test_a_click_without_movement_is_no_drag(self, qtbot, pane):
        with qtbot.assertNotEmitted(pane.drag_started), qtbot.assertNotEmitted(pane.drag_finished):
            qtbot.mouseClick(pane, Qt.MouseButton.LeftButton)

    @pytest.mark.parametrize(
        ("button", "modifier"),
        [
            (Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ShiftModifier),
            (Qt.MouseButton.MiddleButton, Qt.KeyboardModifier.NoModifier),
        ],
    )
    def test_pan_is_told_in_image_pixels(self, qtbot, pane, button, modifier):
        pane.show_frame(make_frame(50, 50))  # four logical pixels for each of the image's
        qtbot.mousePress(pane, button, modifier, QPoint(100, 100))
        with qtbot.waitSignal(pane.pan_dragged) as panned:
            qtbot.mouseMove(pane, QPoint(108, 104))
        qtbot.mouseRelease(pane, button)
        assert panned.args == [2.0, 1.0]

    def test_a_drag_ends_with_the_keyboard_focus(self, qtbot, pane):
        qtbot.mousePress(pane, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
        qtbot.mouseMove(pane, QPoint(110, 96))
        assert pane.dragging
        with qtbot.waitSignal(pane.drag_finished):
            pane.hide()
        assert not pane.dragging

    def test_wheel_zooms_towards_the_pointer(self, qtbot, pane):
        pane.show_frame(make_frame(50, 50))
        at = pane.image_center() + QPointF(40, -20)
        none = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
        event = QWheelEvent(
            at, at, QPoint(), QPoint(0, 120), *none, Qt.ScrollPhase.NoScrollPhase, False
        )
        with qtbot.waitSignal(pane.zoomed) as zoomed:
            QApplication.sendEvent(pane, event)
        factor, x_px, y_px = zoomed.args
        assert factor == pytest.approx(0.999**120)
        assert (x_px, y_px) == (10.0, -5.0)

    def test_a_double_click_names_the_point_in_image_pixels(self, qtbot, pane):
        pane.show_frame(make_frame(50, 50))
        at = (pane.image_center() + QPointF(40, -20)).toPoint()
        with (
            qtbot.waitSignal(pane.centred) as centred,
            qtbot.assertNotEmitted(pane.drag_started),
        ):
            qtbot.mouseDClick(pane, Qt.MouseButton.LeftButton, pos=at)
        assert centred.args == [10.0, -5.0]
        assert not pane.dragging

    def test_a_double_click_beside_the_picture_is_none(self, qtbot, pane):
        with qtbot.assertNotEmitted(pane.centred):
            qtbot.mouseDClick(pane, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
        pane.show_frame(make_frame(50, 50))
        with qtbot.assertNotEmitted(pane.centred):
            qtbot.mouseDClick(pane, Qt.MouseButton.LeftButton, pos=QPoint(5, 100))
            qtbot.mouseDClick(pane, Qt.MouseButton.MiddleButton, pos=QPoint(100, 100))

    @pytest.mark.parametrize(
        ("key", "step"),
        [
            (Qt.Key.Key_Left, (-20.0, 0.0)),
            (Qt.Key.Key_Right, (20.0, 0.0)),
            (Qt.Key.Key_Up, (0.0, -20.0)),
            (Qt.Key.Key_Down, (0.0, 20.0)),
        ],
    )
    def test_arrow_keys_orbit(self, qtbot, pane, key, step):
        with qtbot.waitSignal(pane.orbit_dragged) as dragged:
            qtbot.keyClick(pane, key)
        assert tuple(dragged.args) == step

    def test_plus_is_closer_and_minus_undoes_it(self, qtbot, pane):
        factors: list[float] = []
        pane.zoomed.connect(lambda factor, x, y: factors.append(factor))
        qtbot.keyClick(pane, Qt.Key.Key_Plus)
        qtbot.keyClick(pane, Qt.Key.Key_Minus)
        assert factors[0] < 1
        assert factors[0] * factors[1] == pytest.approx(1)

    def test_held_keys_add_up_to_a_direction(self, qtbot, pane):
        told: list[tuple] = []
        pane.flight_changed.connect(lambda *flight: told.append(flight))
        shift = Qt.KeyboardModifier.ShiftModifier
        qtbot.keyPress(pane, Qt.Key.Key_W)
        qtbot.keyPress(pane, Qt.Key.Key_D)
        qtbot.keyPress(pane, Qt.Key.Key_Shift)
        qtbot.keyPress(pane, Qt.Key.Key_E, shift)
        qtbot.keyRelease(pane, Qt.Key.Key_Shift)
        qtbot.keyPress(pane, Qt.Key.Key_S)
        assert told == [
            (0, 0, 1, False),
            (1, 0, 1, False),
            (1, 0, 1, True),
            (1, 1, 1, True),
            (1, 1, 1, False),
            (1, 1, 0, False),
        ]
        for key in (Qt.Key.Key_W, Qt.Key.Key_D, Qt.Key.Key_E, Qt.Key.Key_S):
            qtbot.keyRelease(pane, key)
        assert told[-1] == (0, 0, 0, False)

    def test_opposite_keys_stay_where_they_are(self, qtbot, pane):
        told: list[tuple] = []
        pane.flight_changed.connect(lambda *flight: told.append(flight))
        for press in (Qt.Key.Key_A, Qt.Key.Key_D):
            qtbot.keyPress(pane, press)
        qtbot.keyRelease(pane, Qt.Key.Key_A)
        assert told == [(-1, 0, 0, False), (0, 0, 0, False), (1, 0, 0, False)]
        pane.hide()

    def test_a_key_that_repeats_itself_is_still_held(self, pane):
        told: list[tuple] = []
        pane.flight_changed.connect(lambda *flight: told.append(flight))
        none = Qt.KeyboardModifier.NoModifier
        for kind, repeats in (
            (QEvent.Type.KeyPress, False),
            (QEvent.Type.KeyRelease, True),
            (QEvent.Type.KeyPress, True),
        ):
            QApplication.sendEvent(pane, QKeyEvent(kind, Qt.Key.Key_A, none, "a", repeats))
        assert told == [(-1, 0, 0, False)]
        pane.hide()
        assert told[1:] == [(0, 0, 0, False)]

    def test_a_command_key_does_not_fly(self, qtbot, pane):
        with qtbot.assertNotEmitted(pane.flight_changed):
            qtbot.keyClick(pane, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
            qtbot.keyClick(pane, Qt.Key.Key_Shift)

    def test_a_dropped_file_is_reported(self, qtbot, pane, tmp_path):
        data = QMimeData()
        local = QUrl.fromLocalFile(str(tmp_path / "b.tar"))
        data.setUrls([QUrl("https://example.org/a.tar"), local])
        event = QDropEvent(
            QPointF(9, 9),
            Qt.DropAction.CopyAction,
            data,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
        with qtbot.waitSignal(pane.file_dropped) as dropped:
            pane.dropEvent(event)
        assert dropped.args == [str(tmp_path / "b.tar")]

    def test_the_hint_leaves_with_the_first_drag(self, qtbot, pane):
        pane.overlays.show_hint([("Drag", "Orbit")])
        hint = next(label for label in pane.findChildren(QLabel) if "Orbit" in label.text())
        assert hint.isVisible()
        with qtbot.waitSignal(pane.overlays.hint_dismissed):
            qtbot.mousePress(pane, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
            qtbot.mouseMove(pane, QPoint(110, 96))
        qtbot.mouseRelease(pane, Qt.MouseButton.LeftButton)
        assert not hint.isVisible()

    def test_busy_and_badge_come_and_go(self, pane):
        for show, text in (
            (pane.overlays.show_busy, "Building bf16…"),
            (pane.overlays.show_badge, "outside"),
        ):
            show(text)
            label = next(one for one in pane.findChildren(QLabel) if one.text() == text)
            assert label.isVisible()
            assert pane.rect().contains(label.geometry())
            show(None)
            assert not label.isVisible()


def test_footer_names_what_was_rendered(qtbot):
    footer = PictureFooter()
    qtbot.addWidget(footer)
    footer.show_seen([make_frame(400, 400, stride=4)])
    footer.show_placement(place(400, 400, 800, 800, True))
    texts = [label.text() for label in footer.findChildren(QLabel)]
    assert "bf16" in texts
    assert "100×100 of 400×400 · preview, interpolated" in texts
    assert "2× nearest" in texts
    footer.show_seen([replace(make_frame(400, 400, stride=16), network_rays=1536)])
    texts = [label.text() for label in footer.findChildren(QLabel)]
    assert "25×25+ of 400×400 · preview, interpolated" in texts
    footer.show_seen([replace(make_frame(400, 400, stride=32), known_share=0.014, carried=True)])
    texts = [label.text() for label in footer.findChildren(QLabel)]
    assert "1 % of 400×400 computed · preview, carried along" in texts


@pytest.mark.parametrize(
    "word", ["os." * 40 + "system", "torch.nn.parallel.DataParallel", "x" * 300]
)
def test_an_error_of_long_words_is_no_wider_than_a_short_one(qtbot, word):
    bar = MessageBar()
    qtbot.addWidget(bar)
    bar.show_error("It cannot be opened", "it asks for a thing", "Choose another file.")
    short = bar.minimumSizeHint().width()
    bar.show_error(f"{word} cannot be opened", f"it asks for {word}", "Choose another file.")
    QApplication.processEvents()
    assert bar.minimumSizeHint().width() <= short + 200
    assert word in bar.details()


class TestPrecisionSwitch:
    @pytest.fixture
    def switch(self, qtbot) -> PrecisionSwitch:
        switch = PrecisionSwitch()
        qtbot.addWidget(switch)
        switch.resize(248, 200)
        switch.show()
        return switch

    def segments(self, switch: PrecisionSwitch) -> list[QAbstractButton]:
        return switch.findChildren(QAbstractButton)

    def test_a_click_says_what_was_chosen_and_shows_what_runs(self, qtbot, switch):
        switch.set_precisions({p: Availability(True) for p in THREE})
        switch.show_active(Precision.FP32)
        with qtbot.waitSignal(switch.precision_chosen) as chosen:
            qtbot.mouseClick(self.segments(switch)[2], Qt.MouseButton.LeftButton)
        assert chosen.args == [Precision.FP16]
        assert [one.isChecked() for one in self.segments(switch)] == [True, False, False]
        switch.show_active(Precision.FP16)
        assert [one.isChecked() for one in self.segments(switch)] == [False, False, True]

    def test_what_cannot_run_says_why(self, qtbot, switch):
        offered = {p: Availability(True) for p in THREE}
        offered[Precision.FP16] = Availability(False, "this processor has no AVX-512 FP16")
        switch.set_precisions(offered)
        switch.show_active(Precision.FP32)
        segment = self.segments(switch)[2]
        assert not segment.isEnabled()
        assert "no AVX-512 FP16" in segment.toolTip()
        with qtbot.assertNotEmitted(switch.precision_chosen):
            qtbot.mouseClick(segment, Qt.MouseButton.LeftButton)

    @pytest.mark.parametrize("members", [THREE, list(Precision)[:6], list(Precision)])
    @pytest.mark.parametrize("width", [150, 248, 400])
    def test_no_name_is_cut_off(self, switch, members, width):
        switch.set_precisions({p: Availability(True) for p in members})
        switch.show_active(members[0])
        switch.resize(width, 400)
        for segment in self.segments(switch):
            assert segment.width() >= segment.sizeHint().width()

    def test_precisions_can_be_replaced(self, switch):
        switch.set_precisions({p: Availability(True) for p in THREE})
        switch.show_active(Precision.FP32)
        switch.set_precisions({p: Availability(True) for p in Precision})
        switch.show_active(Precision.INT8)
        assert {one.text() for one in self.segments(switch)} == set(Precision)


class TestEngineCard:
    def shown(self, card: EngineCard) -> str:
        return "\n".join(
            label.text() for label in card.findChildren(QLabel) if label.isVisibleTo(card)
        )

    def test_how_near_it_is_to_fp32(self, qtbot):
        card, status = EngineCard(), StatusLine()
        for widget in (card, status):
            qtbot.addWidget(widget)
            widget.show_engine(replace(INFO, fidelity_db=53.94))
        said = [label.text() for label in card.findChildren(QLabel)]
        assert "53.9 dB to fp32 · native" in said
        assert any("53.9 dB to fp32" in one.toolTip() for one in status.findChildren(QWidget))

    def test_native(self, qtbot):
        card = EngineCard()
        qtbot.addWidget(card)
        card.show_engine(INFO)
        for words in ("bf16", "native", "bf16 × bf16 → fp32", "bf16, 11.8 MB", "oneDNN", "CPU"):
            assert words in self.shown(card)

    def test_emulated_says_why(self, qtbot):
        card = EngineCard()
        qtbot.addWidget(card)
        card.show_engine(
            EngineInfo("torch", Precision.FP16, "CPU", "fp16", "fp32", "oneDNN", 1, "no FP16 units")
        )
        assert "emulated" in self.shown(card)
        assert "Emulated: no FP16 units" in self.shown(card)

    def test_what_failed_before_is_said(self, qtbot):
        card = EngineCard()
        qtbot.addWidget(card)
        failed = "The cuda engine could not be built in bf16: the GPU's memory is used up"
        card.show_engine(replace(INFO, fallback=failed))
        assert f"A faster way failed. {failed}." in self.shown(card)
        card.show_engine(INFO)
        assert "failed" not in self.shown(card)


class TestPerformancePanel:
    def values(self, panel: PerformancePanel) -> dict[str, str]:
        labels = panel.findChildren(QLabel)
        return {label.accessibleName(): label.text() for label in labels if label.accessibleName()}

    def test_numbers_have_fixed_decimals(self, qtbot):
        panel = PerformancePanel()
        qtbot.addWidget(panel)
        costs = tuple(ImageCost(1.0, 2.0, float(ms), 1.0, 0.5, 4) for ms in range(40, 100))
        panel.show_readout(
            PerformanceReadout(
                images_per_s=16.0,
                frame_ms=62.04,
                krays_per_s=1184.0,
                latency_p50_ms=78,
                latency_p95_ms=121.5,
                stride=4,
                width_px=400,
                height_px=300,
                memory_mb=1210,
                mean=ImageCost(0.25, 2, 69.5),
                history=costs,
            )
        )
        values = self.values(panel)
        assert values["New images /s"] == "16.0"
        assert values["Frame ms"] == "62.0"
        assert values["Rays kray/s"] == "1\u202f184.0"
        assert values["Latency p50 · p95 ms"] == "78.0 · 121.5"
        assert values["Mean time of rays ms"] == "0.2"
        assert values["Mean time of network ms"] == "69.5"
        assert values["Mean time of paint ms"] == "–"
        assert values["Rendered"] == "100×75 of 400×300"
        assert values["Memory MB"] == "1.21"

    def test_what_was_not_measured_is_a_dash(self, qtbot):
        panel = PerformancePanel()
        qtbot.addWidget(panel)
        nothing = ImageCost(network_ms=float("nan"))
        panel.show_readout(
            PerformanceReadout(latency_p50_ms=float("nan"), mean=nothing, history=(nothing,))
        )
        values = self.values(panel)
        assert [values[name] for name in ("New images /s", "Frame ms", "Rendered")] == ["–"] * 3
        assert values["Latency p50 · p95 ms"] == "– · –"
        assert values["Mean time of network ms"] == "–"

    def test_each_image_is_a_stack_and_the_newest_is_at_the_right(self, qtbot):
        plot = CostPlot()
        qtbot.addWidget(plot)
        plot.resize(300, 200)
        plot.show()
        costs = [ImageCost(1.0, 2.0, 30.0, 4.0, 5.0, 8), ImageCost(1.0, 2.0, 10.0, 4.0, 5.0, 1)]
        plot.show_costs(costs, costs[-1])
        bars, strip = plot.findChildren(pg.PlotWidget)
        stacks = [one.opts for one in bars.plotItem.items if isinstance(one, pg.BarGraphItem)]
        assert [list(one["height"]) for one in stacks] == [[1, 1], [2, 2], [30, 10], [4, 4], [5, 5]]
        assert [list(one["y0"]) for one in stacks] == [[0, 0], [1, 1], [3, 3], [33, 13], [37, 17]]
        assert list(stacks[0]["x0"]) == [118, 119]
        (levels,) = [one.opts for one in strip.plotItem.items if isinstance(one, pg.BarGraphItem)]
        # Of the strides 32, 16, 8, ... these are the third and the last.
        assert list(levels["height"]) == [3, 6]


class TestCameraPanel:
    @pytest.fixture
    def panel(self, qtbot) -> CameraPanel:
        panel = CameraPanel()
        qtbot.addWidget(panel)
        panel.show()
        panel.show_orbit(Orbit(10.04, 20.0, 3.0, (0.0, 1.0, 2.0)), 40.0)
        return panel

    def field(self, panel: CameraPanel, name: str) -> ValueSpin:
        return next(
            one for one in panel.findChildren(ValueSpin) if one.accessibleName().startswith(name)
        )

    def label(self, panel: CameraPanel, text: str) -> ScrubLabel:
        return next(one for one in panel.findChildren(ScrubLabel) if one.text() == text)

    def test_showing_reports_nothing(self, qtbot, panel):
        with qtbot.assertNotEmitted(panel.orbit_edited), qtbot.assertNotEmitted(panel.fov_x_edited):
            panel.show_orbit(Orbit(-50.0, 10.0, 2.0, (1.0, 1.0, 1.0)), 60.0)
        qtbot.waitUntil(lambda: self.field(panel, "Azimuth").text() == "-50.0°")

    def test_an_edit_leaves_the_other_numbers_unrounded(self, qtbot, panel):
        with qtbot.waitSignal(panel.orbit_edited) as edited:
            self.field(panel, "Radius").setValue(5.0)
        assert edited.args == [Orbit(10.04, 20.0, 5.0, (0.0, 1.0, 2.0))]

    def test_pivot_and_field_of_view(self, qtbot, panel):
        with qtbot.waitSignal(panel.orbit_edited) as edited:
            self.field(panel, "Pivot Y").setValue(-1.5)
        assert edited.args[0].pivot == (0.0, -1.5, 2.0)
        with qtbot.waitSignal(panel.fov_x_edited) as edited:
            self.field(panel, "Horizontal").setValue(55.0)
        assert edited.args == [55.0]

    def test_typed_text_counts_with_enter(self, qtbot, panel):
        field = self.field(panel, "Elevation")
        field.selectAll()
        with qtbot.assertNotEmitted(panel.orbit_edited):
            qtbot.keyClicks(field, "45")
        with qtbot.waitSignal(panel.orbit_edited) as edited:
            qtbot.keyClick(field, Qt.Key.Key_Return)
        assert edited.args[0].elevation_deg == 45.0

    def test_dragging_a_label_changes_its_number(self, qtbot, panel):
        label = self.label(panel, "Elevation")
        qtbot.mousePress(label, Qt.MouseButton.LeftButton, pos=QPoint(5, 5))
        qtbot.mouseMove(label, QPoint(45, 5))
        qtbot.mouseRelease(label, Qt.MouseButton.LeftButton, pos=QPoint(45, 5))
        assert self.field(panel, "Elevation").value() == 30.0

    def test_dragging_the_azimuth_goes_round(self, qtbot, panel):
        panel.show_orbit(Orbit(175.0, 0.0, 3.0), 40.0)
        qtbot.waitUntil(lambda: self.field(panel, "Azimuth").value() == 175.0)
        label = self.label(panel, "Azimuth")
        qtbot.mousePress(label, Qt.MouseButton.LeftButton, pos=QPoint(5, 5))
        qtbot.mouseMove(label, QPoint(45, 5))
        qtbot.mouseRelease(label, Qt.MouseButton.LeftButton, pos=QPoint(45, 5))
        assert self.field(panel, "Azimuth").value() == -175.0

    def test_double_click_goes_home(self, qtbot, panel):
        panel.set_home(Orbit(35.0, 30.0, 4.0), 39.6)
        for text, name, value in (("Radius", "Radius", 4.0), ("Field of view", "Horizontal", 39.6)):
            qtbot.mouseDClick(self.label(panel, text), Qt.MouseButton.LeftButton)
            assert self.field(panel, name).value() == value

    def test_views(self, qtbot, panel):
        views: list[str] = []
        panel.view_requested.connect(views.append)
        for button in panel.findChildren(QAbstractButton):
            qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        assert views == ["home", "top", "front", "side"]


class TestScenePanel:
    @pytest.fixture
    def panel(self, qtbot) -> ScenePanel:
        panel = ScenePanel()
        qtbot.addWidget(panel)
        panel.show_scene("fern", "a network", 0.0, 1.0, 504, 378)
        return panel

    def test_sizes_keep_the_proportions_of_the_scene(self, panel):
        sizes = panel.findChild(QComboBox)
        texts = [sizes.itemText(row) for row in range(sizes.count())]
        assert texts[:5] == ["200×150", "400×300", "504×378", "800×600", "1600×1200"]
        assert texts[5:] == ["Match window", "Other…"]
        assert sizes.currentText() == "504×378"

    def test_a_chosen_size_is_reported(self, qtbot, panel):
        sizes = panel.findChild(QComboBox)
        with qtbot.waitSignal(panel.render_size_chosen) as chosen:
            sizes.activated.emit(0)
        assert chosen.args == [200, 150]

    def test_any_size_can_be_typed(self, qtbot, panel):
        panel.show()
        sizes = panel.findChild(QComboBox)
        width, height = (
            named(panel, ValueSpin, f"{side} in pixels") for side in ("Width", "Height")
        )
        assert not width.isVisible()
        sizes.activated.emit(sizes.findText("Other…"))
        assert width.isVisible()
        width.lineEdit().selectAll()
        qtbot.keyClicks(width, "640")
        with qtbot.waitSignal(panel.render_size_chosen) as chosen:
            qtbot.keyClick(width, Qt.Key.Key_Return)
        assert chosen.args == [640, 378]
        panel.show_render_size(640, 378)
        with qtbot.waitSignal(panel.render_size_chosen) as chosen:
            height.setValue(480)
        assert chosen.args == [640, 480]
        sizes.activated.emit(0)
        assert not width.isVisible()

    def test_the_size_of_the_window_stays_chosen_while_it_changes(self, qtbot, panel):
        sizes = panel.findChild(QComboBox)
        with qtbot.waitSignal(panel.match_window_chosen):
            sizes.activated.emit(sizes.findText("Match window"))
        panel.show_match_window(True)
        panel.show_render_size(733, 512)
        assert sizes.currentText() == "Match window"
        panel.show_scene("lego", "another network", 0.0, 1.0, 800, 800)
        assert sizes.currentText() == "Match window"
        panel.show_match_window(False)
        assert sizes.currentText() == "800×800"

    def test_frames_of_the_old_size_do_not_undo_a_choice(self, panel):
        sizes = panel.findChild(QComboBox)
        panel.show_render_size(504, 378)
        sizes.setCurrentIndex(3)
        panel.show_render_size(504, 378)
        assert sizes.currentText() == "800×600"
        panel.show_render_size(800, 600)
        panel.show_scene("fern", "a network", 0.0, 1.0, 504, 378)
        assert sizes.currentText() == "800×600"

    def test_a_size_from_elsewhere_is_added(self, panel):
        panel.show_render_size(640, 480)
        assert panel.findChild(QComboBox).currentText() == "640×480"

    def test_target_rate(self, qtbot, panel):
        slider = panel.findChild(QSlider)
        with qtbot.assertNotEmitted(panel.target_fps_chosen):
            panel.show_target_fps(60)
        assert slider.value() == 60
        with qtbot.waitSignal(panel.target_fps_chosen) as chosen:
            slider.setValue(24)
        assert chosen.args == [24.0]
        assert "42 ms" in slider.toolTip()


def test_message_bar_copies_its_details(qtbot):
    bar = MessageBar()
    qtbot.addWidget(bar)
    bar.show_error("The file a.tar cannot be opened", "it is empty", "Choose another one.")
    assert bar.isVisible()
    copy, close = (
        next(one for one in bar.findChildren(QAbstractButton) if one.text() == text)
        for text in ("Copy details", "×")
    )
    qtbot.mouseClick(copy, Qt.MouseButton.LeftButton)
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    assert clipboard.text() == ("The file a.tar cannot be opened\nIt is empty. Choose another one.")
    qtbot.mouseClick(close, Qt.MouseButton.LeftButton)
    assert not bar.isVisible()


@pytest.mark.parametrize(
    ("size_mb", "words"),
    [(0, "– MB"), (812.4, "812 MB"), (1210, "1.21 GB"), (float("nan"), "– MB")],
)
def test_memory_in_words(size_mb, words):
    if np.isnan(size_mb):
        assert wording.memory(size_mb)[0] == wording.DASH
    else:
        assert " ".join(wording.memory(size_mb)) == words


def test_a_picture_in_a_word():
    whole = make_frame()
    assert wording.briefly(whole) == "exact"
    assert wording.briefly(make_frame(stride=4)) == "preview"
    assert wording.briefly(replace(make_frame(stride=4), whole=True)) == "exact"
    assert wording.briefly(replace(whole, interpolated_pixels=9)) == "interpolated"
    assert wording.briefly(replace(whole, why_blank="no pose")) == ""


class TestTheme:
    @staticmethod
    def contrast(one: str, other: str) -> float:
        """WCAG contrast ratio of two sRGB colours."""

        def luminance(name: str) -> float:
            color = QColor(name)
            rgb = np.array([color.redF(), color.greenF(), color.blueF()])
            linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
            return float(linear @ (0.2126, 0.7152, 0.0722))

        low, high = sorted((luminance(one), luminance(other)))
        return (high + 0.05) / (low + 0.05)

    @pytest.mark.parametrize("tones", [theme.DARK, theme.LIGHT])
    def test_text_can_be_read(self, tones):
        for text in (tones.text, tones.muted):
            for ground in (tones.window, tones.base, tones.button):
                assert self.contrast(text, ground) >= 4.5
        assert self.contrast(tones.on_surround, tones.surround) >= 4.5

    @pytest.mark.parametrize("tones", [theme.DARK, theme.LIGHT])
    def test_greys_have_no_hue(self, tones):
        for grey in (tones.window, tones.base, tones.button, tones.line, tones.surround):
            assert QColor(grey).hsvSaturation() == 0

    @pytest.mark.parametrize("dark", [True, False])
    def test_precision_colours_differ_and_stand_out(self, dark):
        tones = theme.DARK if dark else theme.LIGHT
        names = [theme.precision_color(one, dark).name() for one in Precision]
        assert len(set(names)) == len(names)
        for name in names:
            assert self.contrast(name, tones.window) >= 3

    def test_an_unknown_precision_is_grey(self):
        assert theme.precision_color("fp4", True).hsvSaturation() == 0

    def test_what_computes_in_another_format_is_hatched(self):
        hatched = [one for one in Precision if theme.is_simulated(one)]
        assert hatched == [
            Precision.INT8_STATIC_SIM,
            Precision.INT8_SIM,
            *(one for one in Precision if one.published_recipe),
        ]
