"""The ground truth: true pictures of an evaluation, and a source of pixels beside what it taught.

Where a scene has a teacher, that knows the truth of every camera; a dataset knows it of its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from r2l_core.errors import DatasetError
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.scene import SceneSpec
from r2l_core.render.budget import Speed
from r2l_core.render.frames import FrameTimings
from r2l_core.render.sources import Batch, Plan, RenderCost, blank, looked_up
from r2l_core.training.teachers import Teacher, supersampled_image, supersampled_pixels, teacher_of
from r2l_core.types import EngineInfo, Precision

if TYPE_CHECKING:
    from r2l_core.datasets import Dataset


class Reference(Protocol):
    """Cameras, and what is truly seen through them."""

    @property
    def kind(self) -> Literal["teacher", "dataset"]:
        """For reports."""
        ...

    @property
    def cameras(self) -> Sequence[Camera]: ...

    def image(self, index: int) -> NDArray[np.float32]:
        """What camera `index` sees: float32 (H, W, 3), sRGB in [0, 1]."""
        ...

    def counted(self, index: int) -> NDArray[np.bool_] | None:
        """Which of its pixels count in errors: (H, W); None for all of them."""
        ...

    def identity(self, index: int) -> dict[str, Any]:
        """JSON values that change whenever that picture may have changed."""
        ...


class TeacherReference:
    """The scene's own ground truth, each pixel the mean of 4x4 rays around its own.

    Raises SceneError where the scene has no teacher.
    """

    kind: Literal["teacher"] = "teacher"

    def __init__(self, scene: SceneSpec, cameras: Sequence[Camera]) -> None:
        self.cameras = cameras
        self._teacher = teacher_of(scene)
        self._name = scene.teacher

    def image(self, index: int) -> NDArray[np.float32]:
        return self.seen_by(self.cameras[index])

    def seen_by(self, camera: Camera) -> NDArray[np.float32]:
        """What any camera sees: float32 (H, W, 3), sRGB in [0, 1]."""
        truth: NDArray[np.float32] = supersampled_image(self._teacher, camera).numpy()
        return truth

    def counted(self, index: int) -> NDArray[np.bool_] | None:
        return None

    def identity(self, index: int) -> dict[str, Any]:
        return {"teacher": self._name}


class DatasetReference:
    """The photographs of a dataset: all, or the first `limit`."""

    kind: Literal["dataset"] = "dataset"

    def __init__(self, dataset: Dataset, limit: int | None = None) -> None:
        self.cameras = dataset.cameras[:limit]
        self._dataset = dataset

    def image(self, index: int) -> NDArray[np.float32]:
        return self._dataset.image(index)

    def counted(self, index: int) -> NDArray[np.bool_] | None:
        return self._dataset.counted(index)

    def identity(self, index: int) -> dict[str, Any]:
        view = self._dataset.views[index]
        return {
            **_file_identity("picture", view.path),
            **(_file_identity("mask", view.mask) if view.mask is not None else {}),
            "distortion": view.distortion and asdict(view.distortion),
            "background": self._dataset.background,
        }


def _file_identity(name: str, path: Path) -> dict[str, Any]:
    try:
        stat = path.stat()
    except OSError as error:
        raise DatasetError(
            f"The picture {path} cannot be read",
            "it has vanished since the dataset was opened",
            "Open the dataset again.",
        ) from error
    return {
        name: str(path.resolve()),
        f"{name}_bytes": stat.st_size,
        f"{name}_modified_ns": stat.st_mtime_ns,
    }


TRUTH = "truth"
_CALL_PIXELS = 2048


class TeacherSource:
    """What a scene's teacher sees: its mean over 4x4 offsets around each pixel's ray. `name`: what
    its pictures are called."""

    quiet_torch = False

    def __init__(self, scene: SceneSpec, teacher: Teacher, name: str = TRUTH) -> None:
        kernel = f"the scene's teacher ({scene.teacher}), 4x4 samples a pixel"
        self.info = _info("float32", kernel, name)
        self.speed = Speed(0.0)
        self._scene = scene
        self._teacher = teacher

    def warm_up(self) -> None:
        """Measure how long a pixel takes, with all its samples."""
        camera = self._scene.home_camera()
        pixels = torch.arange(_CALL_PIXELS) % (camera.width_px * camera.height_px)
        start = time.perf_counter()
        supersampled_pixels(self._teacher, camera, pixels)
        self.speed = Speed(_CALL_PIXELS / max(time.perf_counter() - start, 1e-9))

    def plan(self, camera: Camera, pixels: Tensor, whole: bool = False) -> Plan:
        """See PixelSource.plan."""
        return Plan(Batch(pixels))

    def shade(self, camera: Camera, batch: Batch) -> Iterator[tuple[Tensor, RenderCost]]:
        """See PixelSource.shade."""
        for pixels in torch.split(batch.pixels, _CALL_PIXELS) if len(batch) else ():
            began = time.perf_counter()
            colors = supersampled_pixels(self._teacher, camera, pixels)
            seconds = time.perf_counter() - began
            # No network was asked.
            yield colors, RenderCost(FrameTimings(network_ms=seconds * 1e3), 0, seconds)

    def why_blank(self, camera: Camera) -> str:
        """A teacher sees from everywhere."""
        return ""

    def counted(self, camera: Camera) -> NDArray[np.bool_] | None:
        """See PixelSource.counted."""
        return None


class DatasetSource:
    """A dataset's own picture for the cameras that took one, at whatever size they are rendered,
    averaged over the area of each pixel; any other camera is told why there is none.

    Pictures are read when they are first asked for, and only the last one is kept. Raises
    DatasetError for one that cannot be read.
    """

    speed = None
    quiet_torch = False

    def __init__(self, dataset: Dataset) -> None:
        self.info = _info("none", f"pictures of the dataset {dataset.name}, {dataset.split}")
        self._dataset = dataset
        self._last: tuple[Camera, Tensor | None] | None = None

    def warm_up(self) -> None:
        """Nothing is computed."""

    def plan(self, camera: Camera, pixels: Tensor, whole: bool = False) -> Plan:
        """See PixelSource.plan."""
        return Plan(Batch(pixels))

    def shade(self, camera: Camera, batch: Batch) -> Iterator[tuple[Tensor, RenderCost]]:
        """See PixelSource.shade."""
        colors = self._colors(camera)
        if colors is None:
            yield blank(len(batch)), RenderCost()
        else:
            yield from looked_up(colors, batch)

    def why_blank(self, camera: Camera) -> str:
        """See PixelSource.why_blank."""
        if self._colors(camera) is not None:
            return ""
        return "not at a pose of the dataset"

    def counted(self, camera: Camera) -> NDArray[np.bool_] | None:
        """See PixelSource.counted. Of a picture made smaller, pixels all of whose area counts."""
        from r2l_core.datasets.images import wholly_kept

        index = self._index_of(camera)
        counted = None if index is None else self._dataset.counted(index)
        if counted is None or counted.shape == (camera.height_px, camera.width_px):
            return counted
        return wholly_kept(counted, camera.width_px, camera.height_px)

    def _colors(self, camera: Camera) -> Tensor | None:
        """The picture from there, float32 (H * W, 3), row by row; None where there is none."""
        if self._last is None or self._last[0] is not camera:
            index = self._index_of(camera)
            picture = None if index is None else self._picture(index, camera)
            self._last = camera, picture
        return self._last[1]

    def _index_of(self, camera: Camera) -> int | None:
        """The view that was taken from exactly there, in whatever size."""
        index = self._dataset.index_of(camera)
        if index is not None:
            return index
        nearest = self._dataset.nearest(camera)
        view = self._dataset.views[nearest].camera.resized(camera.width_px, camera.height_px)
        return nearest if view.same_view(camera) else None

    def _picture(self, index: int, camera: Camera) -> Tensor:
        from r2l_core.datasets.images import area_averaged

        picture, size = self._dataset.image(index), (camera.width_px, camera.height_px)
        if picture.shape[1::-1] != size:
            planes = (np.ascontiguousarray(picture[..., channel]) for channel in range(3))
            picture = np.stack([area_averaged(plane, *size) for plane in planes], axis=-1)
        return torch.from_numpy(picture).reshape(-1, 3)


def _info(arithmetic: str, kernel: str, name: str = TRUTH) -> EngineInfo:
    return EngineInfo(
        engine=name,
        precision=Precision.FP32,
        device="cpu",
        weight_type="none",
        arithmetic=arithmetic,
        kernel=kernel,
        weight_bytes=0,
    )
