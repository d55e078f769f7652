"""Camera paths in the window: edits, the time axis, playing, drawing and files."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtWidgets import QAbstractButton, QComboBox

from r2l_core.camera_paths.camera_path import CameraPath, Keyframe
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.orbit import Orbit
from r2l_core.types import Precision
from tests.viewer.find import named, words
from tests.viewer.manual_clock import ManualClock
from tests.viewer.states import shown
from viewer.app import App
from viewer.camera_path import path_editor, path_edits
from viewer.camera_path.path_drawing import PathDrawing
from viewer.state.panes import CompareMode
from viewer.state.viewpoint import ridden
from viewer.widgets.controls.flat import FlatCombo
from viewer.widgets.controls.value_spin import ValueSpin
from viewer.widgets.panels.key_panel import KeySettings
from viewer.widgets.panels.timeline_readout import TimelineReadout, clock
from viewer.widgets.panels.timeline_track import TimelineTrack

pytestmark = pytest.mark.slow


def keyframe(azimuth_deg: float, transition_s: float = 1.0) -> Keyframe:
    return Keyframe(Orbit(azimuth_deg, 20.0, 4.0).T_world_camera(), 40.0, transition_s)


def azimuths(path: CameraPath) -> list[int]:
    poses = [key.T_world_camera for key in path.keyframes]
    return [round(math.degrees(math.atan2(pose[1, 3], pose[0, 3]))) for pose in poses]


PATH = CameraPath(tuple(keyframe(azimuth) for azimuth in (0.0, 30.0, 60.0, 90.0)))


class TestEdits:
    def test_keyframes_are_added_where_the_playhead_is(self):
        path, index = path_edits.inserted(None, keyframe(5.0), 0.0)
        assert (azimuths(path), index) == ([5], 0)
        path, index = path_edits.inserted(path, keyframe(6.0), 0.0)
        assert (path.key_seconds, index) == ((0.0, path_edits.STEP_S), 1)
        path, index = path_edits.inserted(PATH, keyframe(7.0), 1.25)
        assert (azimuths(path), index) == ([0, 30, 7, 60, 90], 2)
        assert path.key_seconds == pytest.approx((0, 1, 1.25, 2, 3))

    def test_one_added_on_a_keyframe_follows_it(self):
        path, index = path_edits.inserted(PATH, keyframe(7.0), 1.0)
        assert index == 2
        assert path.key_seconds == pytest.approx((0, 1, 1.5, 2, 3))

    def test_retiming_past_others_changes_places_and_no_other_time(self):
        path, index = path_edits.retimed(PATH, 1, 2.5)
        assert (azimuths(path), index) == ([0, 60, 30, 90], 2)
        assert path.key_seconds == pytest.approx((0, 2, 2.5, 3))
        path, index = path_edits.retimed(PATH, 0, 1.5)
        assert (azimuths(path), index) == ([30, 0, 60, 90], 1)
        assert path.key_seconds == pytest.approx((0, 0.5, 1, 2))

    @given(st.integers(0, 3), st.floats(0, 50))
    def test_any_retiming_keeps_every_keyframe_and_an_order(self, index, seconds):
        path, at = path_edits.retimed(PATH, index, seconds)
        assert sorted(azimuths(path)) == [0, 30, 60, 90]
        assert azimuths(path)[at] == azimuths(PATH)[index]
        steps = np.diff(path.key_seconds)
        assert (steps >= path_edits.LEAST_STEP_S - 1e-9).all()

    def test_moving_keeps_the_times_of_the_places(self):
        long = path_edits.retimed(PATH, 3, 9.0)[0]
        path = path_edits.moved(long, 3, 1)
        assert azimuths(path) == [0, 90, 30, 60]
        assert path.key_seconds == pytest.approx(long.key_seconds)

    def test_removing_keeps_the_times_of_the_others(self):
        path = path_edits.removed(PATH, 1)
        assert path is not None
        assert path.key_seconds == pytest.approx((0, 2, 3))
        assert path_edits.removed(CameraPath((keyframe(1.0),)), 0) is None


class TestRide:
    @given(
        st.floats(-180, 179),
        st.floats(-90, 90),
        st.floats(0.5, 8),
        st.floats(30, 90),
    )
    def test_an_orbit_is_found_again(self, azimuth_deg, elevation_deg, radius, fov_y_deg):
        orbit = Orbit(azimuth_deg, elevation_deg, radius)
        focal_px = 100 / math.tan(math.radians(fov_y_deg) / 2)
        camera = Camera(orbit.T_world_camera(), 300, 200, focal_px)
        view = ridden(camera, (0.0, 0.0, 0.0))
        assert view.orbit.T_world_camera() == pytest.approx(camera.T_world_camera, abs=1e-6)
        assert view.orbit.radius == pytest.approx(radius)
        assert view.camera(300, 200) is camera
        focal_px = 150 / math.tan(math.radians(view.fov_x_deg) / 2)
        assert camera.focal_px == pytest.approx(focal_px)


def test_drawing_projects_into_image_pixels_and_leaves_out_what_is_behind():
    # Points on the camera's axis, above it, and behind it.
    def at(x: float, y: float, z: float) -> Keyframe:
        pose = np.eye(4)
        pose[:3, 3] = x, y, z
        return Keyframe(pose, 40.0)

    path = CameraPath((at(0, 0, -2), at(0, 1, -2), at(0, 0, 3)))
    overlay = PathDrawing(path).seen_by(Camera(np.eye(4), 60, 40, 100.0), 1)
    assert overlay.keys == ((30.0, 20.0), (30.0, -30.0), None)
    assert overlay.selected == 1
    points = [point for line in overlay.lines for point in line]
    assert all(x == pytest.approx(30.0) for x, _ in points)
    assert len(points) > 10


def test_keyframes_are_drawn_as_what_they_take_in():
    around = [Orbit(azimuth, 0.0, 4.0).T_world_camera() for azimuth in (0.0, 90.0, 180.0)]
    path = CameraPath(tuple(Keyframe(pose, 40.0) for pose in around))
    camera = Orbit(90.0, 80.0, 30.0).camera(60, 40, 60.0)
    seen = PathDrawing(path).seen_by(camera, 1)
    assert [len(lines) for lines in seen.frustums] == [5, 5, 5]
    for lines, dot in zip(seen.frustums, seen.keys, strict=True):
        assert all(line[0] == pytest.approx(dot) for line in lines[1:])
    # Not of the keyframe that one looks from: it would fill the picture.
    assert PathDrawing(path).seen_by(Camera(around[0], 60, 40, 60.0), 0).frustums[0] == ()


@pytest.fixture
def track(qtbot) -> TimelineTrack:
    track = TimelineTrack()
    qtbot.addWidget(track)
    track.resize(640, 44)
    track.show()
    track.show_readout(TimelineReadout((0.0, 1.0, 2.0), 2.0))
    return track


class TestTrack:
    def point(self, track: TimelineTrack, seconds: float) -> QPoint:
        return QPoint(round(track.x_of(seconds)), 16)

    def test_dragging_a_keyframe_retimes_it_once(self, qtbot, track):
        told: list[tuple[int, float]] = []
        track.retimed.connect(lambda index, seconds: told.append((index, seconds)))
        with qtbot.waitSignal(track.selected) as chosen:
            qtbot.mousePress(track, Qt.MouseButton.LeftButton, pos=self.point(track, 1.0))
        for seconds in (1.2, 1.4, 1.5):
            qtbot.mouseMove(track, self.point(track, seconds))
        qtbot.mouseRelease(track, Qt.MouseButton.LeftButton, pos=self.point(track, 1.5))
        assert chosen.args == [1]
        assert told == [(1, pytest.approx(1.5, abs=0.01))]

    def test_elsewhere_a_drag_scrubs_within_the_path(self, qtbot, track):
        told: list[float] = []
        track.scrubbed.connect(told.append)
        qtbot.mousePress(track, Qt.MouseButton.LeftButton, pos=self.point(track, 0.5))
        qtbot.mouseMove(track, QPoint(638, 16))
        qtbot.mouseRelease(track, Qt.MouseButton.LeftButton, pos=QPoint(638, 16))
        assert told == [pytest.approx(0.5, abs=0.01), 2.0]

    def test_keys(self, qtbot, track):
        told: list[tuple] = []
        for name in ("selected", "retimed", "moved", "delete_requested", "undo_requested"):
            getattr(track, name).connect(lambda *args, one=name: told.append((one, *args)))
        track.redo_requested.connect(lambda: told.append(("redo",)))
        track.show_readout(TimelineReadout((0.0, 1.0, 2.0), 2.0, selected=1))
        control, shift = (
            Qt.KeyboardModifier.ControlModifier,
            Qt.KeyboardModifier.ShiftModifier,
        )
        qtbot.keyClick(track, Qt.Key.Key_Right)
        qtbot.keyClick(track, Qt.Key.Key_Left, shift)
        qtbot.keyClick(track, Qt.Key.Key_Left, control)
        qtbot.keyClick(track, Qt.Key.Key_Delete)
        qtbot.keyClick(track, Qt.Key.Key_Z, control)
        qtbot.keyClick(track, Qt.Key.Key_Z, control | shift)
        assert told == [
            ("selected", 2),
            ("retimed", 1, pytest.approx(0.9)),
            ("moved", 1, 0),
            ("delete_requested",),
            ("undo_requested",),
            ("redo",),
        ]


def test_the_clock_has_tenths():
    assert [clock(s) for s in (0, 3.24, 59.99, 61.5)] == [
        "00:00.0",
        "00:03.2",
        "01:00.0",
        "01:01.5",
    ]


@pytest.fixture
def steps() -> ManualClock:
    """Seconds that pass when told."""
    return ManualClock()


@pytest.fixture
def app(write_light_field, make_app, until, steps) -> App:
    """Shows its first picture, and has a clock that the test moves on."""
    app = make_app(shown(write_light_field(), precision=Precision.FP32), clock=steps)
    app.start()
    until(lambda: app.report.has_picture)
    return app


class TestInTheWindow:
    def add_two(self, app: App) -> None:
        commands = app.window.commands
        commands.record.add_key.trigger()
        commands.views["side"].trigger()
        commands.record.add_key.trigger()

    def test_k_adds_the_present_view(self, app, qtbot):
        before = app.camera.camera()
        qtbot.keyClick(app.window.pane, Qt.Key.Key_K)
        path = app.camera_path.editor.path
        assert path is not None
        assert np.array_equal(path.keyframes[0].T_world_camera, before.T_world_camera)
        assert path.keyframes[0].fov_y_deg == pytest.approx(before.fov_y_deg)

    def test_the_timeline_opens_with_the_first_keyframe_and_has_room(self, app, qtbot):
        window = app.window
        assert not window.timeline.isVisible()
        self.add_two(app)
        assert window.timeline.isVisible()
        window.resize(1280, 720)
        qtbot.waitUntil(lambda: window.size().width() == 1280)
        buttons = window.timeline.findChildren(QAbstractButton)
        assert all(button.width() >= button.sizeHint().width() for button in buttons)
        assert window.timeline.track.width() > 400

    def test_edits_are_undone_apart_from_camera_moves(self, app):
        self.add_two(app)
        control, side = app.camera_path.editor, app.camera.orbit
        control.retime(1, 5.0)
        assert control.path.seconds == pytest.approx(5.0)
        control.undo()
        assert control.path.seconds == pytest.approx(path_edits.STEP_S)
        control.undo()
        control.undo()
        assert control.path is None
        control.redo()
        assert len(control.path.keyframes) == 1
        assert app.camera.orbit == side

    def test_choosing_a_keyframe_goes_there_and_can_be_undone(self, app):
        self.add_two(app)
        side = app.camera.orbit
        app.camera_path.player.select(0)
        first = app.camera_path.editor.path.keyframes[0]
        camera = app.camera.camera()
        assert np.array_equal(camera.T_world_camera, first.T_world_camera)
        app.camera.undo()
        assert app.camera.orbit == side

    def test_playing_follows_the_clock_and_stops_at_the_end(self, app, steps, until):
        self.add_two(app)
        control = app.camera_path.editor
        app.camera_path.player.play()
        assert np.allclose(
            app.camera.camera().T_world_camera, control.path.keyframes[0].T_world_camera
        )
        steps.now += 0.5
        steps.fire()
        assert control.seconds == pytest.approx(0.5)
        wanted = control.path.at(0.5).T_world_camera
        assert np.array_equal(app.camera.camera().T_world_camera, wanted)
        steps.now += 10
        steps.fire()
        assert not app.camera_path.player.playing
        assert control.seconds == control.path.seconds
        assert not app.window.commands.record.play.isChecked()

    def test_a_loop_goes_on(self, app, steps):
        self.add_two(app)
        control = app.camera_path.editor
        control.set_loop(True)
        app.camera_path.player.scrub(0.0)
        app.camera_path.player.play()
        steps.now += control.path.seconds + 0.25
        steps.fire()
        assert app.camera_path.player.playing
        assert control.seconds == pytest.approx(0.25)

    def test_a_hand_on_the_picture_ends_playing(self, app, steps):
        self.add_two(app)
        app.camera_path.player.play()
        steps.now += 0.5
        steps.fire()
        seen = app.camera.camera().T_world_camera
        app.gestures.drag_started()
        app.gestures.orbit_dragged(1.0, 0.0)
        assert not app.camera_path.player.playing
        # From where the path was, not from where the drag would have been before.
        assert app.camera.camera().T_world_camera == pytest.approx(seen, abs=0.1)

    def test_the_path_is_drawn_over_the_frame_it_belongs_to(self, app, until, monkeypatch):
        drawn = []
        monkeypatch.setattr(app.window.pane, "show_path", drawn.append)
        self.add_two(app)
        app.window.commands.views["top"].trigger()
        until(lambda: bool(drawn) and drawn[-1] is not None and len(drawn[-1].keys) == 2)
        app.camera_path.player.play()
        assert drawn[-1] is None

    def test_the_marked_keyframe_is_edited_and_seen(self, app, until, monkeypatch):
        wiped: list[float] = []
        monkeypatch.setattr(app.window.pane, "set_wipe", wiped.append)
        self.add_two(app)
        control, panel = app.camera_path.editor, app.camera_path.panel
        app.window.commands.compare.modes[CompareMode.WIPE].trigger()
        app.window.commands.record.edit_key.trigger()
        assert panel.isVisible()
        assert "Keyframe 2 at 00:02.0" in words(panel)
        precision_b = named(panel, QComboBox, "Precision of pane B")
        precision_b.setCurrentText("int8")
        precision_b.activated.emit(precision_b.currentIndex())
        wipe, fov = (named(panel, ValueSpin, one) for one in ("Wipe", "Vertical field of view"))
        wipe_as_before = named(panel, QAbstractButton, "Wipe as before")
        wipe_as_before.click()
        wipe.setValue(80.0)
        named(panel, QAbstractButton, "Gain as before").click()
        fov.setValue(25.0)
        easing = named(panel, FlatCombo, "Easing")
        easing.setCurrentIndex(easing.findText("Slow down to a stop"))
        easing.activated.emit(easing.currentIndex())
        key = control.path.keyframes[1]
        assert key.eases
        assert (key.precision_a, key.precision_b) == (None, Precision.INT8)
        assert (key.wipe, key.gain, key.fov_y_deg) == (pytest.approx(0.8), 8.0, 25.0)
        assert app.camera.camera().fov_y_deg == pytest.approx(25.0)
        assert wiped[-1] == pytest.approx(0.8)
        assert app.window.compare.view.pane.compared.difference.options.gain == 8.0
        app.camera_path.player.select(0)
        assert wipe_as_before.isChecked()
        assert not wipe.isEnabled()
        control.change(KeySettings(control.path.keyframes[0].fov_y_deg, wipe=0.2))
        app.camera_path.player.scrub(1.0)
        assert 0.2 < wiped[-1] < 0.8
        control.undo()
        assert control.path.keyframes[0].wipe is None
        app.camera_path.player.select(0)
        app.window.commands.views["top"].trigger()
        panel.view_requested.emit()
        top = control.path.keyframes[0].T_world_camera
        assert top[:3, 2] == pytest.approx([0.0, 0.0, 1.0], abs=0.02)
        control.use(None)
        assert "No keyframe is marked" in words(panel)
        assert not fov.isEnabled()

    def test_presets_begin_at_the_present_view(self, app):
        app.gestures.orbit_dragged(30.0, 0.0)
        orbit = app.camera.orbit
        app.window.commands.record.presets["turntable"].trigger()
        path = app.camera_path.editor.path
        assert path.loop
        assert len(path.keyframes) == 4
        assert path.seconds == pytest.approx(path_editor.PRESET_S)
        assert path.keyframes[0].T_world_camera == pytest.approx(orbit.T_world_camera())

    def test_four_views_added_around_the_scene_make_a_circle(self, app):
        control, start = app.camera_path.editor, app.camera.orbit
        for azimuth_deg in (0.0, 90.0, 180.0, 270.0):
            app.camera.set_orbit(start.orbited(azimuth_deg, 0.0))
            app.window.commands.record.add_key.trigger()
        control.set_loop(True)
        places = [control.path.at(second).T_world_camera[:3, 3] for second in np.linspace(0, 8, 33)]
        distances = np.linalg.norm(np.array(places) - start.pivot, axis=1)
        assert distances == pytest.approx(start.radius)

    @pytest.mark.parametrize("nerfstudio", [False, True])
    def test_files_of_both_kinds_come_back(self, app, until, tmp_path, nerfstudio):
        self.add_two(app)
        control, file = app.camera_path.editor, tmp_path / "p.json"
        before = control.path
        app.camera_path.save(str(file), nerfstudio)
        until(file.exists)
        assert ("camera_path" in json.loads(file.read_text())) == nerfstudio
        control.use(None)
        app.camera_path.open(str(file))
        until(lambda: control.path is not None)
        assert control.path.seconds == pytest.approx(before.seconds)
        for second in np.linspace(0, before.seconds, 9):
            poses = [path.at(float(second)).T_world_camera for path in (control.path, before)]
            assert poses[0] == pytest.approx(poses[1], abs=0.02)

    def test_a_file_that_is_no_path_is_an_error_that_names_it(self, app, until, tmp_path):
        (tmp_path / "p.json").write_text('{"format": "r2l-camera-path", "version": 1}')
        app.camera_path.open(str(tmp_path / "p.json"))
        until(lambda: "keyframes" in app.window.message.details())
        assert app.camera_path.editor.path is None
        app.expect_error()
