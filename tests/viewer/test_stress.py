"""Everything at once: seeded random gestures, precisions, sizes and files, on the real engines."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import math
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import psutil
import pytest
import torch
from PyQt6.QtCore import QSettings
from PyQt6.QtWidgets import QApplication

from r2l_core.checkpoints.opening import load_light_field
from r2l_core.engines.backends import availability
from r2l_core.engines.building import build_engine
from r2l_core.render.frames import STRIDES, Frame
from r2l_core.types import Precision
from tests.viewer.states import shown
from viewer.app import App
from viewer.rendering import render_thread
from viewer.state.resolve import Capabilities, wish_of
from viewer.state.view_state import ViewState
from viewer.widgets import theme

pytestmark = pytest.mark.slow

TIMEOUT_MS = 600_000
"""Nothing waits so long; it ends what would wait for ever."""

EVENTS = 2000
MEMORY_MB = 25.0


@pytest.fixture(autouse=True)
def _one_core(monkeypatch):
    # Networks this small are slower on several threads.
    monkeypatch.setattr(render_thread, "usable_processors", lambda: 1)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@dataclass
class Watch:
    """What the window was shown, checked as it comes."""

    app: App
    frames: int = 0
    newest: tuple[int, int] = (-1, -1)
    precisions: set[Precision] = field(default_factory=set)

    def see(self, frames: tuple[Frame, ...]) -> None:
        (frame,) = frames
        running = self.app.rendering.running
        if running is None:
            assert frame.engine.precision is Precision.FP32, "a first look"
        else:
            assert frame.epoch == running.epoch
            assert frame.engine.precision == running.engine.precision
        assert (frame.epoch, frame.seq) >= self.newest, "an older picture after a newer one"
        self.newest = frame.epoch, frame.seq
        self.precisions.add(frame.engine.precision)
        self.frames += 1


def _runs_here(precision: Precision) -> bool:
    return availability(precision).available


def gestures(app: App, chance: random.Random) -> list[Callable[[], object]]:
    """What a person in a hurry may do, each with random values."""
    hands, camera, window = app.gestures, app.camera, app.window
    some = chance.uniform
    commands = window.commands
    toggles = [commands.fill_flat, commands.canonical, commands.smooth, commands.inertia]
    toggles += [commands.hide_panels, commands.integer_zoom]
    return [
        *[lambda: hands.orbit_dragged(some(-40, 40), some(-20, 20))] * 8,
        hands.drag_started,
        hands.drag_finished,
        lambda: hands.pan_dragged(some(-9, 9), some(-9, 9)),
        lambda: hands.zoomed(some(0.7, 1.4), some(-20, 20), some(-20, 20)),
        lambda: hands.centred(some(-20, 20), some(-20, 20)),
        lambda: hands.flight_changed(chance.choice([-1, 0, 0, 1]), 0, 0, False),
        lambda: camera.view_requested(chance.choice(["home", "top", "front", "side"])),
        lambda: app.bookmarks.set(chance.randint(1, 3)),
        lambda: app.bookmarks.recall(chance.randint(1, 3)),
        camera.undo,
        camera.redo,
        lambda: app.store.change(target_fps=some(5, 120)),
        lambda: app.store.change(max_stride=chance.choice(STRIDES)),
        lambda: app.store.change(render_size_px=(chance.randint(1, 96), chance.randint(1, 96))),
        lambda: window.resize(chance.randint(900, 1400), chance.randint(600, 900)),
        lambda: chance.choice(toggles).trigger(),
    ]


def wishes(app: App, files: list[str], chance: random.Random) -> list[Callable[[], object]]:
    """What the renderer has to be built anew for."""
    precisions = app.window.commands.precisions.values()
    return [
        *[lambda: chance.choice([one for one in precisions if one.isEnabled()]).trigger()] * 3,
        lambda: app.window.open_requested.emit(chance.choice(files)),
    ]


def runs(app: App, state: ViewState) -> bool:
    """Whether that is what renders now."""
    return app.rendering.running is not None and (
        app.rendering.running.wish == wish_of(state, Capabilities())
    )


def pay_for_every_shape(files: list[str]) -> None:
    """Have libraries make, and keep, their code for every number of rays that an engine may be
    asked for. With AMX that is megabytes, and gestures would come upon them one by one."""
    torch.set_num_threads(1)  # code is kept for each number of threads, too
    for file in files:
        light_field = load_light_field(file)
        for precision in filter(_runs_here, Precision):
            engine = build_engine(light_field, precision)
            for n in (*engine.small_tiles, engine.tile_rays):
                engine.shade(torch.zeros(n, 3), torch.ones(n, 3))


def own_memory_mb() -> float:
    """What is this process's alone, without pages of files and without what is free again."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # other C libraries have no such call
            ctypes.CDLL("libc.so.6").malloc_trim(0)
    return float(psutil.Process().memory_full_info().uss) / 1e6


def test_two_thousand_random_events(qapp, qtbot, tmp_path, write_light_field, monkeypatch):
    chance = random.Random(20)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}      not weights")
    files = [write_light_field("tiny"), write_light_field("other"), str(broken)]
    theme.install(qapp)
    settings = QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)
    app = App(shown(files[0], precision=Precision.FP32), settings)
    errors: list[Exception] = []
    app.render_thread.failed.connect(lambda error, _wish: errors.append(error))
    watch = Watch(app)
    app.rendering.frames_shown.connect(watch.see)
    app.start()
    qtbot.waitUntil(lambda: app.report.has_picture, timeout=TIMEOUT_MS)
    early_mb = -math.inf
    try:
        # Every engine once for every file, and then gestures for a while: what stays built, and
        # the code that libraries keep for each shape, are no growth.
        pay_for_every_shape(files[:2])
        for file in files[:2]:
            for precision in filter(_runs_here, Precision):
                state = shown(file, precision=precision)
                app.rendering.want(state)
                qtbot.waitUntil(partial(runs, app, state), timeout=TIMEOUT_MS)
        for number in range(EVENTS):
            if number == EVENTS // 4:
                early_mb = own_memory_mb()
            # Mostly there is time to render; sometimes the next wish comes before that.
            do = wishes(app, files, chance) if chance.random() < 0.015 else gestures(app, chance)
            chance.choice(do)()
            QApplication.processEvents()
            qtbot.wait(chance.choice([0, 0, 5, 20]))
        late_mb = own_memory_mb()
        # After all that, it does as it is told.
        app.gestures.flight_changed(0, 0, 0, False)
        last = shown(files[0], precision=Precision.FP32)
        app.rendering.want(last)
        qtbot.waitUntil(partial(runs, app, last), timeout=TIMEOUT_MS)
        app.store.change(render_size_px=(40, 30))

        def settled() -> bool:
            frame, running = app.window.pane.frame, app.rendering.running
            return (
                frame is not None
                and running is not None
                and (frame.image.shape[:2], frame.complete) == ((30, 40), True)
                and frame.epoch == running.epoch
                and frame.engine.precision is Precision.FP32
            )

        qtbot.waitUntil(settled, timeout=TIMEOUT_MS)
    finally:
        app.close()
        app.render_thread.stop()
        app.window.deleteLater()
    assert all("broken.safetensors" in str(error) for error in errors)
    assert errors, "the broken file was tried"
    assert watch.frames > 100
    assert len(watch.precisions) >= 5
    assert late_mb - early_mb < MEMORY_MB
