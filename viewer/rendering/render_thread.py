"""The one thread that owns light fields and engines.

It takes the latest work from its mailbox and answers with signals; the window never waits for it.
The first pictures need no torch (`starting`), which loads behind them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from PyQt6.QtCore import QThread, pyqtSignal

from r2l_core.engines.fused.workers import usable_processors
from r2l_core.errors import R2LError
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.scene import SceneSpec
from r2l_core.render.frames import RenderRequest
from r2l_core.types import Availability, Precision, to_uint8
from viewer.rendering.mailbox import Mailbox, Work
from viewer.rendering.open_light_fields import Built, OpenLightFields
from viewer.rendering.running import Exact, Measured, Running
from viewer.rendering.starting import Looking, Preparation, first_look
from viewer.runtime import lower_thread_priority
from viewer.state.panes import SCENE_TRUTH, TRUTH
from viewer.state.resolve import Wish

if TYPE_CHECKING:
    from r2l_core.render.first_look import FirstLook
    from r2l_core.render.renderer import Renderer
    from viewer.rendering.opening import Opened


class RenderThread(QThread):
    """Signals carry frozen objects."""

    looking = pyqtSignal(Looking)
    """The first pictures are on their way."""
    frames_ready = pyqtSignal(tuple)
    """tuple[Frame, ...], one for each pane, of the same pass."""
    running_changed = pyqtSignal(Running)
    measured = pyqtSignal(Measured)
    exact_ready = pyqtSignal(Exact)
    busy_changed = pyqtSignal(str)
    """What slow thing is under way; empty when it is over."""
    failed = pyqtSignal(Exception, object)
    """The exception, and the Wish it ended; None where no wish but a picture failed."""

    _to_be_prepared = pyqtSignal(Preparation)

    def __init__(self) -> None:
        super().__init__()
        self.mailbox = Mailbox()
        # By the window's thread, so that it inherits that one's niceness: what waits for a
        # processor while it imports has Python's lock, and the window waits with it.
        self._to_be_prepared.connect(lambda preparation: preparation.start())

    def run(self) -> None:
        """Serve the mailbox until it is stopped."""
        self._attempt(self._serve)

    def _serve(self) -> None:
        # Before anything computes: the threads that help inherit it.
        lower_thread_priority()
        work = self.mailbox.take()
        if work is None:
            return
        opened = OpenLightFields(self.busy_changed.emit, self.mailbox.superseded)
        look = None if work.wish is None else first_look(work.wish)
        if look is None or work.wish is None:
            self._serve_with(_Worker(self, opened), work)
            return
        preparation = Preparation(opened, work.wish, self.mailbox.nudge)
        later = self._show_first_look(look, preparation)
        if later is None:
            return
        worker = _Worker(self, opened)
        self._attempt(partial(worker.adopt, work.wish, preparation.result), work.wish)
        self._serve_with(worker, later)

    def _show_first_look(self, look: FirstLook, preparation: Preparation) -> Work | None:
        """Answer requests with first looks until everything is prepared. Returns what they could
        not answer; None once stopped."""
        self.looking.emit(Looking(look.name, look.scene, look.ray_mode, look.info))
        later, begun = Work(), False

        def prepare() -> None:
            nonlocal begun
            if not begun:
                begun = True
                self.busy_changed.emit("Loading the engines…")
                self._to_be_prepared.emit(preparation)

        def answer(request: RenderRequest) -> None:
            for frame in look.frames(request, self.mailbox.pending):
                self.frames_ready.emit((frame,))
                # Not before: it would take the processors from the first picture.
                prepare()

        while not preparation.over:
            work = self.mailbox.take()
            if work is None:
                return None
            later = later.followed_by(work)
            if work.request is not None:
                self._attempt(partial(answer, work.request))
                prepare()
        return later

    def _serve_with(self, worker: _Worker, work: Work | None) -> None:
        self.busy_changed.emit("")
        while work is not None:
            # Each for itself: a wish that fails does not take a picture with it.
            if work.wish is not None:
                self._attempt(partial(worker.fulfil, work.wish), work.wish)
            if work.measure is not None:
                self._attempt(partial(worker.measure, work.measure))
            if work.exact is not None:
                self._attempt(partial(worker.exact, work.exact))
            worker.request = work.request or worker.request
            self._attempt(worker.render)
            work = self.mailbox.take()

    def _attempt(self, step: Callable[[], None], wish: Wish | None = None) -> None:
        """Whatever fails, the thread and the last picture stay."""
        try:
            step()
        except Exception as error:
            self.busy_changed.emit("")
            self.failed.emit(error, wish)

    def stop(self) -> None:
        """End the thread after the tile in progress, and wait for it."""
        self.mailbox.stop()
        self.wait()


class _Worker:
    """The render thread's own state; lives and dies on that thread."""

    def __init__(self, thread: RenderThread, opened: OpenLightFields) -> None:
        import torch

        # For this thread: it is its own affair.
        torch.set_num_threads(usable_processors())
        self._thread = thread
        self._open = opened
        self._renderer: Renderer | None = None
        self._said: frozenset[str] = frozenset()
        """Why panes cannot be shown, as far as that was reported."""
        self._failed: tuple[str, Camera] | None = None
        """What the last picture failed of, and of which camera it was; None where it did not."""
        self.request: RenderRequest | None = None
        """What `render` has yet to complete."""

    def fulfil(self, wish: Wish) -> None:
        """Open and build what is wished; on failure everything stays as it was."""
        self.adopt(wish, partial(self._open.build, wish))

    def adopt(self, wish: Wish, build: Callable[[], Built]) -> None:
        """Render from now on with what `build` gives; on failure, or where another light field is
        wished for by then, everything stays as it was."""
        from r2l_core.engines.backends import availability
        from r2l_core.engines.building import BuildAbandoned
        from r2l_core.render.renderer import Renderer

        try:
            built = build()
        except BuildAbandoned:
            self._thread.busy_changed.emit("")
            return
        light_field, choice, thread = built.light_field, wish.light_field, self._thread
        truth = _truth_of(light_field.scene)
        truths = {TRUTH: truth}
        if wish.dataset is not None:
            truths = {TRUTH: Availability(True), SCENE_TRUTH: truth}
        if self._renderer is None:
            self._renderer = Renderer(built.panes)
        self._renderer.panes = built.panes
        self._renderer.epoch += 1
        thread.busy_changed.emit("")
        thread.running_changed.emit(
            Running(
                epoch=self._renderer.epoch,
                wish=wish,
                name=light_field.name,
                summary=_summary(light_field),
                scene=light_field.scene,
                ray_mode=built.ray_mode,
                engines=tuple(pane.source.info for pane in built.panes),
                precisions={p: availability(p, choice.engine, choice.device) for p in Precision},
                choices=_choices(choice.device),
                truths=truths,
                notes=built.notes,
                sha256=built.sha256,
                scene_from=built.scene_from,
                light_field=light_field,
            )
        )
        # Said once, and not again with every change of something else.
        said, self._said = self._said, frozenset(map(str, built.failures))
        for error in built.failures:
            if str(error) not in said:
                thread.failed.emit(error, wish)

    def render(self) -> None:
        """Answer the request with frames until it is complete or something waits.

        What a wish or a measurement cuts short goes on after it; what failed does not.
        """
        request, self.request = self.request, None
        if self._renderer is None or request is None:
            return
        complete = False
        mailbox = self._thread.mailbox
        try:
            for frames in self._renderer.frames(request, mailbox.pending, mailbox.urgent):
                complete = frames[0].complete
                self._thread.frames_ready.emit(frames)
        except Exception as error:
            failed, self._failed = self._failed, (str(error), request.camera)
            # A GPU that is lost fails at every step of a drag. Who asks for the same picture once
            # more wants to know.
            if failed is None or failed[0] != str(error) or failed[1].same_view(request.camera):
                raise
            return
        self._failed = None
        if not complete:
            self.request = request

    def measure(self, camera: Camera) -> None:
        """Time one whole frame of the first pane, none of its pixels skipped."""
        from r2l_core.render.progressive_image import render_image
        from r2l_core.render.sources import NetworkSource

        if self._renderer is None:
            return
        source = self._renderer.panes[0].source
        if isinstance(source, NetworkSource) and source.pictures is not None:
            # What a GPU captures for its first picture of a size is not that picture's time.
            source.whole_picture(camera, whole=True)
        start = time.perf_counter()
        render_image(source, camera, whole=True)
        seconds = time.perf_counter() - start
        self._thread.measured.emit(Measured(camera.width_px * camera.height_px, seconds))

    def exact(self, camera: Camera) -> None:
        """Render the whole picture of the first pane as the window shows it in the end."""
        from r2l_core.render.progressive_image import render_image

        if self._renderer is None:
            return
        colors = render_image(self._renderer.panes[0].source, camera)
        assert colors is not None
        self._thread.exact_ready.emit(Exact(camera, to_uint8(colors)))


def _choices(device: str) -> dict[Precision, tuple[str, ...]]:
    from r2l_core.engines.backends import available_engines

    return {p: available_engines(p, device) for p in Precision}


def _truth_of(scene: SceneSpec) -> Availability:
    from r2l_core.training.teachers import teacher_of

    try:
        teacher_of(scene)
    except R2LError as error:
        return Availability(False, error.why)
    return Availability(True)


def _summary(light_field: Opened) -> str:
    from r2l_core.model.light_field import LightField

    if not isinstance(light_field, LightField):
        return f"{light_field.short_name}, a teacher"
    network = light_field.network
    return (
        f"{network.short_name}, {network.ray_form}, {network.n_frequencies} octaves, "
        f"stored as {light_field.stored_dtype}"
    )
