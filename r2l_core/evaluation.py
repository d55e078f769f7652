"""How good are the pictures? Every precision against ground truth and against fp32."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from r2l_core.camera import Camera, Orbit, focal_from_angle
from r2l_core.checkpoint import LightField
from r2l_core.engines import build_engine
from r2l_core.evaluation_folder import EvaluationFolder, key_of
from r2l_core.metrics import flip, mse, psnr_db, ssim
from r2l_core.references import Reference
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
    """Per-view measurements of one precision; squared errors, mean FLIP, milliseconds."""

    engine: EngineInfo
    mse_views: list[float] = field(default_factory=list)
    ssim_views: list[float] = field(default_factory=list)
    flip_views: list[float] = field(default_factory=list)
    mse_vs_fp32_views: list[float] = field(default_factory=list)
    ms_views: list[float] = field(default_factory=list)
    pixels_views: list[int] = field(default_factory=list)

    def add(self, view: Mapping[str, float]) -> None:
        """Measurements of the next view, by the names of the lists above."""
        for name in (f.name for f in fields(self) if f.name.endswith("_views")):
            getattr(self, name).append(view[name])

    def summary(self) -> dict[str, Any]:
        """The contract's JSON entry for this precision."""
        psnrs = [psnr_db(value) for value in self.mse_views]
        to_fp32 = [psnr_db(value) for value in self.mse_vs_fp32_views]
        return {
            "psnr_db_mean": statistics.fmean(psnrs),
            "psnr_db_pooled": psnr_db(statistics.fmean(self.mse_views, weights=self.pixels_views)),
            "psnr_db_views": psnrs,
            "ssim_mean": statistics.fmean(self.ssim_views),
            "flip_mean": statistics.fmean(self.flip_views),
            "psnr_db_vs_fp32_mean": statistics.fmean(to_fp32),
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

        self._settings = {
            "checkpoint": light_field.sha256,
            "scene": json.loads(light_field.scene.to_json()),
            "rays": ray_mode,
        }
        self.views_total = len(reference.cameras) * len(self._renderers)
        """How many pictures there are to be measured: one per camera and precision."""
        self.views_resumed = 0
        """How many of them were measured before; grows while `run` is iterated over."""

    def run(self) -> Iterator[EvaluatedView | None]:
        """Render and score view by view; None for one that was measured before.

        `scores` is complete when the iteration ends.
        """
        warm = False
        for index in range(len(self._reference.cameras)):
            known = self._recorded(index)
            for precision, measured in known.items():
                self.scores[precision].add(measured)
                self.views_resumed += 1
                yield None
            missing = [precision for precision in self.scores if precision not in known]
            if missing and not warm:
                for renderer in self._renderers.values():
                    renderer.warm_up()
                warm = True
            if missing:
                yield from self._measure(index, missing)

    def _measure(self, index: int, precisions: Sequence[Precision]) -> Iterator[EvaluatedView]:
        truth = self._reference.image(index)
        camera = self._reference.cameras[index]
        fp32, fp32_ms = _image(self._baseline, camera)
        for precision in precisions:
            renderer = self._renderers[precision]
            own = renderer is self._baseline
            image, ms = (fp32, fp32_ms) if own else _image(renderer, camera)
            error = mse(image, truth)
            measured = {
                "mse_views": error,
                "ssim_views": ssim(image, truth),
                "flip_views": flip(image, truth),
                "mse_vs_fp32_views": 0.0 if own else mse(image, fp32),
                "ms_views": ms,
                "pixels_views": camera.width_px * camera.height_px,
            }
            if self._folder:
                self._folder.save(index, precision.value, image, truth)
                self._folder.record(index, precision.value, self._key(index, precision), measured)
            self.scores[precision].add(measured)
            yield EvaluatedView(index, precision, image, truth, psnr_db(error))

    def _recorded(self, index: int) -> dict[Precision, dict[str, float]]:
        """What the folder knows of a view, by precision."""
        known: dict[Precision, dict[str, float]] = {}
        if self._folder is None:
            return known
        for precision in self.scores:
            measured = self._folder.recorded(index, precision.value, self._key(index, precision))
            if measured is not None:
                known[precision] = measured
        return known

    def _key(self, index: int, precision: Precision) -> str:
        camera = self._reference.cameras[index]
        return key_of(
            {
                **self._settings,
                "engine": asdict(self.scores[precision].engine),
                "baseline": asdict(self._baseline.engine.info),
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
        return {
            "precisions": {p.value: scores.summary() for p, scores in self.scores.items()},
            "views": len(self._reference.cameras),
            "size": [camera.width_px, camera.height_px],
            "reference": self._reference.kind,
        }


def _image(renderer: Renderer, camera: Camera) -> tuple[NDArray[np.float32], float]:
    timed = renderer.render_timed(camera)
    image: NDArray[np.float32] = timed.colors.numpy()
    return image, timed.seconds * 1e3
