"""Where the true pictures of an evaluation come from: a scene's teacher, or a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from r2l_core.datasets import Dataset
from r2l_core.errors import DatasetError
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.scene import SceneSpec
from r2l_core.training.teachers import supersampled_image, teacher_of


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
