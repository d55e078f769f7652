"""The poses of a dataset over the picture: where they are drawn, named and gone to."""

from __future__ import annotations

import numpy as np
import pytest
from PyQt6.QtCore import QEvent, QPointF, Qt
from PyQt6.QtGui import QColor, QImage, QMouseEvent, QPainter
from PyQt6.QtWidgets import QApplication

from r2l_core.geometry.orbit import Orbit
from viewer.app import App
from viewer.dataset.pose_marking import PoseDrawing
from viewer.state.panes import CompareMode
from viewer.widgets.picture.drawn_overlays import HEADINGS, PoseOverlay, paint_poses

pytestmark = pytest.mark.slow

AROUND = [Orbit(90.0 * k, 0.0, 4.0).camera(40, 40, 50.0) for k in range(4)]
ORIGIN = (0.0, 0.0, 0.0)


class TestDrawing:
    def test_where_they_are(self):
        seen = PoseDrawing(AROUND, ORIGIN).seen_by(
            Orbit(-90.0, 0.0, 12.0).camera(100, 80, 90.0), None
        )
        by_view = dict(zip(seen.views.tolist(), seen.points.tolist(), strict=True))
        np.testing.assert_allclose(by_view[0], (50 + 90 * 4 / 12, 40), atol=1e-9)
        np.testing.assert_allclose(by_view[2], (50 - 90 * 4 / 12, 40), atol=1e-9)
        np.testing.assert_allclose(by_view[3], (50, 40), atol=1e-9)
        beyond = dict(zip(seen.views.tolist(), seen.beyond.tolist(), strict=True))
        assert (beyond[1], beyond[3]) == (True, False)

    def test_stalks_point_to_where_they_look(self):
        seen = PoseDrawing(AROUND, ORIGIN).seen_by(
            Orbit(-90.0, 0.0, 12.0).camera(100, 80, 90.0), None
        )
        headings = dict(zip(seen.views.tolist(), seen.headings.tolist(), strict=True))
        assert headings[0] == HEADINGS // 2, "the right one looks to the left"
        assert headings[2] == 0
        assert headings[1] == headings[3] == HEADINGS, "towards us and away from us"

    def test_what_is_behind_or_outside_is_not_there(self):
        eye = Orbit(0.0, 0.0, 4.0).camera(100, 80, 90.0)
        assert PoseDrawing(AROUND, ORIGIN).seen_by(eye, None).views.tolist() == [2]

    def test_one_place_for_all(self):
        same = [AROUND[0]] * 3
        seen = PoseDrawing(same, ORIGIN).seen_by(Orbit(0.0, 0.0, 9.0).camera(100, 80, 90.0), 1)
        assert seen.views.tolist() == [0, 1, 2]

    def test_the_frustum_is_what_the_camera_sees(self):
        eye = Orbit(-90.0, 0.0, 12.0).camera(100, 80, 90.0)
        seen = PoseDrawing(AROUND, ORIGIN).seen_by(eye, 0)
        assert len(seen.frustum) == 5
        assert len(seen.frustum[0]) == 5
        apex = seen.frustum[1][0]
        np.testing.assert_allclose(apex, seen.point_of(0))
        # It looks to the left, so its base lies there.
        assert all(column < apex[0] for column, _ in seen.frustum[0])
        assert PoseDrawing(AROUND, ORIGIN).seen_by(AROUND[0], 2).frustum
        assert not PoseDrawing(AROUND, ORIGIN).seen_by(AROUND[0], 0).frustum


def overlay(**changed) -> PoseOverlay:
    values = {
        "views": np.array([4, 7, 9]),
        "points": np.array([[10.0, 10.0], [30.0, 10.0], [12.0, 10.0]]),
        "headings": np.array([0, HEADINGS, 5]),
        "beyond": np.array([True, False, False]),
    }
    return PoseOverlay(**{**values, **changed})


class TestOverlay:
    def test_the_nearest_is_found(self):
        assert overlay().nearest((28.0, 11.0), 5.0) == 7
        assert overlay().nearest((20.0, 30.0), 5.0) is None

    def test_those_in_front_come_first(self):
        assert overlay().nearest((10.0, 10.0), 5.0) == 9
        assert overlay().nearest((6.0, 10.0), 5.0) == 4

    def test_dots_are_where_they_should_be(self, qapp):
        image = QImage(80, 40, QImage.Format.Format_RGB32)
        image.fill(QColor("#808080"))
        painter = QPainter(image)
        paint_poses(painter, overlay(marked=7), QPointF(10, 5), 2.0)
        painter.end()
        assert image.pixelColor(10 + 60, 5 + 20) == QColor("#f2c14e")
        assert image.pixelColor(10 + 24, 5 + 20).lightness() > 200
        faint = image.pixelColor(10 + 20, 5 + 20).lightness()
        assert 128 < faint < 240
        assert image.pixelColor(5, 35) == QColor("#808080")


def at_dot(app: App, position: int) -> QPointF:
    """Where a drawn dot is, in the pane's logical pixels."""
    pane, drawn = app.window.pane, app.pose_marking.overlay
    camera = pane.frame.camera
    offset = drawn.points[position] - (camera.width_px / 2, camera.height_px / 2)
    return pane.image_center() + QPointF(*offset.tolist()) * pane.logical_px_per_image_px()


@pytest.fixture
def from_afar(app, until, dataset) -> App:
    """All poses are in sight."""
    app.camera.set_orbit(Orbit(20.0, 50.0, 14.0))
    until(lambda: app.pose_marking.overlay is not None and len(app.pose_marking.overlay.views) == 4)
    return app


def click(pane, at: QPointF, moved: QPointF | None = None) -> None:
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    steps = [(QEvent.Type.MouseButtonPress, at, left, left)]
    if moved is not None:
        at = at + moved
        steps.append((QEvent.Type.MouseMove, at, none, left))
    steps.append((QEvent.Type.MouseButtonRelease, at, left, none))
    for kind, place, button, buttons in steps:
        where = QPointF(pane.mapToGlobal(place.toPoint()))
        no_key = Qt.KeyboardModifier.NoModifier
        QApplication.sendEvent(pane, QMouseEvent(kind, place, where, button, buttons, no_key))


class TestInTheWindow:
    def test_nothing_is_drawn_without_a_dataset(self, app):
        app.window.pane.pointed.emit(QPointF(100, 100))
        assert app.pose_marking.overlay is None
        assert not app.window.commands.show_poses.isEnabled()

    def test_the_one_under_the_pointer_is_named_and_shown(self, from_afar, until):
        app = from_afar
        app.window.pane.pointed.emit(at_dot(app, 2))
        card = app.pose_marking.card
        assert card.words() == "test/r_2"
        assert app.pose_marking.overlay.marked == 2
        assert len(app.pose_marking.overlay.frustum) == 5
        until(card.has_photograph)
        app.window.pane.pointed.emit(QPointF(1, 1))
        assert card.words() == ""
        assert app.pose_marking.overlay.marked is None

    def test_a_click_goes_there(self, from_afar, until, dataset):
        app = from_afar
        click(app.window.pane, at_dot(app, 1))
        assert app.camera.camera() is dataset.cameras[1]

    def test_a_drag_that_begins_on_one_orbits(self, from_afar):
        app = from_afar
        before = app.camera.orbit
        app.window.pane.pointed.emit(at_dot(app, 1))
        click(app.window.pane, at_dot(app, 1), QPointF(30, 0))
        assert app.camera.pose is None
        assert app.camera.orbit != before
        assert app.pose_marking.card.words() == ""

    def test_a_click_elsewhere_does_nothing(self, from_afar):
        app = from_afar
        before = app.camera.camera()
        click(app.window.pane, app.window.pane.image_center())
        assert app.camera.camera().same_view(before)

    def test_they_can_be_switched_off(self, from_afar):
        app = from_afar
        app.window.commands.show_poses.trigger()
        assert app.pose_marking.overlay is None
        app.gestures.orbit_dragged(10.0, 0.0)
        app.window.pane.pointed.emit(QPointF(200, 200))
        assert app.pose_marking.overlay is None
        app.window.commands.show_poses.trigger()
        assert app.pose_marking.overlay is not None

    def test_they_are_off_while_comparing_until_asked_for(self, from_afar, until):
        app, action = from_afar, from_afar.window.commands.show_poses
        app.window.commands.compare.modes[CompareMode.SIDE].trigger()
        until(lambda: len(app.window.pane.frames) == 2)
        assert app.pose_marking.overlay is None
        assert not action.isChecked()
        action.trigger()
        until(lambda: app.pose_marking.overlay is not None)
        app.window.commands.compare.modes[CompareMode.SINGLE].trigger()
        assert action.isChecked()

    def test_films_have_the_rendered_pixels_alone(self, from_afar):
        pane = from_afar.window.pane
        assert pane.compared.seen_pixels() is pane.frame.image
