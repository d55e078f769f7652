"""The one thread that owns light fields and engines.

It takes the latest work from its mailbox and answers with signals; the window never waits for it.
torch is imported here and not before, so that the window is on the screen while it loads.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import QObject, QThread, pyqtSignal

from r2l_core.camera import Camera
from r2l_core.errors import R2LError
from r2l_core.scene import SceneSpec, load_scene
from r2l_core.types import Availability, EngineInfo, Precision, RayMode, RenderRequest
from viewer.mailbox import Mailbox, Wish
from viewer.niceness import be_polite
from viewer.widgets.pane_choice import AUTO, PaneChoice

if TYPE_CHECKING:
    from r2l_core.checkpoint import LightField
    from r2l_core.datasets import Dataset
    from r2l_core.renderer import Renderer
    from r2l_core.together import Together


@dataclass(frozen=True)
class Running:
    """What the thread renders with from now on. `wish` is the one it fulfils."""

    epoch: int
    wish: Wish
    name: str
    summary: str
    scene: SceneSpec
    ray_mode: RayMode
    engines: tuple[EngineInfo, ...]
    """One for each pane."""
    precisions: Mapping[Precision, Availability]
    choices: Mapping[Precision, tuple[str, ...]]
    """Names of the engines that have each precision here."""
    truth: Availability
    notes: tuple[str, ...]
    """Sentences on what was assumed about the light field."""
    light_field: LightField = field(repr=False, compare=False)
    """Not to be written to."""

    @property
    def engine(self) -> EngineInfo:
        """What runs in the first pane, or alone."""
        return self.engines[0]


@dataclass(frozen=True)
class Measured:
    """One full frame, every ray through the network."""

    rays: int
    seconds: float


class RenderThread(QThread):
    """Signals carry frozen objects: Frame, Running, Measured, or the exception that happened."""

    frame_ready = pyqtSignal(object)
    frames_ready = pyqtSignal(object)
    """tuple[Frame, ...], one for each pane, of the same pass."""
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
        be_polite()
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


class _Worker:
    """The render thread's own state; lives and dies on that thread."""

    def __init__(self, thread: RenderThread) -> None:
        import torch

        torch.set_num_threads(os.cpu_count() or 1)
        self._thread = thread
        self._opened: _Opened | None = None
        self._light_field: LightField | None = None
        # Engines stay built, so that going back to one is immediate.
        self._renderers: dict[_Key, Renderer] = {}
        self._shown: tuple[Renderer, ...] = ()
        self._together: Together | None = None
        self._epoch = 0
        self.request: RenderRequest | None = None
        """What `render` has yet to complete."""

    def fulfil(self, wish: Wish) -> None:
        """Open and build what is wished; on failure everything stays as it was."""
        from r2l_core.checkpoint import load_light_field
        from r2l_core.engines import availability, default_precision
        from r2l_core.together import Together

        light_field, renderers = self._light_field, dict(self._renderers)
        lent = _lent_scene(wish)
        opened = _Opened(wish.checkpoint, wish.scene, lent, _changed_ns(wish.checkpoint))
        if light_field is None or self._opened != opened:
            self._thread.busy_changed.emit(f"Opening {wish.checkpoint}…")
            scene = lent if wish.scene is None else load_scene(wish.scene)
            light_field, renderers = load_light_field(wish.checkpoint, scene), {}
        ray_mode = light_field.ray_mode(wish.rays)
        panes = wish.panes
        if not panes:
            precision = wish.precision or default_precision(light_field, wish.engine, wish.device)
            panes = (PaneChoice(precision, wish.engine),)
        keys = [_key(wish, pane, ray_mode) for pane in panes]
        for key in keys:
            if key not in renderers:
                self._thread.busy_changed.emit(f"Building {key.source}…")
                renderers[key] = _built(light_field, key)

        self._opened = opened
        self._light_field = light_field
        self._renderers = _without_old(renderers, wish)
        self._shown = tuple(renderers[key] for key in keys)
        self._together = Together(self._shown) if len(self._shown) > 1 else None
        self._epoch += 1
        for renderer in self._shown:
            renderer.epoch = self._epoch
        self._thread.busy_changed.emit(None)
        self._thread.running_changed.emit(
            Running(
                epoch=self._epoch,
                wish=wish,
                name=light_field.name,
                summary=_summary(light_field),
                scene=light_field.scene,
                ray_mode=ray_mode,
                engines=tuple(renderer.engine.info for renderer in self._shown),
                precisions={p: availability(p, wish.engine, wish.device) for p in Precision},
                choices=_choices(wish.device),
                truth=_truth_of(light_field.scene, wish.dataset),
                notes=_notes(light_field, wish, lent),
                light_field=light_field,
            )
        )

    def render(self) -> None:
        """Answer the request with frames until it is complete or something waits.

        What a wish or a measurement cuts short goes on after it; what failed does not.
        """
        request, self.request = self.request, None
        if not self._shown or request is None:
            return
        complete = False
        mailbox = self._thread.mailbox
        if self._together is None:
            for frame in self._shown[0].frames(request, mailbox.pending, mailbox.urgent):
                complete = frame.complete
                self._thread.frame_ready.emit(frame)
        else:
            for frames in self._together.frames(request, mailbox.pending, mailbox.urgent):
                complete = frames[0].complete
                self._thread.frames_ready.emit(frames)
        if not complete:
            self.request = request

    def measure(self, camera: Camera) -> None:
        """Time one whole frame with every pixel through the network."""
        from r2l_core.renderer import Renderer

        if not self._shown:
            return
        shown = self._shown[0]
        plain = Renderer(shown.engine, shown.scene, shown.ray_mode)
        start = time.perf_counter()
        plain.render(camera)
        seconds = time.perf_counter() - start
        self._thread.measured.emit(Measured(camera.width_px * camera.height_px, seconds))


@dataclass(frozen=True)
class _Opened:
    """What a light field was opened as, to know whether it has to be opened again."""

    checkpoint: str
    scene: str | None
    lent: SceneSpec | None
    changed_ns: int


@dataclass(frozen=True)
class _Key:
    """Everything a renderer of an open light field depends on."""

    source: Precision | str
    engine: str
    device: str
    ray_mode: RayMode
    layers_in_fp32: frozenset[str]
    dataset: Dataset | None = None
    """Where the ground truth comes from; None for the scene's teacher, and for networks."""


def _key(wish: Wish, pane: PaneChoice, ray_mode: RayMode) -> _Key:
    if not isinstance(pane.source, Precision):
        return _Key(pane.source, AUTO, "cpu", "plain", frozenset(), wish.dataset)
    # Other precisions have no layers that could be switched, and stay built.
    mixed = pane.source in (Precision.INT8, Precision.INT8_SIM, Precision.INT8_STATIC_SIM)
    layers = wish.layers_in_fp32 if mixed else frozenset()
    return _Key(pane.source, pane.engine, wish.device, ray_mode, layers)


def _built(light_field: LightField, key: _Key) -> Renderer:
    from r2l_core.distill.teachers import teacher_of
    from r2l_core.engines import build_engine
    from r2l_core.quantization.mix import with_mix
    from r2l_core.renderer import Renderer
    from r2l_core.truth import DatasetTruthRenderer, TruthRenderer

    scene = light_field.scene
    renderer: Renderer
    if isinstance(key.source, Precision):
        mixed = with_mix(light_field, key.layers_in_fp32)
        engine = build_engine(mixed, key.source, key.engine, key.device)
        renderer = Renderer(engine, scene, key.ray_mode, skip_background=True)
    elif key.dataset is not None:
        renderer = DatasetTruthRenderer(scene, key.dataset)
    else:
        renderer = TruthRenderer(scene, teacher_of(scene))
    renderer.warm_up()
    return renderer


def _without_old(renderers: Mapping[_Key, Renderer], wish: Wish) -> dict[_Key, Renderer]:
    """Of the many mixes somebody tries, only the present one and none at all stay built; of the
    datasets, only the one that is open."""
    kept = (frozenset[str](), wish.layers_in_fp32)
    return {
        key: one
        for key, one in renderers.items()
        if key.layers_in_fp32 in kept and key.dataset in (None, wish.dataset)
    }


def _choices(device: str) -> dict[Precision, tuple[str, ...]]:
    from r2l_core.engines import available_engines

    return {p: available_engines(p, device) for p in Precision}


def _lent_scene(wish: Wish) -> SceneSpec | None:
    """The dataset's scene, for a released file that says little of its own and is given none."""
    from r2l_core.checkpoint import is_released

    if wish.scene is not None or wish.dataset is None or not is_released(wish.checkpoint):
        return None
    return wish.dataset.scene


def _notes(light_field: LightField, wish: Wish, lent: SceneSpec | None) -> tuple[str, ...]:
    if lent is None or wish.dataset is None:
        return light_field.notes
    return (
        f"The file names no scene: near, far, background and camera of the dataset "
        f"{wish.dataset.name} are used.",
        *light_field.notes,
    )


def _truth_of(scene: SceneSpec, dataset: Dataset | None) -> Availability:
    from r2l_core.distill.teachers import teacher_of

    if dataset is not None:
        return Availability(True)
    try:
        teacher_of(scene)
    except R2LError as error:
        return Availability(False, error.why)
    return Availability(True)


def _changed_ns(checkpoint: str) -> int:
    """When the file was last written, so that one made anew is read again; 0 where unknown."""
    try:
        return Path(checkpoint).stat().st_mtime_ns
    except OSError:
        return 0


def _summary(light_field: LightField) -> str:
    network = light_field.network
    return (
        f"{network.short_name}, {network.ray_form}, {network.n_frequencies} octaves, "
        f"stored as {light_field.stored_dtype}"
    )
