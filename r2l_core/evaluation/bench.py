"""How fast is each precision on each engine, beside the computation as published?

All paths render the same frame in turn, round after round, so that a machine whose speed drifts
slows them alike: quote the ratios. Every pixel goes through the network.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from r2l_core.engines.backends import candidates, devices
from r2l_core.engines.building import build_engine
from r2l_core.engines.fused.library import level_for
from r2l_core.engines.fused.peak import peak_gops
from r2l_core.engines.processor import this_processor
from r2l_core.engines.teacher_engines import TeacherFile, teacher_engine
from r2l_core.errors import EngineError
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.rays import image_rays
from r2l_core.images.metrics import psnr_db
from r2l_core.model.light_field import LightField
from r2l_core.render.frames import FrameTimings
from r2l_core.render.progressive_image import TimedImage, render_image, timed_image
from r2l_core.render.sources import NetworkSource
from r2l_core.types import EngineInfo, Precision, RayMode

ROUNDS = 3
WARM_UP_S = 0.7
"""Time each frame's engine gets before it is timed."""

TEACHER_TILES = 4
"""Tiles of a teacher that are timed a round: a whole frame would take minutes."""


@dataclass
class Run:
    """One path's measurements, a value a round; `failed` says why there are no more."""

    precision: Precision
    engine: str
    build: Callable[[], NetworkSource]
    info: EngineInfo | None = None
    failed: str = ""
    ms: list[float] = field(default_factory=list)
    timings: list[FrameTimings] = field(default_factory=list)
    peak_rss_mb: float | None = None
    mse_vs_fp32: float = 0.0
    flop_per_ray: int = 0
    peak_gops: float | None = None
    """The processor's own limit for this precision; None where it is not known."""

    def gops(self, rays: int) -> float:
        """10^9 operations a second, of the linear layers alone."""
        return self.flop_per_ray * rays / self.ms_median() / 1e6

    def ms_median(self) -> float:
        """Median milliseconds of a frame."""
        return statistics.median(self.ms)

    def report(self, published_ms: Sequence[float], rays: int) -> dict[str, Any]:
        """The contract's JSON entry, with null for all that a failed path has not measured.

        `published_ms`: a frame of `rays` on the published path, round by round.
        """
        done = not self.failed
        return {
            "precision": self.precision,
            "engine": self.engine,
            "ms_median": self.ms_median() if done else None,
            "ms_p95": _p95(self.ms) if done else None,
            "krays_per_s": rays / self.ms_median() if done else None,
            # Round by round, so that a drift of the machine's speed cancels.
            "ratio_to_published": statistics.median(
                slow / fast for slow, fast in zip(published_ms, self.ms, strict=True)
            )
            if done
            else None,
            "gops": self.gops(rays) if done else None,
            "peak_share": self.gops(rays) / self.peak_gops if done and self.peak_gops else None,
            "threads": torch.get_num_threads(),
            "share": _shares(self.timings)
            if done
            else dict.fromkeys(("rays", "encode", "network", "copy")),
            "psnr_db_vs_fp32": psnr_db(self.mse_vs_fp32) if done else None,
            "peak_rss_mb": self.peak_rss_mb if done else None,
            "engine_info": None if self.info is None else asdict(self.info),
            "failed": self.failed or None,
        }


class TeacherRun:
    """A teacher's measurements: each round some whole tiles of rays, spread over the frame."""

    def __init__(self, teacher: TeacherFile, camera: Camera, device: str) -> None:
        self._engine = teacher_engine(teacher, device)
        self._teacher = teacher
        self.rays_frame = camera.width_px * camera.height_px
        self.rays_timed = TEACHER_TILES * self._engine.tile_rays
        origins, directions = image_rays(camera)
        rows = torch.linspace(0, self.rays_frame - 1, self.rays_timed).round().to(torch.int64)
        self._tiles = [
            (origins[tile], directions[tile]) for tile in torch.split(rows, self._engine.tile_rays)
        ]
        self.ms: list[float] = []

    def measure(self) -> None:
        """Time the tiles once more, after one that warms up."""
        self._engine.shade(*self._tiles[0])
        start = time.perf_counter()
        for origins, directions in self._tiles:
            self._engine.shade(origins, directions)
        self.ms.append((time.perf_counter() - start) * 1e3)

    def report(self, published_ms: Sequence[float]) -> dict[str, Any]:
        """The contract's JSON entry. `published_ms`: a whole frame of the published path, round by
        round."""
        frames_ms = [ms * self.rays_frame / self.rays_timed for ms in self.ms]
        frame_ms = statistics.median(frames_ms)
        return {
            "name": self._teacher.name,
            "ms_median": frame_ms,
            "ms_median_is": "extrapolated to the frame from rays_timed rays in whole tiles",
            "ms_timed_median": statistics.median(self.ms),
            "rays_timed": self.rays_timed,
            "rays_per_frame": self.rays_frame,
            "tile_rays": self._engine.tile_rays,
            "krays_per_s": self.rays_frame / frame_ms,
            "ratio_to_published": statistics.median(
                slow / fast for slow, fast in zip(published_ms, frames_ms, strict=True)
            ),
            "engine_info": asdict(self._engine.info),
        }


class Bench:
    """Times `precisions` on every engine that has them, the published path, and a teacher.

    An engine that fails is left out from then on, and reported. Raises EngineError where nothing
    can be timed.
    """

    def __init__(
        self,
        light_field: LightField,
        precisions: Sequence[Precision],
        camera: Camera,
        ray_mode: RayMode,
        engine: str = "auto",
        device: str = "auto",
        teacher: TeacherFile | None = None,
    ) -> None:
        self._camera = camera

        def path(name: str, precision: Precision, place: str) -> Run:
            def build() -> NetworkSource:
                engine = build_engine(light_field, precision, name, place)
                return NetworkSource(engine, light_field.scene, ray_mode)

            flop_per_ray = light_field.network.flop_per_ray
            return Run(precision, name, build, flop_per_ray=flop_per_ray)

        def runs(precision: Precision) -> Iterator[Run]:
            place, names = candidates(precision, engine, device)
            for name in names:
                if name != "reference":
                    yield path(name, precision, place)

        self.published = path("reference", Precision.FP32, "cpu")
        self.runs = [run for precision in precisions for run in runs(precision)]
        # Built once now, so that what cannot run is said before anything is timed.
        self.published.info = self.published.build().info
        errors: list[EngineError] = []
        for run in self.runs:
            try:
                run.info = run.build().info
            except EngineError as error:
                run.failed = str(error)
                errors.append(error)
        if errors and len(errors) == len(self.runs):
            raise errors[0]
        place = devices(device)[0]
        self.teacher = None if teacher is None else TeacherRun(teacher, camera, place)

    def measure(self, rounds: int = ROUNDS) -> Iterator[Run | TeacherRun]:
        """Render `rounds` frames on every path, yielding after each.

        Each frame has an engine of its own, warmed up and released again: the threads and memory of
        engines that only wait would slow the one that is timed.
        """
        everything = [self.published, *self.runs]
        _find_peaks(self.runs)
        exact: Tensor | None = None
        for number in range(rounds):
            for run in everything:
                if run.failed:
                    continue
                _reset_peak_rss()
                try:
                    frame = self._frame(run)
                except EngineError as error:
                    if run is self.published:
                        raise
                    run.failed = str(error)
                    continue
                run.ms.append(frame.seconds * 1e3)
                run.timings.append(frame.timings)
                run.peak_rss_mb = _peak_rss_mb()
                if number == 0:
                    # The published path comes first, and is float32.
                    exact = frame.colors if exact is None else exact
                    run.mse_vs_fp32 = float((frame.colors - exact).square().mean())
                yield run
            if self.teacher is not None:
                self.teacher.measure()
                yield self.teacher

    def _frame(self, run: Run) -> TimedImage:
        source = run.build()
        source.warm_up()
        # Fresh memory is slow the first time it is touched.
        render_image(source, self._camera, _after(WARM_UP_S))
        return timed_image(source, self._camera)

    def report(self) -> dict[str, Any]:
        """The contract's JSON object."""
        rays = self._camera.width_px * self._camera.height_px
        published_ms = self.published.ms_median()
        teacher = self.teacher
        return {
            "published": {
                "ms_median": published_ms,
                "krays_per_s": rays / published_ms,
                "gops": self.published.gops(rays),
                "threads": torch.get_num_threads(),
            },
            "teacher": None if teacher is None else teacher.report(self.published.ms),
            "runs": [run.report(self.published.ms, rays) for run in self.runs],
            "rounds": len(self.published.ms),
            "size": [self._camera.width_px, self._camera.height_px],
            "processor": this_processor().name,
        }


def _find_peaks(runs: Sequence[Run]) -> None:
    """What the processor could do at best; measured once for each precision."""
    try:
        level = level_for(this_processor())
    except EngineError:
        return
    peaks: dict[Precision, float] = {}
    for run in runs:
        if run.info is not None and run.info.device == "cpu":
            if run.precision not in peaks:
                peaks[run.precision] = peak_gops(level, run.precision, torch.get_num_threads())
            run.peak_gops = peaks[run.precision]


def _after(seconds: float) -> Callable[[], bool]:
    """A cancel flag that goes up in so many seconds."""
    end_s = time.perf_counter() + seconds
    return lambda: time.perf_counter() >= end_s


def _p95(ms: Sequence[float]) -> float:
    return statistics.quantiles(ms, n=20, method="inclusive")[-1] if len(ms) > 1 else ms[0]


def _shares(timings: list[FrameTimings]) -> dict[str, float]:
    total = sum(t.total_ms for t in timings)
    return {
        "rays": sum(t.rays_ms for t in timings) / total,
        "encode": sum(t.encode_ms for t in timings) / total,
        "network": sum(t.network_ms for t in timings) / total,
        "copy": sum(t.copy_ms for t in timings) / total,
    }


def _reset_peak_rss() -> None:
    # Linux alone can set the high-water mark back; elsewhere the peak is not reported.
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_rss_mb() -> float | None:
    if sys.platform != "linux":
        return None
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    peak = next((line for line in lines if line.startswith("VmHWM:")), None)
    return None if peak is None else int(peak.split()[1]) * 1024 / 1e6
