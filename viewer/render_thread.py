"""The one thread that owns light fields and engines.

It takes the latest work from its mailbox and answers with signals; the window never waits for it.
torch is imported here and not before, so that the window is on the screen while it loads.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import QObject, QThread, pyqtSignal

from r2l_core.camera import Camera
from r2l_core.scene import SceneSpec, load_scene
from r2l_core.types import Availability, EngineInfo, Precision, RayMode, RenderRequest
from viewer.mailbox import Mailbox, Wish

if TYPE_CHECKING:
    from r2l_core.checkpoint import LightField
    from r2l_core.renderer import Renderer

_NICENESS = 10
"""Added to the render thread's niceness, so that the window gets a busy processor first."""


@dataclass(frozen=True)
class Running:
    """What the thread renders with from now on. `wish` is the one it fulfils."""

    epoch: int
    wish: Wish
    name: str
    summary: str
    scene: SceneSpec
    ray_mode: RayMode
    engine: EngineInfo
    precisions: Mapping[Precision, Availability]


@dataclass(frozen=True)
class Measured:
    """One full frame, every ray through the network."""

    rays: int
    seconds: float


class RenderThread(QThread):
    """Signals carry frozen objects: Frame, Running, Measured, or the exception that happened."""

    frame_ready = pyqtSignal(object)
    running_changed = pyqtSignal(object)
    measured = pyqtSignal(object)
    busy_changed = pyqtSignal(object)
    """str while something slow is under way, None when it is over."""
    failed = pyqtSignal(object, object)
    """The exception, and the Wish it ended; None where no wish but a picture failed."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.mailbox = Mailbox()

    def run(self) -> None:
        """Serve the mailbox until it is stopped."""
        self.busy_changed.emit("Starting the renderer…")
        self._attempt(self._serve)

    def _serve(self) -> None:
        _be_polite()
        worker = _Worker(self)
        self.busy_changed.emit(None)
        while (work := self.mailbox.take()) is not None:
            # Each for itself: a wish that fails does not take a picture with it.
            if work.wish is not None:
                self._attempt(partial(worker.fulfil, work.wish), work.wish)
            if work.measure is not None:
                self._attempt(partial(worker.measure, work.measure))
            worker.request = work.request or worker.request
            self._attempt(worker.render)

    def _attempt(self, step: Callable[[], None], wish: Wish | None = None) -> None:
        """Whatever fails, the thread and the last picture stay."""
        try:
            step()
        except Exception as error:
            self.busy_changed.emit(None)
            self.failed.emit(error, wish)

    def stop(self) -> None:
        """End the thread after the tile in progress, and wait for it."""
        self.mailbox.stop()
        self.wait()


def _be_polite() -> None:
    # On Linux niceness belongs to a thread, and torch's own workers inherit it from this one.
    if sys.platform == "linux":
        thread = threading.get_native_id()
        # The system cuts off what exceeds its range.
        niceness = os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS
        os.setpriority(os.PRIO_PROCESS, thread, niceness)


class _Worker:
    """The render thread's own state; lives and dies on that thread."""

    def __init__(self, thread: RenderThread) -> None:
        import torch

        torch.set_num_threads(os.cpu_count() or 1)
        self._thread = thread
        self._opened: tuple[str, str | None, int] | None = None
        self._light_field: LightField | None = None
        # Engines stay built, so that going back to one is immediate.
        self._renderers: dict[tuple[Precision, str, str, RayMode], Renderer] = {}
        self._renderer: Renderer | None = None
        self._epoch = 0
        self.request: RenderRequest | None = None
        """What `render` has yet to complete."""

    def fulfil(self, wish: Wish) -> None:
        """Open and build what is wished; on failure everything stays as it was."""
        from r2l_core.checkpoint import load_light_field
        from r2l_core.engines import availability, build_engine, default_precision
        from r2l_core.renderer import Renderer

        light_field, renderers = self._light_field, self._renderers
        opened = (wish.checkpoint, wish.scene, _changed_ns(wish.checkpoint))
        if light_field is None or self._opened != opened:
            self._thread.busy_changed.emit(f"Opening {wish.checkpoint}…")
            scene = None if wish.scene is None else load_scene(wish.scene)
            light_field, renderers = load_light_field(wish.checkpoint, scene), {}
        precision = wish.precision or default_precision(light_field, wish.engine, wish.device)
        ray_mode = light_field.ray_mode(wish.rays)
        key = (precision, wish.engine, wish.device, ray_mode)
        if key not in renderers:
            self._thread.busy_changed.emit(f"Building {precision}…")
            engine = build_engine(light_field, precision, wish.engine, wish.device)
            renderer = Renderer(engine, light_field.scene, ray_mode, skip_background=True)
            renderer.warm_up()
            renderers[key] = renderer

        self._opened = opened
        self._light_field, self._renderers = light_field, renderers
        self._renderer = renderers[key]
        self._epoch += 1
        self._renderer.epoch = self._epoch
        self._thread.busy_changed.emit(None)
        self._thread.running_changed.emit(
            Running(
                epoch=self._epoch,
                wish=wish,
                name=light_field.name,
                summary=_summary(light_field),
                scene=light_field.scene,
                ray_mode=ray_mode,
                engine=self._renderer.engine.info,
                precisions={p: availability(p, wish.engine, wish.device) for p in Precision},
            )
        )

    def render(self) -> None:
        """Answer the request with frames until it is complete or something waits.

        What a wish or a measurement cuts short goes on after it; what failed does not.
        """
        request, self.request = self.request, None
        if self._renderer is None or request is None:
            return
        complete = False
        mailbox = self._thread.mailbox
        for frame in self._renderer.frames(request, mailbox.pending, mailbox.urgent):
            complete = frame.complete
            self._thread.frame_ready.emit(frame)
        if not complete:
            self.request = request

    def measure(self, camera: Camera) -> None:
        """Time one whole frame with every pixel through the network."""
        from r2l_core.renderer import Renderer

        if self._renderer is None:
            return
        plain = Renderer(self._renderer.engine, self._renderer.scene, self._renderer.ray_mode)
        start = time.perf_counter()
        plain.render(camera)
        seconds = time.perf_counter() - start
        self._thread.measured.emit(Measured(camera.width_px * camera.height_px, seconds))


def _changed_ns(checkpoint: str) -> int:
    """When the file was last written, so that one made anew is read again; 0 where unknown."""
    try:
        return Path(checkpoint).stat().st_mtime_ns
    except OSError:
        return 0


def _summary(light_field: LightField) -> str:
    network = light_field.network
    return (
        f"{network.short_name}, {network.n_sample} samples, {network.n_frequencies} octaves, "
        f"stored as {light_field.stored_dtype}"
    )
