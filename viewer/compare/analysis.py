"""Slow questions about what is shown, answered off the window's thread, the latest of a kind."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, QRunnable, QThreadPool, pyqtSignal

from r2l_core.images.difference import DifferenceKind, difference_map
from r2l_core.render.frames import Frame
from r2l_core.types import Precision
from viewer.compare.helper_process import HelperProcess
from viewer.compare.pair_metrics import exact_colors, missing_panes, pair_metrics
from viewer.rendering.running import Running
from viewer.state.panes import TRUTHS
from viewer.state.region import Region
from viewer.widgets.panels.divergence_plot import DivergenceLine, DivergenceReadout
from viewer.widgets.panels.layer_bars import LayerSensitivity
from viewer.widgets.panels.metrics_panel import MetricsReadout

if TYPE_CHECKING:
    pass

SENSITIVITY_RAYS = 128
"""Enough to rank the layers; the command line takes more."""
WORST_LAYERS = 4
"""Layers that "Keep worst 4 in fp32" keeps there."""
_LOOK_S = 0.2
"""How soon measuring that waits for a picture notices that nobody wants it any more."""

Answer = TypeVar("Answer")


class Analyst(QObject):
    """Signals carry what the widgets take. One question at a time; a newer one of the same kind
    makes an older one's answer void."""

    metrics_ready = pyqtSignal(MetricsReadout)
    map_ready = pyqtSignal(DifferenceKind, np.ndarray, Frame, Frame)
    """DifferenceKind, float32 (H, W), Frame a, Frame b."""
    divergence_ready = pyqtSignal(DivergenceReadout)
    sensitivity_ready = pyqtSignal(tuple, tuple)
    """tuple[LayerSensitivity, ...] in the order of the network, and the names of the worst."""
    sensitivity_progress = pyqtSignal(object)
    """Share of the layers that are measured, 0 to 1; None once nothing is measured any more."""
    failed = pyqtSignal(Exception)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(1)
        self._apart = HelperProcess()
        self._latest: dict[str, int] = {}
        self._numbers = itertools.count()
        self._stopped = False
        self._calm = threading.Event()
        self._calm.set()

    def set_calm(self, on: bool) -> None:
        """Go on measuring layers, or wait with it: a picture needs the processor."""
        if on:
            self._calm.set()
        else:
            self._calm.clear()

    def compare(
        self,
        frames: Sequence[Frame],
        region: Region | None = None,
        reference: int | None = None,
    ) -> None:
        """Numbers for every pair of panes, or of each against the one at `reference`, over all of
        the pictures or a region of them; or why there are none."""
        if len(frames) < 2:
            self._void("metrics")
            self.metrics_ready.emit(MetricsReadout(why_not="only one picture is rendered"))
        elif not all(frame.complete for frame in frames):
            self._void("metrics")
            self.metrics_ready.emit(MetricsReadout(why_not="the pictures are not complete yet"))
        elif all(frame.colors is None for frame in frames):
            self._void("metrics")
            self.metrics_ready.emit(MetricsReadout(why_not="the background is not computed yet"))
        elif sum(not frame.why_blank for frame in frames) < 2:
            self._void("metrics")
            self.metrics_ready.emit(
                MetricsReadout(why_not="there are no two pictures", missing=missing_panes(frames))
            )
        else:
            self._ask(
                "metrics",
                partial(pair_metrics, self._apart, tuple(frames), region, reference),
                self.metrics_ready.emit,
            )

    def map(self, kind: DifferenceKind, a: Frame, b: Frame) -> None:
        """A difference map that takes long."""
        work = partial(flip_map, self._apart, a, b)
        self._ask("map", work, lambda values: self.map_ready.emit(kind, values, a, b))

    def probe(self, running: Running, frames: Sequence[Frame], column: int, row: int) -> None:
        """Follow a pixel's ray through the layers of what the panes show."""
        self._ask(
            "probe",
            partial(divergence_at, running, tuple(frames), column, row),
            self.divergence_ready.emit,
        )

    def sensitivity(self, running: Running, precision: Precision) -> None:
        """Measure what every layer loses in eight bits, and which cost the picture most."""
        number = self._begin("sensitivity")
        self.sensitivity_progress.emit(0.0)

        def cancelled() -> bool:
            return self._stopped or self._latest["sensitivity"] != number

        def progress(done: int, total: int) -> None:
            self.sensitivity_progress.emit(done / total)
            while not (cancelled() or self._calm.wait(_LOOK_S)):
                pass

        def finish(answer: tuple[object, object] | None) -> None:
            if answer is not None:
                self.sensitivity_ready.emit(*answer)

        work = partial(_sensitivity, running, precision, progress, cancelled)
        self._run("sensitivity", number, work, finish)

    def stop_sensitivity(self) -> None:
        """What was asked of another light field is of no interest any more."""
        self._void("sensitivity")

    def close(self) -> None:
        """Let what runs end soon, and wait for it."""
        self._stopped = True
        self._latest.clear()
        self._pool.clear()
        self._apart.close()
        self._pool.waitForDone()

    def _void(self, kind: str) -> None:
        self._begin(kind)

    def _begin(self, kind: str) -> int:
        self._latest[kind] = next(self._numbers)
        return self._latest[kind]

    def _ask(
        self, kind: str, work: Callable[[], Answer], finish: Callable[[Answer], object]
    ) -> None:
        self._run(kind, self._begin(kind), work, finish)

    def _run(
        self,
        kind: str,
        number: int,
        work: Callable[[], Answer],
        finish: Callable[[Answer], object],
    ) -> None:
        def job() -> None:
            if self._stopped or self._latest.get(kind) != number:
                return
            from r2l_core.torch_threads import one_torch_thread

            try:
                # With workers of its own there would be more of them than processors; from then on
                # all of them sleep after every layer, and small previews take twice as long.
                with one_torch_thread():
                    answer = work()
            except Exception as error:
                # What was asked last on the way out is no failure.
                if not self._stopped:
                    self.failed.emit(error)
                return
            finally:
                if kind == "sensitivity":
                    self.sensitivity_progress.emit(None)
            if self._latest.get(kind) == number:
                finish(answer)

        if not self._stopped:
            self._pool.start(_Job(job))


class _Job(QRunnable):
    def __init__(self, job: Callable[[], None]) -> None:
        super().__init__()
        self._job = job

    def run(self) -> None:
        self._job()


def flip_map(apart: HelperProcess, a: Frame, b: Frame) -> NDArray[np.float32]:
    """NVIDIA's FLIP of every pixel, 0..1, (H, W), computed in the helper process."""
    return apart.call(difference_map, DifferenceKind.FLIP, exact_colors(a), exact_colors(b))


def divergence_at(
    running: Running, frames: Sequence[Frame], column: int, row: int
) -> DivergenceReadout:
    """How far the other precisions of the open light field part from fp32 at one pixel, block by
    block; a reason where no pane shows any."""
    from r2l_core.model.light_field import LightField
    from r2l_core.quantization.divergence import probe_pixel

    light_field = running.light_field
    if not isinstance(light_field, LightField):
        return DivergenceReadout(column, row, why_not="a teacher has no layers to go through")
    others = {
        frame.engine.precision: None
        for frame, own in zip(frames, running.own_panes, strict=False)
        if own
        and frame.engine.engine not in TRUTHS
        and frame.engine.precision is not Precision.FP32
    }
    if not others:
        why_not = "fp32 of the open light field is what its other precisions are measured by"
        return DivergenceReadout(column, row, why_not=why_not)
    lines = []
    for precision in others:
        found = probe_pixel(light_field, precision, frames[0].camera, column, row, running.ray_mode)
        errors = [layer.stream_relative_error for layer in found.layers]
        lines.append(
            DivergenceLine(str(precision), tuple(error for error in errors if error is not None))
        )
    return DivergenceReadout(column, row, tuple(lines))


def layers_of(running: Running) -> tuple[LayerSensitivity, ...]:
    """The layers of the open light field, not measured yet; a teacher has none."""
    from r2l_core.model.light_field import LightField
    from r2l_core.model.quantized import body_layers

    light_field = running.light_field
    if not isinstance(light_field, LightField):
        return ()
    return tuple(LayerSensitivity(name, math.nan) for name in body_layers(light_field.network))


def _sensitivity(
    running: Running,
    precision: Precision,
    progress: Callable[[int, int], None],
    cancelled: Callable[[], bool],
) -> tuple[object, object] | None:
    from r2l_core.evaluation.sensitivity import analyse
    from r2l_core.model.light_field import LightField
    from r2l_core.quantization.mix import with_mix

    assert isinstance(running.light_field, LightField)  # which alone has layers
    found = analyse(
        with_mix(running.light_field, ()), precision, SENSITIVITY_RAYS, progress, cancelled
    )
    if found is None:
        return None
    layers = tuple(LayerSensitivity(layer.name, layer.sqnr_db) for layer in found.layers)
    return layers, tuple(found.worst_first()[:WORST_LAYERS])


def save_mix(path: Path, layers_in_fp32: frozenset[str]) -> None:
    """Write the mix for `quantize --layers`. Raises RecordingError."""
    from r2l_core.quantization.recipes import save_mix

    save_mix(path, dict.fromkeys(sorted(layers_in_fp32), "fp32"))
