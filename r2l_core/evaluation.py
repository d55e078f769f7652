"""How good are the pictures? Every precision against ground truth and against fp32."""

from __future__ import annotations

import math
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
from r2l_core.metrics import flip, mse, psnr_db, ssim
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
    """Per-view measurements of one precision; dB, milliseconds, mean FLIP."""

    engine: EngineInfo
    mse_views: list[float] = field(default_factory=list)
    ssim_views: list[float] = field(default_factory=list)
    flip_views: list[float] = field(default_factory=list)
    psnr_vs_fp32_views: list[float] = field(default_factory=list)
    ms_views: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """The contract's JSON entry for this precision."""
        psnrs = [psnr_db(value) for value in self.mse_views]
        return {
            "psnr_db_mean": statistics.fmean(psnrs),
            "psnr_db_pooled": psnr_db(statistics.fmean(self.mse_views)),
            "psnr_db_views": psnrs,
            "ssim_mean": statistics.fmean(self.ssim_views),
            "flip_mean": statistics.fmean(self.flip_views),
            "psnr_db_vs_fp32_mean": statistics.fmean(self.psnr_vs_fp32_views),
            "ms_per_frame_median": statistics.median(self.ms_views),
            "engine": asdict(self.engine),
        }


@dataclass(frozen=True, eq=False)
class EvaluatedView:
    """One rendered view beside its truth: float32 (H, W, 3) each."""

    index: int
    precision: Precision
    image: NDArray[np.float32]
    truth: NDArray[np.float32]
    psnr_db: float


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
                scores = self.scores[precision]
                error = mse(image, truth)
                scores.mse_views.append(error)
                scores.ssim_views.append(ssim(image, truth))
                scores.flip_views.append(flip(image, truth))
                scores.ms_views.append(ms)
                scores.psnr_vs_fp32_views.append(
                    math.inf if renderer is self._baseline else psnr_db(mse(image, fp32))
                )
                yield EvaluatedView(index, precision, image, truth, psnr_db(error))

    def report(self) -> dict[str, Any]:
        """The contract's JSON object."""
        camera = self._cameras[0]
        return {
            "precisions": {p.value: scores.summary() for p, scores in self.scores.items()},
            "views": len(self._cameras),
            "size": [camera.width_px, camera.height_px],
            "reference": "teacher",
        }


def _image(renderer: Renderer, camera: Camera) -> tuple[NDArray[np.float32], float]:
    timed = renderer.render_timed(camera)
    image: NDArray[np.float32] = timed.colors.numpy()
    return image, timed.seconds * 1e3
