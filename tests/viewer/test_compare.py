"""The compare view: what is painted where, in every mode, and what hands and keys do."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PyQt6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, Qt, QTimer
from PyQt6.QtGui import QColor, QImage, QKeyEvent, QPainter, QWheelEvent
from PyQt6.QtWidgets import QApplication, QLabel

from r2l_core.geometry.camera import Camera
from r2l_core.images.difference import DifferenceKind, difference_map
from r2l_core.render.frames import Frame, FrameDifference, FrameTimings
from r2l_core.types import EngineInfo, Precision
from tests.viewer.find import button
from viewer.state.display_options import DifferenceOptions
from viewer.state.panes import TRUTH, CompareMode
from viewer.widgets import theme
from viewer.widgets.compare import compare_surface, pane_label
from viewer.widgets.compare.color_bar import ColorBar
from viewer.widgets.compare.compare_view import CompareView
from viewer.widgets.compare.pane_label import PaintedLabels, PaneLabel, paint_label
from viewer.widgets.compare.wipe_divider import WipeDivider
from viewer.widgets.picture.picture_footer import PictureFooter
from viewer.widgets.picture.pixel_readout import PixelProbe, PixelReadout
from viewer.widgets.picture.placement import SCALES, Spacing, Viewport, arrange, place_scaled

CAMERA = Camera(np.eye(4), 60, 60, 80.0)
CONTROL = Qt.KeyboardModifier.ControlModifier


def make_frame(
    precision: Precision, value: int | None = None, size_px: int = 60, stride: int = 1, seq: int = 1
) -> Frame:
    """A frame of one grey, or of noise."""
    shape = (size_px, size_px, 3)
    if value is None:
        image = np.random.default_rng(sum(precision.encode())).integers(0, 256, shape, np.uint8)
    else:
        image = np.full(shape, value, np.uint8)
    image.flags.writeable = False
    info = EngineInfo("torch", precision, "cpu", "fp32", "fp32", "oneDNN", 1)
    return Frame(seq, 1, CAMERA, image, stride, 10, FrameTimings(), 42.0, info)


A, B = make_frame(Precision.BF16), make_frame(Precision.INT8)


def painted(view: CompareView) -> np.ndarray:
    """uint8 (height, width, 3) of the pane."""
    image = view.pane.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    bits = image.constBits()
    assert bits is not None
    rows = np.frombuffer(bits.asarray(image.sizeInBytes()), np.uint8)
    rows = rows.reshape(image.height(), image.bytesPerLine())[:, : image.width() * 3]
    return rows.reshape(image.height(), image.width(), 3).copy()


def shows(view: CompareView, image: np.ndarray, scale: int) -> list[QRect]:
    """Where `image` is painted with each pixel as one square, from the left."""
    wanted = image.repeat(scale, 0).repeat(scale, 1)
    height, width = wanted.shape[:2]
    seen = painted(view)
    found = []
    # Every place whose first row of pixels is right, then all of it.
    for y in range(seen.shape[0] - height + 1):
        for x in range(seen.shape[1] - width + 1):
            if (seen[y, x] == wanted[0, 0]).all() and (seen[y, x + 7] == wanted[0, 7]).all():
                part = seen[y : y + height, x : x + width]
                if np.array_equal(part, wanted):
                    found.append(QRect(x, y, width, height))
    return found


@pytest.fixture
def view(qtbot) -> CompareView:
    """A view whose pane is 228 logical pixels high and wide, with bf16 in A and int8 in B."""
    view = CompareView()
    qtbot.addWidget(view)
    view.pane.setFixedSize(228, 228)
    view.show()
    view.show_frames([A, B])
    return view


class TestArrangement:
    @given(
        st.integers(1, 4),
        st.integers(8, 900),
        st.integers(8, 900),
        st.integers(200, 2000),
        st.integers(200, 2000),
        st.sampled_from([None, *SCALES]),
        st.booleans(),
    )
    def test_cells_lie_in_the_area_and_on_nothing_else(
        self, count, width, height, area_width, area_height, scale, whole
    ):
        spacing = Spacing(strip=22, gap=12)
        got = arrange(
            count, width, height, area_width, area_height, Viewport(scale), whole, spacing
        )
        cells = [QRect(x, y - 22, got.width, got.height + 22) for x, y in got.corners]
        area = QRect(0, 0, area_width, area_height)
        assert len(cells) == count
        assert all(area.contains(cell) for cell in cells)
        assert not any(a.intersects(b) for a in cells for b in cells if a is not b)

    @given(
        st.integers(1, 900),
        st.integers(1, 900),
        st.sampled_from(SCALES),
        st.floats(-2000, 2000),
    )
    def test_a_magnified_picture_leaves_no_gap(self, size, area, scale, center):
        at = place_scaled(size, size, area, area, scale, center, -center)
        if at.width >= area:
            assert at.x <= 0
            assert at.x + at.width >= area
        else:
            assert at.x == (area - at.width) // 2

    def test_as_many_columns_as_make_pictures_largest(self):
        def columns(count: int, width: int, height: int) -> int:
            got = arrange(count, 100, 100, width, height, Viewport(), True, Spacing())
            return len({x for x, _ in got.corners})

        assert columns(2, 400, 200) == 2
        assert columns(2, 200, 400) == 1
        assert columns(4, 450, 450) == 2
        assert columns(4, 900, 200) == 4
        # Two by two would be no larger at a whole scale.
        assert columns(3, 330, 330) == 3
        # Three beside each other would be no larger and leave two places empty.
        assert columns(4, 330, 330) == 2

    def test_steps_of_magnification_stop_at_the_ends(self):
        assert Viewport().magnified(1, 1.62).scale == 2
        assert Viewport().magnified(-1, 1.62).scale == 1
        assert Viewport().magnified(99, 1.0).scale == SCALES[-1]
        assert Viewport().magnified(-99, 1.0).scale == SCALES[0]


class TestModes:
    def test_single_shows_the_active_pane(self, view):
        view.pane.show_scale(2.0)
        assert shows(view, A.image, 2)
        view.set_active(1)
        assert shows(view, B.image, 2)
        assert view.pane.frame is B
        assert not shows(view, A.image, 2)

    def test_side_by_side_has_one_pixel_grid(self, view):
        view.pane.set_integer_zoom(True)
        view.set_mode(CompareMode.SIDE)
        (a,), (b,) = shows(view, A.image, 1), shows(view, B.image, 1)
        assert a.y() == b.y()
        assert a.right() < b.left()

    def test_up_to_four(self, view):
        frames = [make_frame(p) for p in list(Precision)[:4]]
        view.pane.set_integer_zoom(True)
        view.set_mode(CompareMode.SIDE)
        view.show_frames(frames)
        places = [shows(view, frame.image, 1) for frame in frames]
        assert [len(one) for one in places] == [1, 1, 1, 1]

    def test_wipe_shows_a_left_and_b_right_of_the_line(self, view):
        view.show_frames([make_frame(Precision.FP32, 40), make_frame(Precision.INT8, 200)])
        view.set_mode(CompareMode.WIPE)
        middle = view.pane.image_center().toPoint()
        row = painted(view)[middle.y() - 40]
        assert tuple(row[middle.x() - 20]) == (40, 40, 40)
        assert tuple(row[middle.x() + 20]) == (200, 200, 200)
        view.set_upright(False)
        column = painted(view)[:, middle.x() - 60]
        assert tuple(column[middle.y() - 20]) == (40, 40, 40)
        assert tuple(column[middle.y() + 20]) == (200, 200, 200)

    def test_flip_shows_b_while_x_is_held(self, qtbot, view):
        view.set_mode(CompareMode.FLIP)
        for press, frame in ((None, A), (qtbot.keyPress, B), (qtbot.keyRelease, A)):
            if press is not None:
                press(view.pane, Qt.Key.Key_X)
            assert shows(view, frame.image, 3)

    def test_a_held_key_that_repeats_itself_does_not_flicker(self, view):
        view.set_mode(CompareMode.FLIP)
        none = Qt.KeyboardModifier.NoModifier
        for kind, again in ((QEvent.Type.KeyPress, False), (QEvent.Type.KeyRelease, True)):
            QApplication.sendEvent(view.pane, QKeyEvent(kind, Qt.Key.Key_X, none, "x", again))
        assert shows(view, B.image, 3)

    def test_b_does_not_stay_when_the_keyboard_goes_elsewhere(self, qtbot, view):
        view.set_mode(CompareMode.FLIP)
        qtbot.keyPress(view.pane, Qt.Key.Key_X)
        view.pane.hide()
        view.pane.show()
        QApplication.sendEvent(view.pane, QKeyEvent(QEvent.Type.FocusOut, 0, CONTROL))
        view.pane.clearFocus()
        view.pane.focusOutEvent(None)
        assert shows(view, A.image, 3)

    def test_a_difference_that_came_along_is_shown_as_it_is(self, view):
        made = FrameDifference(DifferenceKind.ABSOLUTE, 1, np.full((60, 60), 0.125, np.float32))
        view.show_frames([replace(A, difference=made), B])
        assert view.pane.compared.difference.values() is made.values
        view.set_difference(DifferenceOptions(DifferenceKind.SIGNED))
        assert view.pane.compared.difference.values() is not made.values, "of another kind"

    def test_a_difference_from_another_pane_is_not_shown(self, view):
        made = FrameDifference(DifferenceKind.ABSOLUTE, 2, np.full((60, 60), 0.125, np.float32))
        view.show_frames([replace(A, difference=made), B, B])
        expected = difference_map(DifferenceKind.ABSOLUTE, A.image, B.image)
        assert np.array_equal(view.pane.compared.difference.values(), expected)

    def test_difference_of_equal_pictures_is_black_and_of_others_is_not(self, view):
        view.set_mode(CompareMode.DIFFERENCE)
        center = view.pane.image_center().toPoint()
        gained = painted(view)[center.y(), center.x()]
        assert gained.max() > 60
        view.show_frames([A, replace(A, engine=B.engine)])
        corner = view.pane.image_center().toPoint() - QPoint(80, 60)
        assert painted(view)[corner.y(), corner.x()].max() < 10

    def test_equal_pictures_are_called_identical(self, qtbot, view):
        def words() -> list[str]:
            return [one.text() for one in view.bar.findChildren(QLabel)]

        view.set_mode(CompareMode.DIFFERENCE)
        assert view.pane.compared.identical_words() == ""
        view.show_frames([A, replace(A, engine=B.engine)])
        assert view.pane.compared.identical_words() == "A and B are identical"
        qtbot.waitUntil(lambda: "A and B are identical" in words())
        view.show_frames([replace(one, stride=2, seq=2) for one in (A, A)])
        assert view.pane.compared.identical_words() == "A and B are identical so far"

    @pytest.mark.parametrize("mode", list(CompareMode))
    def test_one_pane_can_be_shown_in_every_mode(self, view, mode):
        view.pane.set_integer_zoom(True)
        view.set_mode(mode)
        view.show_frame(A)
        assert shows(view, A.image, 3)

    @pytest.mark.parametrize("mode", list(CompareMode))
    def test_a_frame_is_reported_painted_once(self, view, mode):
        view.set_mode(mode)
        view.pane.repaint()
        seqs: list[int] = []
        view.pane.picture_painted.connect(lambda seq, paint_ms: seqs.append(seq))
        view.show_frames([replace(A, seq=5), replace(B, seq=5)])
        view.pane.repaint()
        view.pane.repaint()
        assert seqs == [5]

    def test_every_mode_follows_the_one_before(self):
        mode, seen = CompareMode.SINGLE, []
        for _ in CompareMode:
            seen.append(mode)
            mode = mode.after
        assert seen == list(CompareMode)
        assert mode is CompareMode.SINGLE

    @pytest.mark.parametrize(
        "other",
        [
            replace(B, seq=2),
            replace(B, stride=2),
            make_frame(Precision.INT8, size_px=61),
            replace(B, camera=Camera(np.eye(4), 60, 60, 81.0)),
            replace(B, camera=Camera(np.diag([1.0, -1.0, -1.0, 1.0]), 60, 60, 80.0)),
        ],
        ids=["request", "pass", "size", "focal length", "pose"],
    )
    def test_only_matching_frames_are_compared(self, view, other):
        with pytest.raises(ValueError, match="the panes differ in their"):
            view.show_frames([A, other])
        assert view.pane.frames == (A, B)


class TestAwaited:
    """Pane B was alone, and A has no picture yet."""

    @pytest.fixture
    def b_alone(self, view) -> CompareView:
        view.pane.set_integer_zoom(True)
        view.show_panes(["bf16", "int8"])
        view.set_active(1)
        view.show_frame(B)
        view.set_mode(CompareMode.SIDE)
        return view

    def test_b_stays_in_its_cell(self, b_alone):
        (place,) = shows(b_alone, B.image, 1)
        assert place.left() > b_alone.pane.width() / 2
        b_alone.show_frame(replace(B, seq=2))
        assert b_alone.pane.compared.awaited == (0,)
        assert shows(b_alone, B.image, 1) == [place]
        b_alone.show_frames([A, B])
        assert b_alone.pane.compared.awaited == ()
        assert shows(b_alone, B.image, 1) == [place]

    def test_of_two_the_first_is_left(self, b_alone):
        b_alone.show_frames([A, B])
        b_alone.show_panes(["bf16"])
        b_alone.show_frame(A)
        b_alone.show_panes(["bf16", "fp32"])
        assert b_alone.pane.compared.awaited == (1,)

    def test_where_a_has_left_b_is_the_first(self, b_alone, monkeypatch):
        b_alone.show_panes(["int8"])
        b_alone.show_frame(replace(B, seq=2))
        assert self.letters(b_alone, monkeypatch) == ["A"]

    @pytest.mark.parametrize(
        ("mode", "letters"),
        [
            (CompareMode.SIDE, ["A", "B"]),
            (CompareMode.WIPE, ["B"]),
            (CompareMode.FLIP, ["B"]),
            (CompareMode.DIFFERENCE, ["B"]),
        ],
    )
    def test_it_is_called_b(self, b_alone, monkeypatch, mode, letters):
        b_alone.set_mode(mode)
        assert self.letters(b_alone, monkeypatch) == letters

    def letters(self, view: CompareView, monkeypatch) -> list[str]:
        """Of the labels above the pictures."""
        labels: list[PaneLabel] = []
        monkeypatch.setattr(pane_label, "paint_label", lambda *args: labels.append(args[2]))
        view.pane.setFixedSize(240, 240)  # other labels than those that are kept
        painted(view)
        return list(dict.fromkeys(label.letter for label in labels))

    def test_a_file_can_be_dropped_on_either(self, qtbot, b_alone):
        for pane, x in enumerate((60, 170)):
            at = b_alone.pane.image_center(QPointF(x, 114))
            with qtbot.waitSignal(b_alone.pane.light_field_dropped) as dropped:
                b_alone.pane.take_drop("/fields/lego.tar", at)
            assert dropped.args == [pane, "/fields/lego.tar"]

    def test_points_are_those_of_the_one_picture(self, b_alone):
        pane = b_alone.pane
        a, b = (pane.image_center(QPointF(x, 114)) for x in (60, 170))
        assert pane.seen_point(b) == pytest.approx((30, 30))
        assert pane.seen_point(a) is None, "there is nothing to see"
        b_alone.show_frames([A, B])
        assert pane.seen_point(a) == pytest.approx((30, 30))
        assert pane.seen_point(b) == pytest.approx((90, 30))


class TestMagnifying:
    def wheel(self, view: CompareView, at: QPointF, eighths: int = 120) -> None:
        event = QWheelEvent(
            at,
            QPointF(view.pane.mapToGlobal(at.toPoint())),
            QPoint(),
            QPoint(0, eighths),
            Qt.MouseButton.NoButton,
            CONTROL,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(view.pane, event)

    @pytest.mark.parametrize("mode", [CompareMode.SINGLE, CompareMode.SIDE, CompareMode.WIPE])
    def test_the_pixel_under_the_pointer_stays_there(self, qtbot, view, mode):
        view.set_mode(mode)
        # So large that no edge of the picture is in the way.
        view.pane.show_scale(4.0)
        # In the middle of a pixel of the right-hand picture.
        at = view.pane.image_center(QPointF(170, 110)) + QPointF(10.5, -6.5)
        probes: list[PixelProbe] = []
        view.pane.probed.connect(probes.append)
        view.pane.pointed.emit(at)
        with qtbot.assertNotEmitted(view.pane.zoomed):
            for _ in range(6):
                self.wheel(view, at)
                view.pane.pointed.emit(at)
        assert view.pane.placement.scale >= 8
        assert len({(probe.x_px, probe.y_px) for probe in probes}) == 1

    def test_small_angles_add_up_to_steps(self, view):
        view.pane.show_scale(2.0)
        for _ in range(7):
            self.wheel(view, view.pane.image_center(), 15)
        assert view.pane.placement.scale == 2
        self.wheel(view, view.pane.image_center(), 15)
        assert view.pane.placement.scale == 3

    def test_pixels_become_squares_of_one_size_in_all_panes(self, view):
        view.set_mode(CompareMode.SIDE)
        view.pane.show_scale(8.0)
        seen = painted(view)
        for frame, x in ((A, 60), (B, 160)):
            at = view.pane.image_center(QPointF(x, 110)) + QPointF(4, 4)
            pixel = frame.image[30, 30]
            assert (seen[round(at.y()), round(at.x())] == pixel).all()

    def test_ctrl_drag_moves_what_is_seen_but_no_camera(self, qtbot, view):
        view.pane.show_scale(16.0)
        before = view.pane.image_center()
        with (
            qtbot.assertNotEmitted(view.pane.orbit_dragged),
            qtbot.assertNotEmitted(view.pane.drag_started),
        ):
            qtbot.mousePress(view.pane, Qt.MouseButton.LeftButton, CONTROL, QPoint(100, 100))
            qtbot.mouseMove(view.pane, QPoint(132, 84))
            qtbot.mouseRelease(view.pane, Qt.MouseButton.LeftButton, CONTROL, QPoint(132, 84))
        assert view.pane.image_center() - before == QPointF(32, -16)

    def test_a_picture_pushed_to_its_edge_comes_back_at_once(self, view):
        view.pane.show_scale(16.0)
        view.pane.slid.emit(10_000.0, 0.0)
        at_edge = view.pane.image_center()
        view.pane.slid.emit(-16.0, 0.0)
        assert view.pane.image_center() == at_edge - QPointF(16, 0)

    def test_fit_shows_all_of_it_again(self, qtbot, view):
        view.pane.show_scale(16.0)
        view.bar.fit_requested.emit()
        assert shows(view, A.image, 3) or view.pane.placement.width == 200
        view.bar.one_to_one_requested.emit()
        assert shows(view, A.image, 1)

    def test_numbers_and_grid_only_in_large_pixels_of_complete_pictures(self, view):
        def colors(scale: float, stride: int) -> int:
            frames = [make_frame(Precision.FP32, 90, stride=stride)]
            view.show_frames(frames)
            view.pane.show_scale(scale)
            middle = view.pane.image_center().toPoint()
            part = painted(view)[middle.y() - 48 : middle.y() + 48, middle.x() - 48 :][:, :96]
            return len(np.unique(part.reshape(-1, 3), axis=0))

        # Lines are darker where they cross.
        assert colors(8.0, 1) == 1
        assert colors(16.0, 1) == 3
        assert colors(48.0, 2) == 3
        assert colors(48.0, 1) > 10

    @pytest.mark.parametrize(("panes", "width"), [(2, 1600), (3, 2560), (3, 1024), (4, 2560)])
    @pytest.mark.parametrize("mode", [mode for mode in CompareMode if mode is not mode.SINGLE])
    def test_fit_fits_however_panes_are_compared(self, qtbot, view, mode, panes, width):
        view.pane.setFixedSize(width, 640)
        view.set_mode(mode)
        view.show_frames([make_frame(one, size_px=100) for one in list(Precision)[:panes]])
        view.pane.show_scale(2.0)
        view.bar.fit_requested.emit()
        pictures = panes if mode is CompareMode.SIDE else 1
        scale = view.pane.logical_px_per_image_px()
        # Nothing but margins, labels and gaps is left of the width or of the height.
        assert max(pictures * 100 * scale / width, 100 * scale / 640) > 0.9
        assert f"{scale:.2f}× smooth" in {one.text() for one in view.footer.findChildren(QLabel)}
        view.pane.set_integer_zoom(True)
        assert view.pane.logical_px_per_image_px() == int(scale)

    def test_gestures_count_in_pixels_of_the_picture_under_the_pointer(self, qtbot, view):
        view.pane.show_scale(1.0)
        view.set_mode(CompareMode.SIDE)
        for x in (60, 170):
            at = (view.pane.image_center(QPointF(x, 114)) + QPointF(10, -5)).toPoint()
            with qtbot.waitSignal(view.pane.centred) as centred:
                qtbot.mouseDClick(view.pane, Qt.MouseButton.LeftButton, pos=at)
            qtbot.mouseRelease(view.pane, Qt.MouseButton.LeftButton, pos=at)
            assert centred.args == pytest.approx([10.0, -5.0], abs=0.51)


class TestDivider:
    @pytest.fixture
    def divider(self, view) -> WipeDivider:
        view.set_mode(CompareMode.WIPE)
        return view.findChild(WipeDivider)

    def middle(self, divider: WipeDivider) -> QPoint:
        return divider.geometry().center()

    def test_it_is_there_only_in_a_wipe_of_two(self, view, divider):
        assert divider.isVisible()
        view.set_mode(CompareMode.FLIP)
        assert not divider.isVisible()
        view.set_mode(CompareMode.WIPE)
        view.show_frame(A)
        assert not divider.isVisible()

    def test_it_is_large_enough_for_a_hand(self, divider):
        assert min(divider.width(), divider.height()) >= 24

    def test_it_follows_the_hand_and_stops_at_the_edge(self, qtbot, view, divider):
        x = self.middle(divider).x()
        with qtbot.assertNotEmitted(view.pane.orbit_dragged):
            qtbot.mousePress(divider, Qt.MouseButton.LeftButton, pos=QPoint(15, 60))
            qtbot.mouseMove(divider, QPoint(35, 60))
            assert self.middle(divider).x() == pytest.approx(x + 20, abs=1)
            qtbot.mouseMove(divider, QPoint(900, 60))
            qtbot.mouseRelease(divider, Qt.MouseButton.LeftButton, pos=QPoint(15, 60))
        right = view.pane.image_center().x() + view.pane.placement.width / 2
        assert self.middle(divider).x() == pytest.approx(right, abs=1)
        qtbot.mouseDClick(divider, Qt.MouseButton.LeftButton)
        assert self.middle(divider).x() == x

    def test_keys_move_it(self, qtbot, view, divider):
        x = self.middle(divider).x()
        qtbot.keyClick(divider, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
        assert self.middle(divider).x() == pytest.approx(x + 0.1 * 180, abs=1)
        qtbot.keyClick(divider, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
        assert self.middle(divider).x() == x

    def test_it_can_lie_level(self, qtbot, view, divider):
        with qtbot.waitSignal(view.bar.upright_chosen) as chosen:
            qtbot.mouseClick(button(view.bar, "Divider"), Qt.MouseButton.LeftButton)
        assert chosen.args == [False]
        assert divider.width() > divider.height()
        y = self.middle(divider).y()
        qtbot.keyClick(divider, Qt.Key.Key_Down)
        assert self.middle(divider).y() > y


class TestPointer:
    def test_values_of_all_panes_and_their_difference(self, view):
        view.pane.set_integer_zoom(True)
        view.set_mode(CompareMode.SIDE)
        view.show_frames([make_frame(Precision.FP32, 40), make_frame(Precision.INT8, 43)])
        probes: list[PixelProbe | None] = []
        view.pane.probed.connect(probes.append)
        at = view.pane.image_center(QPointF(60, 114)) + QPointF(0.5, -9.5)
        view.pane.pointed.emit(at)
        assert probes[-1] == PixelProbe(30, 20, ((40,) * 3, (43,) * 3), "A−B −3 −3 −3")
        view.pane.pointed.emit(QPointF(2, 2))
        assert probes[-1] is None

    def test_they_follow_new_frames_under_a_pointer_that_rests(self, view):
        view.pane.pointed.emit(view.pane.image_center())
        readout = view.findChild(PixelReadout)
        view.show_frame(make_frame(Precision.FP32, 11))
        assert "11 11 11" in readout.text()
        assert "A" not in readout.text()

    def test_values_of_a_camera_that_moves_are_paced(self, view):
        probes: list[PixelProbe] = []
        view.pane.pointed.emit(view.pane.image_center())
        view.show_frame(make_frame(Precision.FP32, 10, stride=4))
        view.pane.probed.connect(probes.append)
        for value in range(11, 20):
            view.show_frame(make_frame(Precision.FP32, value, stride=4))
            view.pane.pointed.emit(view.pane.image_center())
        assert probes == [], "one was told just before"
        view.show_frame(make_frame(Precision.FP32, 20))
        assert probes
        assert {probe.colors for probe in probes} == {((20,) * 3,)}

    def test_the_difference_is_read_in_its_unit(self, view):
        view.show_frames([make_frame(Precision.FP32, 40), make_frame(Precision.INT8, 43)])
        view.set_mode(CompareMode.DIFFERENCE)
        view.pane.pointed.emit(view.pane.image_center())
        assert "absolute 3 levels" in view.findChild(PixelReadout).text()
        view.set_difference(DifferenceOptions(DifferenceKind.SIGNED))
        assert "signed −3 levels" in view.findChild(PixelReadout).text()

    def test_a_right_click_picks_a_pixel(self, qtbot, view):
        view.pane.show_scale(3.0)
        at = (view.pane.image_center() + QPointF(31, -28)).toPoint()
        with (
            qtbot.waitSignal(view.pane.pixel_picked) as picked,
            qtbot.assertNotEmitted(view.pane.drag_started),
        ):
            qtbot.mouseClick(view.pane, Qt.MouseButton.RightButton, pos=at)
        assert picked.args == [40, 20]

    def test_the_mark_of_a_pixel_leaves_with_the_camera(self, view):
        view.pane.show_scale(3.0)
        clean = painted(view)
        view.pane.picked.emit(0.0, 0.0)
        assert not np.array_equal(painted(view), clean)
        view.show_frames([A, B])
        assert not np.array_equal(painted(view), clean)
        camera = Camera(np.diag([1.0, -1.0, -1.0, 1.0]), 60, 60, 80.0)
        view.show_frames([replace(A, camera=camera), replace(B, camera=camera)])
        np.testing.assert_array_equal(painted(view), clean)

    def test_a_press_makes_its_pane_active(self, qtbot, view):
        view.set_mode(CompareMode.SIDE)
        at = view.pane.image_center(QPointF(170, 114)).toPoint()
        with qtbot.waitSignal(view.pane.pane_activated) as activated:
            qtbot.mouseClick(view.pane, Qt.MouseButton.LeftButton, pos=at)
        assert activated.args == [1]


class TestDifference:
    def test_options_ask_for_no_rendering_and_are_counted(self, qtbot, view):
        view.set_mode(CompareMode.DIFFERENCE)
        with qtbot.waitSignal(view.difference_counted) as counted:
            view.set_difference(DifferenceOptions(DifferenceKind.SIGNED, gain=4.0, locked=True))
        readout = counted.args[0]
        assert readout.kind is DifferenceKind.SIGNED
        assert readout.gain == 4.0
        assert sum(readout.histogram) + readout.clipped == 3600

    def test_it_is_counted_where_somebody_sees_it(self, qtbot, view):
        view.set_mode(CompareMode.SIDE)
        counted: list[object] = []
        view.difference_counted.connect(counted.append)
        count = view.findChildren(QTimer, options=Qt.FindChildOption.FindDirectChildrenOnly)
        view.set_counted(False)
        for timer in count:
            timer.timeout.emit()
        assert counted == []
        with qtbot.waitSignal(view.difference_counted):
            view.set_counted(True)
        view.set_counted(False)
        with qtbot.waitSignal(view.difference_counted) as seen:
            view.set_mode(CompareMode.DIFFERENCE)
        assert seen.args[0] is not None
        with qtbot.waitSignal(view.difference_counted) as gone:
            view.set_mode(CompareMode.SINGLE)
        assert gone.args[0] is None

    def test_a_slow_map_is_asked_for_once_the_picture_is_complete(self, qtbot, view):
        asked: list[tuple] = []
        view.map_wanted.connect(lambda kind, a, b: asked.append((kind, a, b)))
        view.set_mode(CompareMode.DIFFERENCE)
        view.set_difference(DifferenceOptions(DifferenceKind.FLIP))
        view.set_difference(DifferenceOptions(DifferenceKind.FLIP, gain=2.0))
        assert asked == [(DifferenceKind.FLIP, A, B)]
        coarse = [replace(A, stride=4), replace(B, stride=4)]
        view.show_frames(coarse)
        assert len(asked) == 1
        view.set_map(DifferenceKind.FLIP, np.ones((60, 60), np.float32), A, B)
        assert view.pane.compared.difference.values() is None

    def test_while_a_slow_map_is_computed_no_scale_is_shown(self, qtbot, view):
        bar = view.bar.findChild(ColorBar)

        def says(beginning: str) -> None:
            qtbot.waitUntil(lambda: bar.accessibleDescription().startswith(beginning))

        view.set_mode(CompareMode.DIFFERENCE)
        says("Absolute difference of the worst channel, 0 to ")
        view.set_difference(DifferenceOptions(DifferenceKind.FLIP))
        says("FLIP error: it is still computed.")
        view.set_map(DifferenceKind.FLIP, np.ones((60, 60), np.float32), A, B)
        says("FLIP error, 0 to ")

    def test_a_slow_map_is_shown_when_it_comes(self, view):
        view.set_mode(CompareMode.DIFFERENCE)
        view.set_difference(DifferenceOptions(DifferenceKind.FLIP, gain=1.0, locked=True))
        before = painted(view)
        view.set_map(DifferenceKind.FLIP, np.full((60, 60), 0.5, np.float32), A, B)
        center = view.pane.image_center().toPoint()
        shown = QColor(*(int(one) for one in painted(view)[center.y(), center.x()]))
        assert not np.array_equal(painted(view), before)
        assert shown.hsvSaturation() > 60


class TestLabels:
    @pytest.fixture
    def clock(self, monkeypatch) -> SimpleNamespace:
        clock = SimpleNamespace(now=50.0)
        monkeypatch.setattr(
            compare_surface, "time", SimpleNamespace(perf_counter=lambda: clock.now)
        )
        return clock

    def test_times_of_previews_do_not_dance(self, view, clock):
        view.pane.setFixedSize(900, 500)
        view.set_mode(CompareMode.SIDE)

        def seen(elapsed_ms: float, **values) -> np.ndarray:
            frames = [replace(one, elapsed_ms=elapsed_ms, **values) for one in (A, B)]
            view.show_frames(frames)
            return painted(view)

        clock.now += 1
        first = seen(42.0, stride=4)
        clock.now += 0.1
        assert np.array_equal(seen(77.0, stride=4), first)
        assert not np.array_equal(seen(77.0, stride=2), first), "what is shown is said at once"
        clock.now += 0.1
        preview = seen(88.0, stride=2)
        clock.now += 0.2
        assert not np.array_equal(seen(88.0, stride=2), preview)
        exact = seen(88.0, stride=1)
        assert not np.array_equal(seen(99.0, stride=1), exact)

    @pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0])
    @pytest.mark.parametrize("right", [False, True])
    def test_kept_ones_look_like_new_ones(self, view, ratio, right):
        label = PaneLabel.of(0, A)
        room = QRectF(12 / ratio, 10 / ratio, 300 / ratio, 31 / ratio)
        images = []
        kept = PaintedLabels(view.pane)
        view.pane.devicePixelRatioF = lambda: ratio
        for _ in range(3):
            image = QImage(400, 60, QImage.Format.Format_RGB32)
            image.setDevicePixelRatio(ratio)
            image.fill(QColor(theme.tones_of(view.pane).surround))
            painter = QPainter(image)
            if images:
                kept.paint(painter, room, label, True, right)
            else:
                paint_label(painter, room, label, view.pane, True, right)
            painter.end()
            images.append(image)
        assert images[1] == images[0]
        assert images[2] == images[0]

    def test_only_a_few_are_kept(self, view, monkeypatch):
        view.pane.setFixedSize(900, 500)
        view.set_mode(CompareMode.SIDE)
        made: list[PaneLabel] = []
        paint = pane_label.paint_label
        monkeypatch.setattr(
            pane_label, "paint_label", lambda *args: (made.append(args[2]), paint(*args))
        )
        painted(view)
        n_made = len(made)
        painted(view)
        assert len(made) == n_made, "nothing has changed"
        for elapsed_ms in range(20):
            view.show_frames([replace(one, elapsed_ms=float(elapsed_ms)) for one in (A, B)])
            painted(view)
        assert len(made) == n_made + 40
        view.show_frames([replace(one, elapsed_ms=19.0) for one in (A, B)])
        painted(view)
        assert len(made) == n_made + 40
        view.show_frames([replace(one, elapsed_ms=10.0) for one in (A, B)])
        painted(view)
        assert len(made) == n_made + 42, "those of long ago are forgotten"

    def test_everything_that_ran_is_named(self):
        label = PaneLabel.of(1, replace(B, stride=4))
        assert (label.letter, label.name, label.hatched) == ("B", "int8", False)
        details = ("torch", "15×15 of 60×60 · preview, interpolated", "42 ms")
        assert (label.engine, label.rendered, label.time) == details

    def test_where_there_is_less_room_preview_or_exact_stays_longest(self):
        label = PaneLabel.of(1, replace(B, stride=4))
        assert label.shorter == (
            "torch · 15×15 of 60×60 · preview, interpolated · 42 ms",
            "15×15 of 60×60 · preview, interpolated · 42 ms",
            "15×15 of 60×60 · preview, interpolated",
            "preview · 42 ms",
            "preview",
            "",
        )
        truth = replace(A, engine=replace(A.engine, engine=TRUTH))
        assert PaneLabel.of(2, truth).shorter[-3:] == ("exact", "exact", "")
        assert PaneLabel.of(2, replace(truth, why_blank="not at a pose")).shorter[-3:] == ("",) * 3

    def test_what_is_simulated_or_emulated_is_hatched(self):
        assert PaneLabel.of(0, make_frame(Precision.INT8_SIM)).hatched
        assert PaneLabel.of(0, replace(A, engine=replace(A.engine, emulated="no units"))).hatched

    def test_the_ground_truth_names_no_engine(self):
        label = PaneLabel.of(2, replace(A, engine=replace(A.engine, engine=TRUTH)))
        assert (label.letter, label.name) == ("C", "truth")
        assert (label.engine, label.rendered, label.time) == ("", "60×60 · exact", "")


def test_what_is_said_of_a_preview_makes_room_for_the_pixel_under_the_pointer(qtbot):
    footer = PictureFooter()
    qtbot.addWidget(footer)
    footer.resize(500, footer.height())
    footer.show_seen([make_frame(Precision.FP32, 40, stride=8)])
    footer.show()
    readout = footer.findChild(PixelReadout)
    colors = readout.fontMetrics().horizontalAdvance("A 255 255 255   B 255 255 255")
    footer.show_probe(PixelProbe(123, 123, ((255, 255, 255), (255, 255, 255))))
    qtbot.waitUntil(lambda: readout.width() > colors)
