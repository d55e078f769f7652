"""How good are the pictures? Every precision against ground truth and against fp32."""

from __future__ import annotations

import contextlib
import math
import statistics
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from r2l_core.engines.building import build_engine
from r2l_core.evaluation.folder import EvaluationFolder, key_of
from r2l_core.evaluation.ground_truth import Reference
from r2l_core.geometry.camera import Camera, focal_from_angle
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.scene import SceneSpec
from r2l_core.images.metrics import ImageComparison, PixelErrors, compare, pixel_errors, psnr_db
from r2l_core.images.perceptual import unavailable
from r2l_core.model.light_field import LightField
from r2l_core.render.progressive_image import timed_image
from r2l_core.render.sources import NetworkSource, PixelSource
from r2l_core.types import EngineInfo, Precision, RayMode

EVALUATION_ELEVATIONS_DEG = (8.0, 22.0, 38.0, 60.0)
EVALUATION_VIEWS = 8
EVALUATION_SIZE_PX = 400


def evaluation_cameras(
    scene: SceneSpec,
    radius: float | None = None,
    pivot: tuple[float, float, float] | None = None,
) -> list[Camera]:
    """Eight cameras around the scene: azimuth 45k + 7 degrees, elevations 8, 22, 38, 60, 8, ..."""
    focal_px = focal_from_angle(EVALUATION_SIZE_PX, scene.camera_angle_x_rad)
    return [
        Orbit(
            azimuth_deg=45.0 * k + 7.0,
            elevation_deg=EVALUATION_ELEVATIONS_DEG[k % 4],
            radius=scene.view_radius if radius is None else radius,
            pivot=scene.center if pivot is None else pivot,
        ).camera(EVALUATION_SIZE_PX, EVALUATION_SIZE_PX, focal_px)
        for k in range(EVALUATION_VIEWS)
    ]


_Errors = TypeVar("_Errors", bound=PixelErrors)


@dataclass(frozen=True)
class ViewScores:
    """Measurements of one view in one precision: against the truth and against fp32.

    ms: of rendering it. n_pixels: how many count, which is its weight in a mean over all pixels.
    counted_percent: the share that these are of the whole picture.
    """

    to_truth: ImageComparison
    to_fp32: PixelErrors
    ms: float
    n_pixels: int
    counted_percent: float = 100.0

    @staticmethod
    def from_record(values: Mapping[str, Any]) -> ViewScores:
        """From `asdict` after a way through JSON. Raises LookupError, TypeError, ValueError or
        OverflowError where it is none."""
        n_pixels = int(values["n_pixels"])
        counted_percent = float(values["counted_percent"])
        if (
            n_pixels < 0
            or not 0 <= counted_percent <= 100
            or (n_pixels > 0) != (counted_percent > 0)
        ):
            raise ValueError(f"{n_pixels} pixels cannot be {counted_percent} % of a picture")
        return ViewScores(
            _restored(ImageComparison, values["to_truth"]),
            _restored(PixelErrors, values["to_fp32"]),
            float(values["ms"]),
            n_pixels,
            counted_percent,
        )


def _restored(kind: type[_Errors], values: Mapping[str, Any]) -> _Errors:
    """JSON has neither infinity, which only a PSNR can be, nor NaN, and null stands for both."""
    known: dict[str, Any] = {}
    for name in (f.name for f in fields(kind)):
        value = values[name]
        if name == "lpips_why_not":
            known[name] = str(value)
        elif value is None:
            known[name] = None if name == "lpips" else math.nan
        else:
            known[name] = float(value)
    return kind(**{**known, "psnr_db": psnr_db(known["mse"])})


@dataclass
class PrecisionScores:
    """Measurements of one precision, an entry per view."""

    engine: EngineInfo
    views: list[ViewScores] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """The contract's JSON entry for this precision. Views of which no pixel counts are in no
        mean against the truth."""
        fp32 = [view.to_fp32 for view in self.views]
        mean, counted = _mean, [view for view in self.views if view.n_pixels]
        truth, n_pixels = [v.to_truth for v in counted], [v.n_pixels for v in counted]
        distances = [scores.lpips for scores in truth if scores.lpips is not None]
        return {
            "psnr_db_mean": mean(scores.psnr_db for scores in truth),
            "psnr_db_pooled": psnr_db(mean((scores.mse for scores in truth), n_pixels)),
            "psnr_db_views": [view.to_truth.psnr_db for view in self.views],
            "ssim_mean": mean(scores.ssim for scores in truth),
            "flip_mean": mean(scores.flip for scores in truth),
            "lpips_mean": mean(distances) if len(distances) == len(truth) else None,
            "counted_percent_mean": mean(view.counted_percent for view in self.views),
            "max_abs_mean": mean(scores.max_abs for scores in truth),
            "mean_abs_mean": mean(scores.mean_abs for scores in truth),
            "off_by_1_255_percent_mean": mean(scores.off_by_1_255_percent for scores in truth),
            "psnr_db_vs_fp32_mean": mean(errors.psnr_db for errors in fp32),
            "max_abs_vs_fp32_mean": mean(errors.max_abs for errors in fp32),
            "off_by_1_255_percent_vs_fp32_mean": mean(
                errors.off_by_1_255_percent for errors in fp32
            ),
            "ms_per_frame_median": statistics.median(view.ms for view in self.views),
            "engine": asdict(self.engine),
        }


def _mean(values: Iterable[float], weights: Sequence[float] | None = None) -> float:
    """Of any number of values; NaN of none."""
    known = list(values)
    return statistics.fmean(known, weights) if known else math.nan


@dataclass(frozen=True, eq=False)
class EvaluatedView:
    """One rendered view beside its truth and its fp32 picture: float32 (H, W, 3) each."""

    index: int
    precision: Precision
    image: NDArray[np.float32]
    truth: NDArray[np.float32]
    fp32: NDArray[np.float32]
    scores: ViewScores


class Evaluation:
    """Renders a reference's cameras in several precisions, every pixel through the network.

    With a `folder`, pictures and measurements are kept there, and what it holds of the very same
    evaluation is not measured again.
    """

    def __init__(
        self,
        light_field: LightField,
        precisions: Sequence[Precision],
        ray_mode: RayMode,
        reference: Reference,
        engine: str = "auto",
        device: str = "auto",
        folder: EvaluationFolder | None = None,
    ) -> None:
        self._reference = reference
        self._folder = folder
        self.sources = {
            precision: NetworkSource(
                build_engine(light_field, precision, engine, device), light_field.scene, ray_mode
            )
            for precision in precisions
        }
        self._baseline = self.sources.get(Precision.FP32) or NetworkSource(
            build_engine(light_field, Precision.FP32, "auto", device), light_field.scene, ray_mode
        )
        self.scores = {
            precision: PrecisionScores(source.info) for precision, source in self.sources.items()
        }
        self._settings = {
            "checkpoint": light_field.sha256,
            "network": light_field.network.to_dict(),
            "scene": asdict(light_field.scene),
            "rays": ray_mode,
            "lpips": not unavailable(),
        }
        self.views_total = len(reference.cameras) * len(self.sources)
        """How many pictures there are to be measured: one per camera and precision."""
        self.views_resumed = 0
        """How many of them were measured before; grows while `run` is iterated over."""

    def run(self, anew: Collection[int] = ()) -> Iterator[EvaluatedView | None]:
        """Render and score view by view; None for one that was measured before, unless its index is
        in `anew`.

        `scores` is complete when the iteration ends.
        """
        warm = False
        for index in range(len(self._reference.cameras)):
            known = {} if index in anew else self._recorded(index)
            for precision, scores in known.items():
                self.scores[precision].views.append(scores)
                self.views_resumed += 1
                yield None
            missing = [precision for precision in self.scores if precision not in known]
            if missing and not warm:
                for source in self.sources.values():
                    source.warm_up()
                warm = True
            if missing:
                yield from self._measure(index, missing)

    def _measure(self, index: int, precisions: Sequence[Precision]) -> Iterator[EvaluatedView]:
        truth, counted = self._reference.image(index), self._reference.counted(index)
        camera = self._reference.cameras[index]
        n_all = camera.width_px * camera.height_px
        n_counted = n_all if counted is None else int(counted.sum())
        fp32, fp32_ms = _image(self._baseline, camera)
        for precision in precisions:
            source = self.sources[precision]
            own = source is self._baseline
            image, ms = (fp32, fp32_ms) if own else _image(source, camera)
            to_truth, to_fp32 = compare(image, truth, counted), pixel_errors(image, fp32)
            scores = ViewScores(to_truth, to_fp32, ms, n_counted, 100.0 * n_counted / n_all)
            if self._folder:
                name, key = precision.value, self._key(index, precision)
                self._folder.save(index, name, image, truth)
                self._folder.record(index, name, key, asdict(scores))
            self.scores[precision].views.append(scores)
            yield EvaluatedView(index, precision, image, truth, fp32, scores)

    def _recorded(self, index: int) -> dict[Precision, ViewScores]:
        """What the folder knows of a view, by precision."""
        known: dict[Precision, ViewScores] = {}
        if self._folder is None:
            return known
        for precision in self.scores:
            record = self._folder.recorded(index, precision.value, self._key(index, precision))
            if record is not None:
                # A record that somebody has changed is none.
                with contextlib.suppress(LookupError, TypeError, ValueError, OverflowError):
                    known[precision] = ViewScores.from_record(record)
        return known

    def _key(self, index: int, precision: Precision) -> str:
        camera = self._reference.cameras[index]
        return key_of(
            {
                **self._settings,
                "engine": asdict(self.scores[precision].engine),
                "baseline": asdict(self._baseline.info),
                "T_world_camera": camera.T_world_camera.tolist(),
                "size_px": [camera.width_px, camera.height_px],
                "focal_px": [camera.focal_px, camera.fy_px],
                "center_px": camera.center_px,
                "truth": self._reference.identity(index),
            }
        )

    def report(self) -> dict[str, Any]:
        """The contract's JSON object."""
        camera = self._reference.cameras[0]
        measured = [view.to_truth for scores in self.scores.values() for view in scores.views]
        whys = {comparison.lpips_why_not for comparison in measured}
        return {
            "precisions": {p.value: scores.summary() for p, scores in self.scores.items()},
            "views": len(self._reference.cameras),
            "size": [camera.width_px, camera.height_px],
            "reference": self._reference.kind,
            "lpips_why_not": "; ".join(sorted(whys - {""})) or None,
        }


def _image(source: PixelSource, camera: Camera) -> tuple[NDArray[np.float32], float]:
    timed = timed_image(source, camera)
    image: NDArray[np.float32] = timed.colors.numpy()
    return image, timed.seconds * 1e3
