"""The thread that owns the engines: latest wins, failures change nothing, frames never go back.

No test sleeps: the lab's gate holds the thread inside a tile while the test acts.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtCore import Qt

from r2l_core.checkpoints.opening import load_light_field
from r2l_core.engines.reference import ReferenceEngine
from r2l_core.errors import CheckpointError, EngineError, EngineUnavailable, SceneError
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.scene import PRESETS
from r2l_core.render.frames import STRIDES, Frame, RenderRequest
from r2l_core.render.progressive_image import render_image
from r2l_core.render.sources import NetworkSource
from r2l_core.types import Precision, to_uint8
from tests.viewer.states import wanted
from viewer.rendering import render_thread
from viewer.rendering.render_thread import RenderThread
from viewer.rendering.running import Measured, Running
from viewer.state.panes import PaneChoice
from viewer.state.resolve import Wish

pytestmark = pytest.mark.slow

SIZE_PX = 128
TILES = SIZE_PX * SIZE_PX // 128
FIRST_PASS_TILES = (SIZE_PX // STRIDES[0]) ** 2 // 128
SMALL = Camera(np.eye(4), 8, 8, 10.0)


class Watched:
    """A render thread and everything it said, in order."""

    def __init__(self, until) -> None:
        self.thread = RenderThread()
        self.mailbox = self.thread.mailbox
        self.frames: list[Frame] = []
        self.runnings: list[Running] = []
        self.failures: list[tuple[Exception, Wish | None]] = []
        self.busy: list[str] = []
        self.measured: list[Measured] = []
        self.until = until
        self.thread.frames_ready.connect(self.frames.extend)
        self.thread.running_changed.connect(self.runnings.append)
        self.thread.failed.connect(lambda error, wish: self.failures.append((error, wish)))
        self.thread.busy_changed.connect(self.busy.append)
        self.thread.measured.connect(self.measured.append)

    def open(self, wish: Wish) -> Running:
        """Ask, and wait for the answer."""
        before = len(self.runnings)
        self.mailbox.want(wish)
        self.until(lambda: len(self.runnings) > before)
        return self.runnings[-1]

    def fail(self, wish: Wish) -> Exception:
        """Ask for what cannot be, and wait until that is said."""
        before = len(self.failures)
        self.mailbox.want(wish)
        self.until(lambda: len(self.failures) > before)
        error, failed_wish = self.failures[-1]
        assert failed_wish == wish
        return error

    def settle(self) -> None:
        """Wait until all that was asked for before is over."""
        before = len(self.measured)
        self.mailbox.measure(SMALL)
        self.until(lambda: len(self.measured) > before)

    def complete(self, seq: int) -> Frame:
        """Wait for the exact picture of a request."""
        self.until(lambda: any(frame.seq == seq and frame.complete for frame in self.frames))
        return next(frame for frame in self.frames if frame.seq == seq and frame.complete)

    def strides(self, seq: int) -> list[int]:
        """Of the frames that answered a request."""
        return [frame.stride for frame in self.frames if frame.seq == seq]


def request(seq: int) -> RenderRequest:
    """A new camera for each number, and time for a coarse first picture only."""
    orbit = PRESETS["demo"].home().orbited(10.0 * seq, 0.0)
    return RenderRequest(seq, orbit.camera(SIZE_PX, SIZE_PX, 1.2 * SIZE_PX), target_ms=1.0)


def tiles_of(lab, seq: int) -> int:
    """How many tiles of a request went through the engine. All rays start at the camera."""
    position = request(seq).camera.position
    return sum(np.allclose(origin, position, atol=1e-4) for origin in lab.tiles)


@pytest.fixture
def idle(until, lab) -> Iterator[Watched]:
    """A thread that waits for its first work."""
    watched = Watched(until)
    watched.thread.start()
    yield watched
    lab.open_gate()
    watched.thread.stop()


def with_choice(wish: Wish, **changed: str) -> Wish:
    """The same, with the light field taken in another way."""
    return replace(wish, light_field=replace(wish.light_field, **changed))


@pytest.fixture
def wish(write_light_field) -> Wish:
    # The whole picture lies before the bounding sphere, so that every pixel costs a ray.
    return wanted(write_light_field(scene=replace(PRESETS["demo"], bound_radius=3.9)), rays="plain")


@pytest.fixture
def ready(idle, wish) -> Watched:
    """A thread with an fp32 engine."""
    idle.open(replace(wish, panes=(PaneChoice(Precision.FP32),)))
    return idle


class TestOpening:
    def test_what_runs_is_said_whole(self, idle, lab, wish):
        lab.unavailable = {Precision.FP16}
        wish = replace(wish, panes=(PaneChoice(Precision.FP32),))
        running = idle.open(wish)
        assert (running.epoch, running.wish, running.name) == (1, wish, "tiny")
        assert (running.scene.bound_radius, running.ray_mode) == (3.9, "plain")
        assert "W16 D6" in running.summary
        assert running.engine.precision is Precision.FP32
        assert list(running.precisions) == list(Precision)
        assert running.precisions[Precision.FP32].available
        assert "no fp16" in running.precisions[Precision.FP16].why_not

    def test_what_takes_time_is_said_while_it_does(self, idle, wish):
        idle.open(wish)
        said = [text.partition(" ")[0] for text in idle.busy]
        assert said == ["", "Opening", "Building", ""]

    def test_without_a_precision_the_best_here_is_taken(self, idle, lab, wish):
        lab.unavailable = set(Precision) - {Precision.FP32}
        assert idle.open(wish).engine.precision is Precision.FP32

    def test_a_scene_replaces_the_one_in_the_file(self, idle, wish):
        running = idle.open(with_choice(wish, scene="demo", rays="auto"))
        assert (running.scene, running.ray_mode) == (PRESETS["demo"], "canonical")

    def test_every_change_is_a_new_epoch(self, ready, wish):
        running = ready.open(replace(wish, panes=(PaneChoice(Precision.BF16),)))
        ready.mailbox.submit(request(1))
        assert running.epoch == 2
        assert ready.complete(1).epoch == 2

    def test_a_precision_visited_before_is_not_built_again(self, ready, lab, wish):
        first = ready.runnings[0].engine
        ready.open(replace(wish, panes=(PaneChoice(Precision.BF16),)))
        assert len(lab.built) == 2
        assert ready.open(replace(wish, panes=(PaneChoice(Precision.FP32),))).engine is first
        ready.mailbox.submit(request(1))
        assert ready.complete(1).engine is first
        assert len(lab.built) == 2

    def test_another_file_lets_the_old_engines_go(self, ready, lab, write_light_field):
        ready.open(wanted(write_light_field("other"), precision=Precision.FP32))
        ready.settle()
        gc.collect()
        old, new = lab.built
        assert old() is None
        assert new() is not None

    def test_the_old_engine_is_there_until_the_new_one_is_ready(self, ready, lab, wish):
        old_is_alive = []
        lab.on_build = lambda: old_is_alive.append(lab.built[0]() is not None)
        ready.open(replace(wish, panes=(PaneChoice(Precision.BF16),)))
        assert old_is_alive == [True]

    def test_another_light_field_ends_what_is_being_built(self, idle, lab, write_light_field):
        """Extreme networks take their time, and nobody has to wait for the wrong one."""
        first, second = (wanted(write_light_field(name)) for name in ("slow", "other"))
        building, wished = threading.Event(), threading.Event()

        def hold() -> None:
            building.set()
            assert wished.wait(20)

        lab.on_build = hold
        idle.mailbox.want(first)
        assert building.wait(20)
        lab.on_build = lambda: None
        idle.mailbox.want(second)
        wished.set()
        idle.until(lambda: bool(idle.runnings))
        assert [running.wish for running in idle.runnings] == [second]
        assert idle.failures == []
        assert idle.busy[-1] == ""

    def test_a_thread_that_stops_ends_what_is_being_built(self, idle, lab, write_light_field):
        lab.on_build = idle.mailbox.stop
        idle.mailbox.want(wanted(write_light_field()))
        assert idle.thread.wait(20_000)
        assert len(lab.built) == 1
        assert lab.tiles == [], "it was built, and then neither checked nor warmed up"
        assert (idle.runnings, idle.failures) == ([], [])


class TestRendering:
    def test_frames_end_in_the_exact_picture(self, ready, wish):
        ready.mailbox.submit(request(1))
        last = ready.complete(1)
        strides = ready.strides(1)
        assert strides[0] > 1, "there was time for a preview only"
        assert strides == sorted(strides, reverse=True)
        light_field = load_light_field(wish.light_field.checkpoint)
        expected = render_image(
            NetworkSource(ReferenceEngine(light_field), light_field.scene), request(1).camera
        )
        assert expected is not None
        np.testing.assert_allclose(last.image, to_uint8(expected), rtol=0, atol=1)
        assert last.image.std() > 1, "a flat picture would prove nothing"

    def test_a_request_without_an_engine_is_dropped(self, idle):
        idle.mailbox.submit(request(1))
        idle.fail(wanted("no-such-file.safetensors"))
        assert idle.frames == []
        assert len(idle.failures) == 1

    def test_of_three_requests_only_the_running_one_and_the_last_are_rendered(self, ready, lab):
        lab.close_gate()
        ready.mailbox.submit(request(1))
        lab.wait_for_tile()
        ready.mailbox.submit(request(2))
        ready.mailbox.submit(request(3))
        lab.open_gate()
        ready.complete(3)
        assert [frame.seq for frame in ready.frames[:2]] == [1, 3]
        assert {frame.seq for frame in ready.frames} == {1, 3}
        assert tiles_of(lab, 2) == 0

    def test_the_preview_comes_although_something_newer_waits(self, ready, lab):
        lab.close_gate()
        ready.mailbox.submit(request(1))
        lab.wait_for_tile()
        ready.mailbox.submit(request(2))
        lab.open_gate()
        ready.complete(2)
        assert len(ready.strides(1)) == 1
        assert ready.strides(1)[0] > 1
        assert FIRST_PASS_TILES <= tiles_of(lab, 1) < TILES

    def test_refinement_ends_between_two_tiles(self, ready, lab):
        """The gate closes on the render thread with the first frame, so the next tile refines."""
        tiles_at_preview = []

        def hold(frames: tuple[Frame, ...]) -> None:
            if frames[0].seq == 1 and not tiles_at_preview:
                lab.close_gate()
                tiles_at_preview.append(tiles_of(lab, 1))

        ready.thread.frames_ready.connect(hold, Qt.ConnectionType.DirectConnection)
        ready.mailbox.submit(request(1))
        ready.until(lambda: bool(tiles_at_preview))
        lab.wait_for_tile()
        ready.mailbox.submit(request(2))
        lab.open_gate()
        ready.complete(2)
        assert tiles_of(lab, 1) == tiles_at_preview[0] + 1

    def test_nothing_newer_lets_refinement_finish(self, ready, lab):
        ready.mailbox.submit(request(1))
        ready.complete(1)
        assert tiles_of(lab, 1) >= TILES

    def test_frames_never_go_back(self, ready):
        for seq in range(1, 30):
            ready.mailbox.submit(request(seq))
            if seq % 7 == 0:
                ready.until(lambda seq=seq: any(frame.seq == seq for frame in ready.frames))
        ready.complete(29)
        order = [(frame.seq, -frame.stride) for frame in ready.frames]
        assert order == sorted(order)

    def test_a_measurement_sends_every_pixel_through_the_network(self, ready, lab):
        lab.tiles.clear()
        ready.mailbox.measure(request(1).camera)
        ready.until(lambda: len(ready.measured) == 1)
        assert ready.measured[0].rays == SIZE_PX * SIZE_PX
        assert ready.measured[0].seconds > 0
        assert len(lab.tiles) == TILES

    @pytest.mark.parametrize("interruption", ["measurement", "failing wish"])
    def test_what_is_interrupted_is_completed_afterwards(self, ready, lab, interruption):
        lab.close_gate()
        ready.mailbox.submit(request(1))
        lab.wait_for_tile()
        if interruption == "measurement":
            ready.mailbox.measure(SMALL)
        else:
            ready.mailbox.want(wanted("no-such-file.safetensors"))
        lab.open_gate()
        ready.complete(1)
        assert (len(ready.measured), len(ready.failures)) in [(1, 0), (0, 1)]

    def test_a_changed_precision_takes_over_what_it_interrupts(self, ready, lab, wish):
        lab.close_gate()
        ready.mailbox.submit(request(1))
        lab.wait_for_tile()
        ready.mailbox.want(replace(wish, panes=(PaneChoice(Precision.BF16),)))
        lab.open_gate()
        assert ready.complete(1).engine.precision is Precision.BF16


class TestFailures:
    """The old engine goes on rendering, under its old epoch."""

    @pytest.fixture(autouse=True)
    def _renders_as_before(self, ready):
        yield
        ready.mailbox.submit(request(99))
        frame = ready.complete(99)
        assert (frame.epoch, frame.engine) == (1, ready.runnings[0].engine)
        assert len(ready.runnings) == 1
        assert ready.busy[-1] == ""

    @pytest.mark.parametrize(
        ("kind", "why"),
        [
            ("missing", "no such file"),
            ("nan", "NaN"),
            ("truncated", "truncated"),
            ("text", "it is a text"),
            ("folder", "folder"),
        ],
    )
    def test_files_that_cannot_be_opened(self, ready, damaged, kind, why):
        path = damaged(kind)
        error = ready.fail(wanted(str(path)))
        assert isinstance(error, CheckpointError)
        assert str(path) in error.what
        assert why in error.why
        assert error.remedy

    def test_a_scene_that_is_not_there(self, ready, wish):
        assert isinstance(ready.fail(with_choice(wish, scene="no-such-scene")), SceneError)

    def test_a_precision_this_machine_does_not_have(self, ready, lab, wish):
        lab.unavailable = {Precision.FP16}
        error = ready.fail(replace(wish, panes=(PaneChoice(Precision.FP16),)))
        assert isinstance(error, EngineUnavailable)
        assert "no fp16" in error.why

    def test_an_engine_that_does_not_exist(self, ready, wish):
        error = ready.fail(replace(wish, panes=(PaneChoice(Precision.FP32, "nonsense"),)))
        assert isinstance(error, EngineUnavailable)
        assert "lab" in error.why, "it says which there are"

    @pytest.mark.parametrize("cause", [RuntimeError("out of memory"), MemoryError()])
    def test_an_engine_that_fails_while_it_is_built(self, ready, lab, wish, cause):
        lab.build_error = cause
        error = ready.fail(replace(wish, panes=(PaneChoice(Precision.BF16),)))
        assert isinstance(error, EngineError)
        assert "bf16" in error.what
        lab.build_error = None

    def test_an_engine_that_fails_while_it_warms_up(self, ready, lab, wish):
        lab.shade_error = EngineError("The lab failed", "of itself", "Repair it.")
        assert ready.fail(replace(wish, panes=(PaneChoice(Precision.BF16),))) is lab.shade_error
        lab.shade_error = None

    @pytest.mark.parametrize(
        "cause", [EngineError("The lab failed", "of itself", "Repair it."), ZeroDivisionError("oh")]
    )
    def test_an_engine_that_fails_while_it_renders(self, ready, lab, cause):
        lab.shade_error = cause
        ready.mailbox.submit(request(1))
        ready.until(lambda: bool(ready.failures))
        lab.shade_error = None
        ready.settle()
        assert ready.failures == [(cause, None)], "said once, not tried for ever"
        assert ready.frames == []

    def test_a_drag_that_goes_on_failing_is_one_error(self, ready, lab):
        lost = EngineError("The GPU failed", "it no longer answers", "Restart.")

        def drag_to(*numbers: int) -> None:
            for seq in numbers:
                lab.shade_error, tried = lost, lab.attempts
                ready.mailbox.submit(request(seq))
                ready.until(lambda tried=tried: lab.attempts > tried)
                lab.shade_error = None
                ready.settle()

        drag_to(1, 2, 3)
        assert ready.failures == [(lost, None)]
        drag_to(3)
        assert ready.failures == [(lost, None)] * 2, "who asks for the same again is answered"
        ready.mailbox.submit(request(4))
        ready.complete(4)
        drag_to(5)
        assert ready.failures == [(lost, None)] * 3, "it had worked in between"

    def test_what_failed_can_be_asked_for_again(self, ready, lab, wish):
        lab.unavailable = {Precision.FP16}
        for _ in range(3):
            ready.fail(replace(wish, panes=(PaneChoice(Precision.FP16),)))
        assert len(ready.failures) == 3

    def test_a_request_made_together_with_a_failing_wish_is_answered(self, ready, lab):
        lab.close_gate()
        ready.mailbox.submit(request(1))
        lab.wait_for_tile()
        ready.mailbox.want(wanted("no-such-file.safetensors"))
        ready.mailbox.submit(request(2))
        lab.open_gate()
        ready.complete(2)
        assert len(ready.failures) == 1


class TestLife:
    def test_it_ends_while_idle(self, idle):
        idle.thread.stop()
        assert idle.thread.isFinished()

    def test_it_ends_with_an_engine_and_lets_it_go(self, ready, lab):
        ready.mailbox.submit(request(1))
        ready.complete(1)
        ready.thread.stop()
        ready.frames.clear()
        gc.collect()
        assert ready.thread.isFinished()
        assert lab.built[0]() is None

    def test_it_ends_after_the_tile_in_progress(self, ready, lab):
        """What remains of the preview is a fraction of a second; refinement does not begin."""
        lab.close_gate()
        ready.mailbox.submit(request(1))
        lab.wait_for_tile()
        ready.mailbox.stop()
        lab.open_gate()
        ready.thread.stop()
        assert ready.thread.isFinished()
        assert tiles_of(lab, 1) < TILES

    def test_it_does_not_begin_what_waits(self, ready, lab):
        lab.close_gate()
        ready.mailbox.submit(request(1))
        lab.wait_for_tile()
        ready.mailbox.submit(request(2))
        ready.mailbox.stop()
        lab.open_gate()
        ready.thread.stop()
        assert tiles_of(lab, 2) == 0

    def test_stopping_before_starting_and_twice(self):
        thread = RenderThread()
        thread.stop()
        thread.stop()

    @pytest.mark.skipif(sys.platform != "linux", reason="niceness belongs to threads on Linux only")
    def test_the_window_gets_a_busy_processor_first(self, idle, lab, wish):
        seen = []
        lab.on_build = lambda: seen.append(
            os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        )
        idle.open(wish)
        own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        assert seen == [min(own + 10, 19)]

    def test_a_renderer_that_cannot_start_says_so(self, lab, wish, until, monkeypatch):
        def no_torch(*_: object) -> None:
            raise ImportError("no torch here")

        monkeypatch.setattr(render_thread, "OpenLightFields", no_torch)
        watched = Watched(until)
        watched.mailbox.want(wish)
        watched.thread.start()
        until(lambda: len(watched.failures) == 1)
        watched.thread.stop()
        assert watched.busy[-1] == ""
