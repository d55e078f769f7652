"""Gestures into requests, frames past the stale ones, and measurements into numbers.

There is no window and no thread here: what the controller asks for is read from its mailbox, and
its clock and timers do only what the test says.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from r2l_core.geometry.camera import Camera
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.scene import PRESETS, SceneSpec
from r2l_core.render.frames import Frame, FrameTimings, RenderRequest
from r2l_core.types import Availability, EngineInfo, Precision, RayMode
from tests.viewer.manual_clock import ManualClock
from tests.viewer.states import shown
from viewer.camera.bookmarks import BookmarkController
from viewer.camera.controller import CameraController
from viewer.camera.gestures import DEGREES_PER_PX, CameraGestures
from viewer.camera.motion import FLIGHT_RADII_PER_S
from viewer.rendering.controller import RenderController
from viewer.rendering.mailbox import Mailbox
from viewer.rendering.performance import PerformanceMonitor
from viewer.rendering.running import Running
from viewer.rendering.starting import Looking
from viewer.state.panes import CompareMode, PaneChoice
from viewer.state.resolve import Capabilities, Wish, wish_of
from viewer.state.view_state import DRAG_FPS, StateStore, ViewState
from viewer.state.viewpoint import Bookmarks
from viewer.widgets.panels.performance_readout import ImageCost

SCENE = replace(PRESETS["demo"], width_px=200, height_px=100)
STATE = shown("a.safetensors", precision=Precision.FP32, engine="torch", device="cpu")
WISH = wish_of(STATE, Capabilities())


class Desk:
    """A controller and everything it said."""

    def __init__(self, clock: ManualClock, state: ViewState = STATE) -> None:
        self.clock = clock
        self.mailbox = Mailbox()
        self.store = StateStore(state)
        self.camera = CameraController(self.store, clock=clock)
        self.gestures = CameraGestures(self.camera, clock=clock)
        self.bookmarks = BookmarkController(self.camera, Bookmarks(), self.camera)
        self.rendering = RenderController(self.mailbox, self.store, self.camera, clock=clock)
        self.performance = PerformanceMonitor(clock=clock)
        self.rendering.frames_shown.connect(self.performance.frames_shown)
        self.glide, self.readout_timer = sorted(clock.timers, key=lambda timer: timer.interval_ms)
        self.orbits: list[tuple[Orbit, float]] = []
        self.badges: list[str] = []
        self.shown: list[Frame] = []
        self.readouts: list = []
        self.camera.orbit_changed.connect(lambda orbit, fov: self.orbits.append((orbit, fov)))
        self.rendering.badge_changed.connect(self.badges.append)
        self.rendering.frames_shown.connect(self.shown.extend)
        self.performance.readout_ready.connect(self.readouts.append)

    def run(self, running: Running) -> None:
        """What the application does when the render thread has something new."""
        self.rendering.run(running)
        self.bookmarks.enter(running.name)

    def request(self) -> RenderRequest:
        """Take the pending request."""
        assert self.mailbox.pending()
        work = self.mailbox.take()
        assert work is not None
        assert work.request is not None
        return work.request

    def wish(self) -> Wish:
        """Take the pending wish."""
        assert self.mailbox.pending()
        work = self.mailbox.take()
        assert work is not None
        assert work.wish is not None
        return work.wish

    def read_out(self):
        """What the panels would show now."""
        self.readout_timer.fire()
        return self.readouts[-1]

    def drag(self, *steps: tuple[float, float, float]) -> None:
        """Press, move by (dx, dy) after each pause in seconds, and release."""
        self.gestures.drag_started()
        for pause_s, dx, dy in steps:
            self.clock.now += pause_s
            self.gestures.orbit_dragged(dx, dy)
        self.gestures.drag_finished()


def running(
    epoch: int = 1,
    wish: Wish = WISH,
    scene: SceneSpec = SCENE,
    ray_mode: RayMode = "canonical",
    precision: Precision = Precision.FP32,
) -> Running:
    info = EngineInfo("torch", precision, "cpu", "float32", "float32", "torch", 1)
    return Running(
        epoch,
        wish,
        "a",
        "tiny",
        scene,
        ray_mode,
        (info,),
        {p: Availability(True) for p in Precision},
        choices={},
        truths={"truth": Availability(False, "there is none")},
        notes=(),
        sha256={},
        scene_from="file",
        light_field=None,
    )


def frame(seq: int = 1, epoch: int = 1, stride: int = 1, **changed) -> Frame:
    camera = Camera(np.eye(4), 200, 100, 240.0)
    values = {
        "network_rays": 20_000,
        "timings": FrameTimings(1.0, 2.0, 6.0, 1.0),
        "elapsed_ms": 12.0,
        "created_s": 0.0,
    }
    return Frame(
        seq=seq,
        epoch=epoch,
        camera=camera,
        image=np.zeros((100, 200, 3), np.uint8),
        stride=stride,
        engine=running().engine,
        **{**values, **changed},
    )


def in_file(checkpoint: str, rays: str = "auto") -> Wish:
    """What waits when a file was opened."""
    light_field = replace(STATE.light_field, checkpoint=checkpoint, rays=rays)
    return replace(WISH, light_field=light_field)


def of(state: ViewState) -> Wish:
    return wish_of(state, Capabilities())


def seen_at(camera: Camera, point: np.ndarray) -> np.ndarray:
    """Where a world point lies in the picture: pixels from the centre, right and down."""
    x, y, z = camera.T_world_camera[:3, :3].T @ (point - camera.position)
    return np.array([x, -y]) * camera.focal_px / -z


@pytest.fixture
def idle(qapp) -> Desk:
    """Before the first light field is open."""
    return Desk(ManualClock())


@pytest.fixture
def desk(idle) -> Desk:
    """With a light field, whose first request is taken already."""
    idle.rendering.start()
    idle.run(running(wish=idle.wish()))
    idle.request()
    idle.orbits.clear()
    return idle


def answered(desk: Desk, epoch: int = 2, **changed) -> Running:
    """What the render thread says once it has built what waits."""
    return running(epoch, desk.wish(), **changed)


class TestWishes:
    def test_the_first_is_of_the_first_state(self, idle):
        idle.rendering.start()
        assert idle.wish() == WISH

    def test_a_precision_changes_nothing_else(self, desk):
        desk.rendering.choose_precision(Precision.BF16)
        assert desk.wish() == replace(WISH, panes=(PaneChoice(Precision.BF16, "torch"),))

    def test_the_best_precision_is_known_once_it_runs_and_asks_for_nothing(self, qapp):
        state = shown("a.safetensors")
        desk = Desk(ManualClock(), state)
        desk.rendering.start()
        desk.run(answered(desk, 1, precision=Precision.BF16))
        assert desk.store.state.panes == (PaneChoice(Precision.BF16),)
        work = desk.mailbox.take()
        assert work is not None
        assert work.wish is None

    def test_another_file_keeps_the_engine_choices_but_not_the_scene(self, desk):
        desk.rendering.set_scene("demo")
        desk.rendering.open("b.safetensors")
        light_field = replace(STATE.light_field, checkpoint="b.safetensors")
        assert desk.wish() == replace(WISH, light_field=light_field)

    def test_a_file_that_is_open_can_be_opened_again(self, desk):
        desk.rendering.open("a.safetensors")
        assert desk.wish() == WISH

    @pytest.mark.parametrize(("on", "rays"), [(True, "canonical"), (False, "plain")])
    def test_rays(self, desk, on, rays):
        desk.rendering.set_canonical(on)
        assert desk.wish().light_field == replace(STATE.light_field, rays=rays)

    def test_choices_in_a_row_add_up(self, desk):
        desk.rendering.choose_precision(Precision.BF16)
        desk.rendering.open("b.safetensors")
        desk.rendering.set_canonical(False)
        state = shown("b.safetensors", None, Precision.BF16, "torch", "cpu", "plain")
        assert desk.wish() == of(state)

    def test_one_that_waits_outlives_the_answer_to_an_earlier_one(self, desk):
        desk.rendering.choose_precision(Precision.BF16)
        earlier = answered(desk, precision=Precision.BF16)
        desk.rendering.open("b.safetensors")
        desk.run(earlier)
        desk.rendering.set_canonical(False)
        assert desk.wish().light_field.checkpoint == "b.safetensors"

    def test_after_a_failure_the_state_is_what_runs(self, desk):
        desk.rendering.open("broken.safetensors")
        desk.rendering.fail(desk.wish())
        assert desk.store.state.light_field == STATE.light_field
        desk.rendering.choose_precision(Precision.BF16)
        assert desk.wish() == of(desk.store.state)

    def test_what_was_done_to_the_camera_meanwhile_stays(self, desk):
        desk.rendering.choose_precision(Precision.BF16)
        desk.gestures.orbit_dragged(10, 0)
        view = desk.camera.viewpoint
        desk.rendering.fail(desk.wish())
        assert desk.store.state.viewpoint == view
        assert desk.store.state.panes == STATE.panes

    def test_what_failed_can_be_wanted_again(self, desk):
        desk.rendering.choose_precision(Precision.BF16)
        asked = desk.rendering.fail(desk.wish())
        desk.rendering.want(asked)
        desk.run(answered(desk, precision=Precision.BF16))
        assert desk.store.state.panes == (PaneChoice(Precision.BF16),)

    def test_the_failure_of_an_earlier_one_changes_nothing(self, desk):
        desk.rendering.open("broken.safetensors")
        earlier = desk.wish()
        desk.rendering.open("b.safetensors")
        desk.rendering.fail(earlier)
        desk.rendering.choose_precision(Precision.BF16)
        assert desk.wish().light_field.checkpoint == "b.safetensors"

    def test_a_failure_goes_back_to_the_last_that_ran(self, desk):
        desk.rendering.choose_precision(Precision.BF16)
        desk.run(answered(desk, precision=Precision.BF16))
        desk.rendering.choose_precision(Precision.INT8)
        desk.rendering.fail(desk.wish())
        assert desk.store.state.panes == (PaneChoice(Precision.BF16),)

    def test_another_way_of_comparing_asks_for_nothing(self, desk):
        panes = (PaneChoice(Precision.FP32), PaneChoice(Precision.BF16))
        desk.store.set(replace(STATE.with_panes(panes), mode=CompareMode.SIDE))
        desk.run(answered(desk))
        desk.mailbox.take()
        desk.store.change(mode=CompareMode.WIPE, active=1)
        assert not desk.mailbox.pending()
        desk.store.set(desk.store.state.showing(Precision.INT8))
        desk.rendering.fail(desk.wish())
        assert (desk.store.state.mode, desk.store.state.active) == (CompareMode.WIPE, 1)

    def test_a_failure_before_anything_runs_keeps_what_was_asked_for(self, idle):
        idle.rendering.start()
        idle.rendering.fail(idle.wish())
        assert idle.store.state == STATE


class TestOpening:
    def test_the_camera_goes_home(self, idle):
        idle.run(running())
        fov_x_deg = math.degrees(SCENE.camera_angle_x_rad)
        assert idle.orbits == [(SCENE.home(), pytest.approx(fov_x_deg))]
        camera = idle.request().camera
        assert (camera.width_px, camera.height_px) == (200, 100)
        assert camera.focal_px == pytest.approx(SCENE.focal_px(200))

    @pytest.mark.parametrize(
        "changed",
        [
            {"precision": Precision.BF16, "wish": of(STATE.showing(Precision.BF16))},
            {"ray_mode": "plain", "wish": in_file("a.safetensors", rays="plain")},
        ],
    )
    def test_the_same_light_field_keeps_camera_and_size(self, desk, changed):
        desk.gestures.orbit_dragged(100, 50)
        desk.camera.set_fov_x_deg(60)
        desk.store.change(render_size_px=(64, 32))
        before = desk.request().camera
        desk.run(running(2, **changed))
        after = desk.request().camera
        np.testing.assert_array_equal(after.T_world_camera, before.T_world_camera)
        assert (after.width_px, after.focal_px) == (64, before.focal_px)

    @pytest.mark.parametrize(
        "changed",
        [
            {"wish": in_file("elsewhere/a.safetensors")},
            {"scene": replace(SCENE, view_radius=3.0)},
        ],
        ids=["of the same name and scene", "in another scene"],
    )
    def test_another_light_field_resets_the_camera(self, desk, changed):
        desk.gestures.orbit_dragged(100, 50)
        desk.camera.set_fov_x_deg(60)
        desk.store.change(render_size_px=(64, 32))
        opened = running(2, **changed)
        desk.run(opened)
        assert desk.camera.orbit == opened.scene.home()
        assert desk.request().camera.width_px == 200

    def test_nothing_is_asked_for_before(self, idle):
        idle.gestures.orbit_dragged(10, 0)
        idle.store.change(render_size_px=(64, 64))
        idle.rendering.refresh()
        assert not idle.mailbox.pending()


class TestWaiting:
    """A sharp picture stays, and is said to be what it is, until another one is as good."""

    @pytest.fixture
    def said(self, desk):
        said = []
        desk.rendering.waiting_changed.connect(said.append)
        desk.rendering.show((frame(seq=50),))
        desk.rendering.choose_precision(Precision.INT8)
        desk.run(answered(desk))
        return said

    def test_until_the_new_one_has_a_quarter_of_the_resolution(self, desk, said):
        assert said == ["still fp32, int8 is on its way"]
        for stride in (32, 16, 8):
            desk.rendering.show((frame(seq=60, epoch=2, stride=stride),))
        assert [one.epoch for one in desk.shown] == [1]
        desk.rendering.show((frame(seq=60, epoch=2, stride=4),))
        assert [one.epoch for one in desk.shown] == [1, 2]
        assert said[-1] == ""

    def test_another_view_is_shown_however_coarse(self, desk, said):
        moved = replace(frame(seq=60, epoch=2, stride=32), camera=Camera(np.eye(4), 200, 100, 99.0))
        desk.rendering.show((moved,))
        assert desk.shown[-1] is moved
        assert said[-1] == ""

    def test_another_pane_is_shown_at_once(self, desk, said):
        desk.rendering.show((frame(seq=60, epoch=2, stride=32),) * 2)
        assert desk.shown[-1].epoch == 2

    def test_no_picture_is_no_reason_to_wait(self, desk, said):
        desk.rendering.show((frame(seq=60, epoch=2, stride=32, why_blank="no pose"),))
        assert said[-1] == ""

    def test_of_panes_that_are_compared_the_one_that_is_replaced_is_named(self, desk):
        said = []
        desk.rendering.waiting_changed.connect(said.append)
        desk.rendering.show((frame(seq=50),))
        a, b, c = (PaneChoice(one) for one in (Precision.FP32, Precision.BF16, Precision.INT8))
        desk.store.set(replace(desk.store.state, panes=(a, b), mode=CompareMode.SIDE))
        assert said == [], "one more pane replaces nothing"
        desk.store.set(replace(desk.store.state, panes=(a, c)))
        assert said == ["int8 in B is on its way"]

    def test_what_was_asked_for_last_is_said_to_be_on_its_way(self, desk):
        said = []
        desk.rendering.waiting_changed.connect(said.append)
        desk.rendering.show((frame(seq=50),))
        for precision in (Precision.INT8_SIM, Precision.INT8, Precision.INT8):
            desk.rendering.choose_precision(precision)
        assert said == [
            "still fp32, int8-sim is on its way",
            "still fp32, int8 is on its way",
        ]

    def test_of_light_fields_their_names_are_said(self, desk):
        said = []
        desk.rendering.waiting_changed.connect(said.append)
        desk.rendering.show((frame(seq=50),))
        desk.rendering.open("/files/b.safetensors")
        assert said == ["still a, b is on its way"]

    @pytest.mark.parametrize(
        ("before", "after", "mode", "expected"),
        [
            ("ab", "ba", CompareMode.SIDE, ["bf16 in A and fp32 in B are on their way"]),
            ("aba", "ab", CompareMode.SIDE, ["still fp32"]),
            ("ab", "abb", CompareMode.SIDE, []),
            ("", "b", CompareMode.SINGLE, ["still fp32, bf16 is on its way"]),
        ],
    )
    def test_only_what_is_added_keeps_what_is_shown(self, idle, before, after, mode, expected):
        choices = {"a": PaneChoice(Precision.FP32), "b": PaneChoice(Precision.BF16)}
        before, after = (tuple(choices[one] for one in panes) for panes in (before, after))
        said = []
        idle.store.set(replace(idle.store.state, panes=before, mode=mode))
        idle.rendering.start()
        idle.rendering.look(Looking("a", SCENE, "canonical", running().engine))
        idle.rendering.show((frame(seq=50, epoch=0),))
        idle.rendering.waiting_changed.connect(said.append)
        idle.store.set(replace(idle.store.state, panes=after))
        assert said == expected

    def test_what_failed_is_waited_for_no_longer(self, desk):
        said = []
        desk.rendering.waiting_changed.connect(said.append)
        desk.rendering.show((frame(seq=50),))
        desk.rendering.choose_precision(Precision.INT8)
        desk.rendering.fail(desk.wish())
        assert said[-1] == ""


class TestFirstLook:
    """Something is shown, and the camera turns, before anything runs."""

    @pytest.fixture
    def looking(self, idle):
        idle.rendering.start()
        self.wish = idle.wish()
        idle.rendering.look(Looking("a", SCENE, "canonical", running().engine))
        return idle

    def test_its_frames_are_shown_until_something_runs(self, looking):
        looking.rendering.show((frame(seq=looking.request().seq, epoch=0, stride=16),))
        assert [one.epoch for one in looking.shown] == [0]
        looking.run(running(wish=self.wish))
        looking.rendering.show((frame(seq=90, epoch=0, stride=8),))
        assert len(looking.shown) == 1

    def test_the_camera_stays_where_it_was_dragged_to(self, looking):
        before = looking.request().camera
        looking.gestures.orbit_dragged(30.0, 0.0)
        dragged = looking.request().camera
        assert not dragged.same_view(before)
        looking.run(running(wish=self.wish))
        assert looking.request().camera.same_view(dragged)

    def test_comes_too_late_once_something_runs(self, desk):
        desk.rendering.look(Looking("a", replace(SCENE, name="other"), "plain", running().engine))
        assert desk.camera.scene.name == SCENE.name


class TestGestures:
    def test_each_is_a_newer_request_made_now(self, desk):
        desk.clock.now = 5.0
        desk.gestures.orbit_dragged(1, 0)
        first = desk.request()
        desk.clock.now = 6.0
        desk.gestures.orbit_dragged(1, 0)
        second = desk.request()
        assert (first.created_s, second.created_s) == (5.0, 6.0)
        assert second.seq > first.seq

    def test_the_scene_turns_with_the_pointer(self, desk):
        home = SCENE.home()
        desk.gestures.orbit_dragged(10, 20)
        assert desk.camera.orbit == replace(
            home,
            azimuth_deg=home.azimuth_deg - 10 * DEGREES_PER_PX,
            elevation_deg=home.elevation_deg + 20 * DEGREES_PER_PX,
        )
        # What faces the camera moves right and down with the pointer.
        facing = home.T_world_camera()[:3, 2]
        right, down = seen_at(desk.request().camera, facing)
        assert right > 0
        assert down > 0

    def test_turning_stops_at_the_poles(self, desk):
        desk.gestures.orbit_dragged(0, 10_000)
        assert desk.camera.orbit.elevation_deg == 90
        desk.gestures.orbit_dragged(0, -100_000)
        assert desk.camera.orbit.elevation_deg == -90

    def test_panning_takes_the_pivot_with_the_pointer(self, desk):
        desk.gestures.pan_dragged(12, -7)
        np.testing.assert_allclose(
            seen_at(desk.request().camera, np.asarray(SCENE.center)), [12, -7], atol=1e-9
        )

    def test_zooming_leaves_what_is_under_the_pointer(self, desk):
        before = desk.camera.camera()
        axes = before.T_world_camera[:3, :3]
        under = np.asarray(SCENE.center) + 0.4 * axes[:, 0] + 0.3 * axes[:, 1]
        at = seen_at(before, under)
        desk.gestures.zoomed(0.5, *at)
        assert desk.camera.orbit.radius == pytest.approx(SCENE.view_radius / 2)
        np.testing.assert_allclose(seen_at(desk.request().camera, under), at, atol=1e-9)

    @pytest.mark.parametrize("at", [(30.0, -20.0), (-99.0, 49.0), (0.0, 0.0)])
    def test_centring_puts_the_point_under_the_pointer_into_the_middle(self, desk, at):
        before = desk.camera.camera()
        pose = before.T_world_camera
        reach = SCENE.view_radius / before.focal_px
        point = np.asarray(SCENE.center) + reach * (at[0] * pose[:3, 0] - at[1] * pose[:3, 1])
        np.testing.assert_allclose(seen_at(before, point), at, atol=1e-9)
        desk.gestures.centred(*at)
        after = desk.request().camera
        np.testing.assert_allclose(seen_at(after, point), [0, 0], atol=1e-9)
        np.testing.assert_allclose(desk.camera.orbit.pivot, point)
        np.testing.assert_allclose(after.position, before.position, atol=1e-9)
        # What lies nearer or farther on the same ray comes to the middle as well.
        for share in (0.5, 1.3):
            other = before.position + share * (point - before.position)
            np.testing.assert_allclose(seen_at(after, other), [0, 0], atol=1e-6)

    @pytest.mark.parametrize(("factor", "share"), [(1e-9, 0.05), (1e9, 20.0)])
    def test_zooming_ends_somewhere(self, desk, factor, share):
        desk.gestures.zoomed(factor, 0, 0)
        assert desk.camera.orbit.radius == pytest.approx(share * SCENE.view_radius)

    @pytest.mark.parametrize(
        ("name", "direction"),
        [("top", (0, 0, 1)), ("front", (0, -1, 0)), ("side", (1, 0, 0))],
    )
    def test_named_views(self, desk, name, direction):
        desk.gestures.pan_dragged(5, 5)
        desk.gestures.zoomed(0.5, 0, 0)
        desk.camera.view_requested(name)
        away = desk.request().camera.position - np.asarray(SCENE.center)
        np.testing.assert_allclose(away, np.multiply(direction, SCENE.view_radius), atol=1e-9)

    def test_home_is_where_one_came_in(self, desk):
        desk.gestures.orbit_dragged(100, 30)
        desk.camera.set_fov_x_deg(90)
        desk.camera.view_requested("home")
        assert desk.orbits[-1] == (
            SCENE.home(),
            pytest.approx(math.degrees(SCENE.camera_angle_x_rad)),
        )

    def test_a_typed_camera(self, desk):
        orbit = Orbit(1.0, 2.0, 3.0, (0.1, 0.2, 0.3))
        desk.camera.set_orbit(orbit)
        assert desk.orbits[-1][0] == orbit
        np.testing.assert_allclose(desk.request().camera.T_world_camera, orbit.T_world_camera())

    def test_a_field_of_view_fills_the_width(self, desk):
        desk.camera.set_fov_x_deg(90)
        assert desk.request().camera.focal_px == pytest.approx(100)
        assert desk.orbits[-1][1] == 90

    def test_more_pixels_show_the_same(self, desk):
        desk.store.change(render_size_px=(800, 600))
        camera = desk.request().camera
        assert (camera.width_px, camera.height_px) == (800, 600)
        assert camera.focal_px == pytest.approx(SCENE.focal_px(800))

    @pytest.mark.parametrize(("fps", "target_ms"), [(None, 1e3 / DRAG_FPS), (10.0, 100.0)])
    def test_a_picture_may_take_what_the_target_leaves(self, desk, fps, target_ms):
        if fps is not None:
            desk.store.change(target_fps=fps)
        desk.gestures.orbit_dragged(1, 0)
        assert desk.request().target_ms == pytest.approx(target_ms)

    def test_a_locked_resolution_is_asked_for_from_now_on(self, desk):
        desk.store.change(max_stride=2)
        assert desk.request().max_stride == 2
        desk.gestures.orbit_dragged(1, 0)
        assert desk.request().max_stride == 2


class TestUndo:
    def test_a_drag_is_one_move_however_long_it_rests(self, desk):
        home = desk.camera.orbit
        desk.drag((0.1, 10, 0), (30.0, 10, 5), (0.1, 0, 5))
        moved = desk.camera.orbit
        desk.camera.undo()
        assert desk.camera.orbit == home
        desk.camera.redo()
        assert desk.camera.orbit == moved

    def test_two_drags_are_two_moves_however_close(self, desk):
        desk.drag((0.01, 10, 0))
        between = desk.camera.orbit
        desk.drag((0.01, 10, 0))
        desk.camera.undo()
        assert desk.camera.orbit == between

    @pytest.mark.parametrize(
        "step",
        [
            lambda desk: desk.gestures.zoomed(0.9, 10, 10),
            lambda desk: desk.gestures.orbit_dragged(20, 0),
            lambda desk: desk.gestures.pan_dragged(20, 0),
            lambda desk: desk.camera.set_orbit(
                replace(desk.camera.orbit, radius=desk.camera.orbit.radius + 0.1)
            ),
        ],
        ids=["wheel", "arrow keys", "Shift and arrow keys", "scrubbed number"],
    )
    def test_a_burst_is_one_move(self, desk, step):
        home = desk.camera.orbit
        for _ in range(5):
            desk.clock.now += 0.3
            step(desk)
        once = desk.camera.orbit
        desk.clock.now += 5.0
        step(desk)
        desk.camera.undo()
        assert desk.camera.orbit == once
        desk.camera.undo()
        assert desk.camera.orbit == home

    def test_typed_values_and_views_are_moves_of_their_own(self, desk):
        seen = [desk.camera.camera()]
        for step in (
            lambda: desk.camera.set_orbit(replace(desk.camera.orbit, azimuth_deg=10)),
            lambda: desk.camera.set_orbit(replace(desk.camera.orbit, radius=7)),
            lambda: desk.camera.set_fov_x_deg(70),
            lambda: desk.camera.view_requested("top"),
            lambda: desk.camera.view_requested("front"),
            lambda: desk.camera.view_requested("home"),
        ):
            step()
            seen.append(desk.camera.camera())
        for camera in reversed(seen[:-1]):
            desk.camera.undo()
            now = desk.request().camera
            np.testing.assert_array_equal(now.T_world_camera, camera.T_world_camera)
            assert now.focal_px == camera.focal_px

    def test_a_glide_belongs_to_its_drag(self, desk):
        home = desk.camera.orbit
        desk.gestures.set_inertia(True)
        desk.drag((0.01, 10.0, 0.0), (0.01, 10.0, 0.0))
        desk.clock.now += 0.05
        desk.glide.fire()
        desk.camera.undo()
        assert desk.camera.orbit == home
        assert not desk.glide.isActive()

    def test_a_move_after_an_undo_forgets_what_was_undone(self, desk):
        told: list[tuple[bool, bool]] = []
        desk.camera.history_changed.connect(lambda *can: told.append(can))
        desk.camera.view_requested("top")
        desk.camera.undo()
        assert told[-1] == (False, True)
        desk.camera.view_requested("front")
        assert told[-1] == (True, False)

    def test_it_ends_with_the_light_field(self, desk):
        desk.camera.view_requested("top")
        other = running(2, in_file("b"))
        desk.run(other)
        desk.camera.undo()
        assert desk.camera.orbit == other.scene.home()


class TestFlight:
    def fly(self, desk: Desk, *direction: float, fast: bool = False, ticks=(0.016,) * 60) -> None:
        """Hold keys while the clock ticks, and release them."""
        desk.gestures.flight_changed(*direction, fast)
        for tick in ticks:
            desk.clock.now += tick
            desk.glide.fire()
        desk.gestures.flight_changed(0, 0, 0, False)

    @pytest.mark.parametrize(
        ("direction", "axis", "sign"),
        [((1, 0, 0), 0, 1), ((-1, 0, 0), 0, -1), ((0, 0, 1), 2, -1), ((0, 0, -1), 2, 1)],
        ids=["right", "left", "ahead", "back"],
    )
    def test_along_the_cameras_own_axes(self, desk, direction, axis, sign):
        pose = desk.camera.camera().T_world_camera
        self.fly(desk, *direction, ticks=(0.5, 0.5))
        way = desk.camera.camera().position - pose[:3, 3]
        expected = sign * FLIGHT_RADII_PER_S * SCENE.view_radius * pose[:3, axis]
        np.testing.assert_allclose(way, expected, atol=1e-9)
        np.testing.assert_allclose(
            desk.camera.camera().T_world_camera[:3, :3], pose[:3, :3], atol=1e-9
        )

    @pytest.mark.parametrize("up", [1, -1])
    def test_up_is_the_worlds(self, desk, up):
        before = desk.camera.orbit.pivot[2]
        self.fly(desk, 0, up, 0, ticks=(1.0,))
        way = desk.camera.orbit.pivot[2] - before
        assert way == pytest.approx(up * FLIGHT_RADII_PER_S * SCENE.view_radius)

    @pytest.mark.parametrize(
        "ticks", [(0.96,), (0.016,) * 60, (0.001, 0.5, 0.059, 0.4)], ids=["once", "60 Hz", "uneven"]
    )
    def test_the_way_depends_on_the_time_alone(self, desk, ticks):
        before = np.asarray(desk.camera.orbit.pivot)
        self.fly(desk, 1, 1, 1, ticks=ticks)
        way = np.asarray(desk.camera.orbit.pivot) - before
        expected = 0.96 * FLIGHT_RADII_PER_S * SCENE.view_radius
        assert np.linalg.norm(way) == pytest.approx(expected)

    def test_the_last_part_of_a_tick_counts(self, desk):
        before = np.asarray(desk.camera.orbit.pivot)
        desk.gestures.flight_changed(1, 0, 0, False)
        desk.clock.now += 0.010
        desk.gestures.flight_changed(0, 0, 0, False)
        way = np.asarray(desk.camera.orbit.pivot) - before
        expected = 0.010 * FLIGHT_RADII_PER_S * SCENE.view_radius
        assert np.linalg.norm(way) == pytest.approx(expected)

    def test_shift_is_four_times_as_fast(self, desk):
        ways = []
        for fast in (False, True):
            before = np.asarray(desk.camera.orbit.pivot)
            self.fly(desk, 1, 0, 0, fast=fast)
            ways.append(np.linalg.norm(np.asarray(desk.camera.orbit.pivot) - before))
        assert ways[1] / ways[0] == pytest.approx(4)

    def test_closer_is_slower(self, desk):
        desk.gestures.zoomed(0.5, 0, 0)
        before = np.asarray(desk.camera.orbit.pivot)
        self.fly(desk, 1, 0, 0, ticks=(1.0,))
        way = np.linalg.norm(np.asarray(desk.camera.orbit.pivot) - before)
        assert way == pytest.approx(FLIGHT_RADII_PER_S * SCENE.view_radius / 2)

    def test_the_timer_runs_only_while_a_key_is_held(self, desk):
        assert not desk.glide.isActive()
        desk.gestures.flight_changed(1, 0, 0, False)
        assert desk.glide.isActive()
        desk.gestures.flight_changed(0, 0, 0, False)
        assert not desk.glide.isActive()

    def test_a_flight_is_one_move_to_undo(self, desk):
        before = desk.camera.orbit
        desk.gestures.flight_changed(0, 0, 1, False)
        desk.clock.now += 3.0
        desk.gestures.flight_changed(1, 0, 1, True)
        desk.gestures.orbit_dragged(10, 0)
        desk.clock.now += 3.0
        desk.gestures.flight_changed(0, 0, 0, False)
        desk.camera.undo()
        assert desk.camera.orbit == before

    def test_another_light_field_ends_it(self, desk):
        desk.gestures.flight_changed(1, 0, 0, False)
        desk.run(running(2, in_file("b")))
        assert not desk.glide.isActive()


class TestBookmarks:
    def test_a_view_is_kept_with_its_field_of_view(self, desk):
        told: list[frozenset[int]] = []
        desk.bookmarks.changed.connect(told.append)
        desk.gestures.orbit_dragged(40, 10)
        desk.camera.set_fov_x_deg(70)
        kept = desk.request().camera
        desk.bookmarks.set(3)
        assert told == [{3}]
        desk.camera.view_requested("home")
        desk.bookmarks.recall(3)
        back = desk.request().camera
        np.testing.assert_array_equal(back.T_world_camera, kept.T_world_camera)
        assert back.focal_px == kept.focal_px

    def test_going_to_one_can_be_undone(self, desk):
        desk.bookmarks.set(1)
        desk.camera.view_requested("top")
        top = desk.camera.orbit
        desk.bookmarks.recall(1)
        desk.camera.undo()
        assert desk.camera.orbit == top

    def test_one_that_is_not_set_leads_nowhere(self, desk):
        desk.bookmarks.recall(9)
        assert not desk.mailbox.pending()
        assert desk.orbits == []

    def test_each_light_field_has_its_own(self, desk):
        told: list[frozenset[int]] = []
        desk.bookmarks.set(1)
        desk.bookmarks.changed.connect(told.append)
        other = replace(running(2, in_file("b")), name="b")
        desk.run(other)
        desk.run(running(3))
        assert told == [set(), {1}]

    def test_they_are_written_each_time(self, desk):
        written: list[str] = []
        desk.bookmarks.written.connect(written.append)
        desk.bookmarks.set(2)
        assert Bookmarks(written[-1]).get("a", 2).orbit == desk.camera.orbit


class TestInertia:
    DRAG = ((0.01, 10.0, 0.0),) * 4
    """350 degrees a second to the left, as far as the clock of the last steps tells."""

    @pytest.fixture
    def gliding(self, desk) -> Desk:
        desk.gestures.set_inertia(True)
        desk.drag(*self.DRAG)
        assert desk.glide.isActive()
        return desk

    def speed(self, desk: Desk, after_s: float = 1e-3) -> float:
        """Degrees a second of the next step."""
        before = desk.camera.orbit.azimuth_deg
        desk.clock.now += after_s
        desk.glide.fire()
        return (desk.camera.orbit.azimuth_deg - before) / after_s

    def test_it_is_off_at_first(self, desk):
        desk.drag(*self.DRAG)
        assert not desk.glide.isActive()

    def test_the_camera_goes_on_as_fast_as_it_was(self, gliding):
        # Four steps in the 30 ms since the first of them.
        assert self.speed(gliding) == pytest.approx(-4 * 10 * DEGREES_PER_PX / 0.03)

    def test_the_speed_halves_in_its_half_life(self, gliding):
        first = self.speed(gliding)
        self.speed(gliding, 0.18 - 2e-3)
        assert self.speed(gliding) / first == pytest.approx(0.5, rel=0.02)

    def test_a_slow_picture_makes_a_longer_step(self, gliding):
        before = gliding.camera.orbit.azimuth_deg
        fast = abs(self.speed(gliding, 0.01)) * 0.01
        assert abs(gliding.camera.orbit.azimuth_deg - before) == pytest.approx(fast)
        slow = abs(self.speed(gliding, 0.05)) * 0.05
        assert slow > 4 * fast

    def test_it_comes_to_rest(self, gliding):
        steps = 0
        while gliding.glide.isActive():
            gliding.clock.now += 0.016
            gliding.glide.fire()
            steps += 1
            assert steps < 1000
        rest = gliding.camera.orbit
        gliding.glide.fire()
        assert gliding.camera.orbit == rest
        assert 50 < steps < 150, "about nine half-lives of 0.18 s"

    def test_a_pointer_that_rested_does_not_throw(self, desk):
        desk.gestures.set_inertia(True)
        desk.gestures.drag_started()
        for _ in range(4):
            desk.clock.now += 0.01
            desk.gestures.orbit_dragged(10, 0)
        desk.clock.now += 0.2
        desk.gestures.drag_finished()
        assert not desk.glide.isActive()

    def test_panning_does_not_throw(self, desk):
        desk.gestures.set_inertia(True)
        desk.gestures.orbit_dragged(10, 0)
        desk.gestures.orbit_dragged(10, 0)
        desk.gestures.drag_started()
        desk.gestures.pan_dragged(10, 0)
        desk.gestures.drag_finished()
        assert not desk.glide.isActive()

    @pytest.mark.parametrize(
        "stop",
        [
            lambda desk: desk.gestures.drag_started(),
            lambda desk: desk.gestures.set_inertia(False),
            lambda desk: desk.camera.view_requested("home"),
            lambda desk: desk.camera.set_orbit(Orbit(0, 0, 4)),
            lambda desk: desk.run(running(2, in_file("b"))),
        ],
        ids=["new drag", "switched off", "named view", "typed camera", "other light field"],
    )
    def test_what_ends_it(self, gliding, stop):
        stop(gliding)
        assert not gliding.glide.isActive()


class TestSmoothMoves:
    UNEVEN_S = (0.001, 0.2, 0.016, 0.05, 0.0, 0.3)
    """Ticks of a clock while pictures are slow, then fast, then slow."""

    @pytest.fixture
    def smooth(self, desk) -> Desk:
        desk.camera.mover.set_smooth(True)
        return desk

    def arrive(self, desk: Desk, ticks=UNEVEN_S) -> list[Orbit]:
        """Let time pass until the camera rests; every place it was on the way."""
        seen = [desk.camera.orbit]
        for turn in range(1000):
            if not desk.glide.isActive():
                return seen
            desk.clock.now += ticks[turn % len(ticks)]
            desk.glide.fire()
            seen.append(desk.camera.orbit)
        raise AssertionError("it never came to rest")

    def test_they_are_off_at_first(self, desk):
        desk.camera.view_requested("top")
        assert desk.camera.orbit.elevation_deg == 90
        assert not desk.glide.isActive()

    @pytest.mark.parametrize(
        "go",
        [
            lambda desk: desk.camera.view_requested("top"),
            lambda desk: desk.camera.view_requested("front"),
            lambda desk: desk.gestures.centred(30.0, -20.0),
            lambda desk: desk.gestures.zoomed(0.5, 10.0, 5.0),
            lambda desk: desk.gestures.zoomed(1e9, 10.0, 5.0),
            lambda desk: desk.bookmarks.recall(1),
        ],
        ids=["top", "front", "double-click", "wheel", "wheel to its end", "bookmark"],
    )
    @pytest.mark.parametrize("ticks", [UNEVEN_S, (0.016,), (5.0,)], ids=["uneven", "even", "slow"])
    def test_each_ends_exactly_where_a_jump_does_without_going_past(self, desk, go, ticks):
        start = Orbit(10.0, 20.0, 5.0, (0.1, 0.2, 0.3))
        desk.camera.set_orbit(Orbit(-150.0, -10.0, 9.0, (0.5, 0.0, 0.0)))
        desk.bookmarks.set(1)
        desk.camera.set_orbit(start)
        go(desk)
        goal = desk.camera.orbit
        desk.camera.set_orbit(start)
        desk.camera.mover.set_smooth(True)
        go(desk)
        assert desk.camera.orbit == start
        seen = self.arrive(desk, ticks)
        assert seen[-1] == goal

        def left(orbit: Orbit) -> np.ndarray:
            turn = (orbit.azimuth_deg - goal.azimuth_deg + 180) % 360 - 180
            height, closer = orbit.elevation_deg - goal.elevation_deg, orbit.radius - goal.radius
            return np.array([turn, height, closer, *np.subtract(orbit.pivot, goal.pivot)])

        ways = np.stack([left(orbit) for orbit in seen])
        assert (ways * np.sign(ways[0]) >= -1e-9).all(), "never on the other side of the goal"
        assert (np.diff(np.abs(ways), axis=0) <= 1e-9).all(), "never away from the goal"

    @pytest.mark.parametrize("ticks", [(0.05,) * 4, (0.001, 0.009, 0.15, 0.04), (0.2,)])
    def test_where_it_is_depends_on_the_time_alone(self, smooth, ticks):
        smooth.camera.view_requested("top")
        for tick in ticks:
            smooth.clock.now += tick
            smooth.glide.fire()
        height = 90 - (90 - SCENE.home().elevation_deg) * math.exp(-0.2 / 0.11)
        assert smooth.camera.orbit.elevation_deg == pytest.approx(height)

    def test_the_azimuth_takes_the_shorter_way(self, smooth):
        smooth.camera.set_orbit(Orbit(170.0, 0.0, 4.0))
        smooth.camera.view_requested("front")
        azimuths = np.array([orbit.azimuth_deg for orbit in self.arrive(smooth, (0.016,))])
        assert azimuths[-1] == -90
        assert not ((azimuths > -89.9) & (azimuths < 169.9)).any()

    def test_the_wheel_keeps_what_is_under_the_pointer_all_the_way(self, smooth):
        before = smooth.camera.camera()
        axes = before.T_world_camera[:3, :3]
        under = np.asarray(SCENE.center) + 0.4 * axes[:, 0] + 0.3 * axes[:, 1]
        at = seen_at(before, under)
        for _ in range(5):
            smooth.gestures.zoomed(0.9, *at)
            smooth.clock.now += 0.03
            smooth.glide.fire()
            np.testing.assert_allclose(seen_at(smooth.camera.camera(), under), at, atol=1e-6)
        self.arrive(smooth)
        assert smooth.camera.orbit.radius == pytest.approx(0.9**5 * SCENE.view_radius)

    def test_a_drag_takes_over_where_the_camera_is(self, smooth):
        smooth.camera.view_requested("top")
        smooth.clock.now += 0.05
        smooth.glide.fire()
        here = smooth.camera.orbit
        smooth.gestures.drag_started()
        assert smooth.camera.orbit == here
        assert not smooth.glide.isActive()

    def test_the_wheel_during_a_drag_keeps_both(self, smooth):
        smooth.gestures.drag_started()
        smooth.gestures.zoomed(0.5, 0, 0)
        smooth.gestures.orbit_dragged(100, 0)
        self.arrive(smooth)
        home = SCENE.home()
        assert smooth.camera.orbit.radius == pytest.approx(home.radius / 2)
        turned = home.azimuth_deg - 100 * DEGREES_PER_PX
        assert smooth.camera.orbit.azimuth_deg == pytest.approx(turned)

    def test_undo_goes_back_to_goals_not_to_places_on_the_way(self, smooth):
        home = smooth.camera.orbit
        smooth.camera.view_requested("top")
        smooth.clock.now += 0.02
        smooth.glide.fire()
        smooth.camera.view_requested("front")
        smooth.clock.now += 0.02
        smooth.glide.fire()
        smooth.camera.undo()
        assert self.arrive(smooth)[-1].elevation_deg == 90
        smooth.camera.undo()
        assert self.arrive(smooth)[-1] == home

    def test_switching_them_off_ends_the_way_at_its_goal(self, smooth):
        smooth.camera.view_requested("top")
        smooth.camera.mover.set_smooth(False)
        assert smooth.camera.orbit.elevation_deg == 90
        assert not smooth.glide.isActive()

    def test_a_bookmark_set_on_the_way_is_of_the_goal(self, smooth):
        smooth.camera.view_requested("top")
        smooth.bookmarks.set(1)
        smooth.camera.view_requested("home")
        smooth.bookmarks.recall(1)
        assert self.arrive(smooth)[-1].elevation_deg == 90

    def test_the_field_of_view_eases_too(self, smooth):
        smooth.camera.set_fov_x_deg(90)
        smooth.camera.view_requested("home")
        assert smooth.orbits[-1][1] == 90
        self.arrive(smooth)
        assert smooth.orbits[-1][1] == math.degrees(SCENE.camera_angle_x_rad)


class TestBadge:
    @pytest.mark.parametrize(
        ("ray_mode", "orbit", "badge"),
        [
            ("canonical", Orbit(0, 30, 4.0), None),
            ("canonical", Orbit(0, 30, 9.0), None),
            ("plain", Orbit(0, 30, 4.0), None),
            ("plain", Orbit(0, 30, 9.0), "off the trained sphere: outside trained views"),
            ("canonical", Orbit(0, -5, 4.0), "below the horizon: outside trained views"),
            ("canonical", Orbit(0, 30, 1.0), "inside the scene: outside trained views"),
        ],
    )
    def test_remarks_on_views_the_network_never_saw(self, idle, ray_mode, orbit, badge):
        idle.run(running(ray_mode=ray_mode))
        idle.camera.set_orbit(orbit)
        assert (idle.badges or [None])[-1] == badge

    def test_nothing_is_said_of_scenes_of_unknown_training(self, idle):
        idle.run(running(scene=SceneSpec("unknown"), ray_mode="plain"))
        idle.camera.set_orbit(Orbit(0, -80, 0.1))
        assert set(idle.badges) <= {None}


class TestFrames:
    def test_a_newer_request_is_no_reason_to_drop_one(self, desk):
        desk.gestures.orbit_dragged(1, 0)
        desk.gestures.orbit_dragged(1, 0)
        desk.rendering.show((frame(seq=1),))
        assert [shown.seq for shown in desk.shown] == [1]

    def test_refinements_of_the_shown_one_come_through(self, desk):
        for stride in (8, 4, 2, 1):
            desk.rendering.show((frame(seq=1, stride=stride),))
        assert [shown.stride for shown in desk.shown] == [8, 4, 2, 1]

    def test_older_ones_do_not(self, desk):
        for seq in (1, 3, 2, 3, 1, 4):
            desk.rendering.show((frame(seq=seq),))
        assert [shown.seq for shown in desk.shown] == [1, 3, 3, 4]

    def test_those_of_another_epoch_do_not(self, desk):
        desk.run(running(2))
        desk.rendering.show((frame(seq=1, epoch=1),))
        desk.rendering.show((frame(seq=1, epoch=2),))
        desk.rendering.show((frame(seq=2, epoch=3),))
        assert [(shown.seq, shown.epoch) for shown in desk.shown] == [(1, 2)]

    def test_nothing_is_shown_before_something_runs(self, idle):
        idle.rendering.show((frame(),))
        assert idle.shown == []

    def test_a_camera_of_the_last_light_field_does_not_look_into_the_next(self, desk):
        desk.gestures.orbit_dragged(1, 0)
        asked_before = desk.request().seq
        desk.run(running(2, in_file("b")))
        asked_after = desk.request().seq
        desk.rendering.show((frame(seq=asked_before, epoch=2),))
        desk.rendering.show((frame(seq=asked_after, epoch=2),))
        assert [shown.seq for shown in desk.shown] == [asked_after]


class TestReadout:
    def test_numbers_of_the_last_second(self, desk):
        for seq in range(1, 11):
            desk.clock.now += 0.3
            desk.rendering.show((frame(seq=seq, stride=2),))
        readout = desk.read_out()
        assert readout.images_per_s == 4.0, "those 0.0, 0.3, 0.6 and 0.9 s old"
        assert readout.krays_per_s == pytest.approx(20_000 / 0.010 / 1e3)
        assert readout.frame_ms == 12.0
        assert (readout.stride, readout.width_px, readout.height_px) == (2, 200, 100)
        assert readout.history == (ImageCost(1.0, 2.0, 6.0, 1.0, 0.0, 2),) * 10
        assert readout.mean == ImageCost(1.0, 2.0, 6.0, 1.0)
        assert readout.memory_mb > 10

    def test_a_picture_without_a_single_ray_is_not_measured(self, desk):
        unrendered = {"network_rays": 0, "timings": FrameTimings()}
        desk.rendering.show((frame(seq=1, **unrendered),))
        assert not desk.readout_timer.isActive()
        desk.rendering.show((frame(seq=2),))
        desk.rendering.show((frame(seq=3, **unrendered),))
        readout = desk.read_out()
        assert (readout.images_per_s, len(readout.history)) == (1.0, 1)

    def test_latency_is_from_the_gesture_to_the_first_picture_on_the_screen(self, desk):
        desk.rendering.show((frame(seq=7, stride=8, created_s=desk.clock.now - 0.010),))
        desk.clock.now += 0.015
        desk.performance.painted(7, 3.0)
        assert desk.read_out().latency_p50_ms == pytest.approx(25.0)
        # The refinement answers no gesture.
        desk.rendering.show((frame(seq=7, stride=1, created_s=desk.clock.now - 0.025),))
        desk.clock.now += 1.0
        desk.performance.painted(7, 3.0)
        assert desk.read_out().latency_p50_ms == pytest.approx(25.0)

    def test_a_picture_that_was_never_painted_has_no_latency(self, desk):
        desk.rendering.show((frame(seq=1, created_s=desk.clock.now),))
        desk.rendering.show((frame(seq=2, created_s=desk.clock.now),))
        desk.clock.now += 0.030
        desk.performance.painted(2, 3.0)
        desk.performance.painted(1, 3.0)
        assert desk.read_out().latency_p50_ms == pytest.approx(30.0)

    def test_what_was_not_measured_is_zero(self, desk):
        desk.rendering.show((frame(timings=FrameTimings()),))
        readout = desk.read_out()
        assert (readout.krays_per_s, readout.latency_p50_ms) == (0.0, 0.0)

    def test_it_falls_silent_a_second_after_the_last_picture(self, desk):
        assert not desk.readout_timer.isActive()
        desk.rendering.show((frame(),))
        desk.clock.now += 0.9
        assert desk.read_out().images_per_s == 1.0
        assert desk.readout_timer.isActive()
        desk.clock.now += 0.2
        assert desk.read_out().images_per_s == 0.0
        assert not desk.readout_timer.isActive()
