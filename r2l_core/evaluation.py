"""How good are the pictures? Every precision against ground truth and against fp32."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from r2l_core.camera import Camera, Orbit, focal_from_angle
from r2l_core.checkpoint import LightField
from r2l_core.distill.teachers import supersampled_image, teacher_of
from r2l_core.engines import build_engine
from r2l_core.metrics import ImageComparison, PixelErrors, compare, pixel_errors, psnr_db
from r2l_core.renderer import Renderer
from r2l_core.scene import SceneSpec
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


@dataclass
class PrecisionScores:
    """Measurements of one precision, an entry per view: against the truth and against fp32."""

    engine: EngineInfo
    to_truth: list[ImageComparison] = field(default_factory=list)
    to_fp32: list[PixelErrors] = field(default_factory=list)
    ms_views: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """The contract's JSON entry for this precision."""
        truth, fp32, mean = self.to_truth, self.to_fp32, statistics.fmean
        distances = [scores.lpips for scores in truth if scores.lpips is not None]
        return {
            "psnr_db_mean": mean(scores.psnr_db for scores in truth),
            "psnr_db_pooled": psnr_db(mean(scores.mse for scores in truth)),
            "psnr_db_views": [scores.psnr_db for scores in truth],
            "ssim_mean": mean(scores.ssim for scores in truth),
            "flip_mean": mean(scores.flip for scores in truth),
            "lpips_mean": mean(distances) if len(distances) == len(truth) else None,
            "max_abs_mean": mean(scores.max_abs for scores in truth),
            "mean_abs_mean": mean(scores.mean_abs for scores in truth),
            "off_by_1_255_percent_mean": mean(scores.off_by_1_255_percent for scores in truth),
            "psnr_db_vs_fp32_mean": mean(errors.psnr_db for errors in fp32),
            "max_abs_vs_fp32_mean": mean(errors.max_abs for errors in fp32),
            "off_by_1_255_percent_vs_fp32_mean": mean(
                errors.off_by_1_255_percent for errors in fp32
            ),
            "ms_per_frame_median": statistics.median(self.ms_views),
            "engine": asdict(self.engine),
        }


@dataclass(frozen=True, eq=False)
class EvaluatedView:
    """One rendered view beside its truth and its fp32 picture: float32 (H, W, 3) each."""

    index: int
    precision: Precision
    image: NDArray[np.float32]
    truth: NDArray[np.float32]
    fp32: NDArray[np.float32]
    to_truth: ImageComparison
    to_fp32: PixelErrors


class Evaluation:
    """Renders the evaluation cameras in several precisions, every pixel through the network."""

    def __init__(
        self,
        light_field: LightField,
        precisions: Sequence[Precision],
        ray_mode: RayMode,
        cameras: Sequence[Camera],
        engine: str = "auto",
        device: str = "auto",
    ) -> None:
        self._teacher = teacher_of(light_field.scene)
        self._cameras = list(cameras)
        self._renderers = {
            precision: Renderer(
                build_engine(light_field, precision, engine, device), light_field.scene, ray_mode
            )
            for precision in precisions
        }
        self._baseline = self._renderers.get(Precision.FP32) or Renderer(
            build_engine(light_field, Precision.FP32, "auto", device), light_field.scene, ray_mode
        )
        self.scores = {
            precision: PrecisionScores(renderer.engine.info)
            for precision, renderer in self._renderers.items()
        }

    def run(self) -> Iterator[EvaluatedView]:
        """Render and score view by view; `scores` is complete when the iteration ends."""
        for renderer in self._renderers.values():
            renderer.warm_up()
        for index, camera in enumerate(self._cameras):
            truth: NDArray[np.float32] = supersampled_image(self._teacher, camera).numpy()
            fp32 = _image(self._baseline, camera)[0]
            for precision, renderer in self._renderers.items():
                image, ms = _image(renderer, camera)
                to_truth = compare(image, truth)
                to_fp32 = pixel_errors(fp32 if renderer is self._baseline else image, fp32)
                scores = self.scores[precision]
                scores.to_truth.append(to_truth)
                scores.to_fp32.append(to_fp32)
                scores.ms_views.append(ms)
                yield EvaluatedView(index, precision, image, truth, fp32, to_truth, to_fp32)

    def report(self) -> dict[str, Any]:
        """The contract's JSON object."""
        camera = self._cameras[0]
        whys = {view.lpips_why_not for scores in self.scores.values() for view in scores.to_truth}
        return {
            "precisions": {p.value: scores.summary() for p, scores in self.scores.items()},
            "views": len(self._cameras),
            "size": [camera.width_px, camera.height_px],
            "reference": "teacher",
            "lpips_why_not": "; ".join(sorted(whys - {""})) or None,
        }


def _image(renderer: Renderer, camera: Camera) -> tuple[NDArray[np.float32], float]:
    timed = renderer.render_timed(camera)
    image: NDArray[np.float32] = timed.colors.numpy()
    return image, timed.seconds * 1e3
