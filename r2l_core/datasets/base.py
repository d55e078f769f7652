"""What every dataset is, however it is stored: views with cameras, pictures read when needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from r2l_core.datasets.distortion import Distortion, counted, undistorted
from r2l_core.datasets.fields import bad_file
from r2l_core.datasets.images import (
    SUFFIXES,
    Background,
    image_size,
    is_inside,
    read_image,
    read_mask,
    read_thumbnail,
    require_sound,
)
from r2l_core.errors import CameraError, DatasetError, SceneError, plain, system_reason
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.scene import SceneSpec
from r2l_core.types import Progress

Kind = Literal["blender", "llff", "donerf", "deepvoxels", "transforms"]

WHITE = (1.0, 1.0, 1.0)
BLACK = (0.0, 0.0, 0.0)


class NoSuchSplit(DatasetError):
    """The dataset is sound, but has no such split."""


@dataclass(frozen=True, eq=False)
class View:
    """One photograph: a name for people, the file, and the camera that took it, at the size at
    which the dataset gives it out. `distortion`: of its lens, which is undone. `mask`: a picture
    that is dark where the photograph does not count."""

    name: str
    path: Path
    camera: Camera
    distortion: Distortion | None = None
    mask: Path | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", plain(self.name))


@dataclass(frozen=True, eq=False)
class Dataset:
    """One split of a dataset.

    `splits`: the names of all there are. `scene`: near, far, background and the rest as the
    published code sets them for this kind. `half`: pictures are given out at half their stored
    size. `background`: see `images.Background`.
    `notes`: sentences on what the files say and this does not honour, for people.
    """

    name: str
    kind: Kind
    split: str
    splits: tuple[str, ...]
    scene: SceneSpec
    views: tuple[View, ...]
    half: bool
    background: Background
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # Both are shown, and come from files and their names.
        object.__setattr__(self, "name", plain(self.name))
        object.__setattr__(self, "notes", tuple(map(plain, self.notes)))

    def __len__(self) -> int:
        return len(self.views)

    @property
    def cameras(self) -> tuple[Camera, ...]:
        """Of every view, in order."""
        return tuple(view.camera for view in self.views)

    def index_of(self, camera: Camera) -> int | None:
        """The first view that `camera` sees exactly, size included; None where there is none."""
        views = enumerate(self.views)
        return next((at for at, view in views if view.camera.same_view(camera)), None)

    def nearest(self, camera: Camera) -> int:
        """The view most like what `camera` sees: by where it stands, as a share of how far the
        views' cameras stand apart, and by where it looks, both squared and added."""
        poses = np.array([view.camera.T_world_camera for view in self.views])
        positions, axes = poses[:, :3, 3], poses[:, :3, 2]
        spread = float(np.square(positions - positions.mean(0)).sum(1).mean())
        away = np.square(positions - camera.position).sum(1) / max(spread, 1e-12)
        turned = np.square(axes - camera.T_world_camera[:3, 2]).sum(1)
        return int(np.argmin(away + turned))

    def image(self, index: int) -> NDArray[np.float32]:
        """The picture of a view as published, without the distortion of its lens: float32
        (H, W, 3), sRGB in [0, 1].

        Read from disk at every call. Raises DatasetError.
        """
        view = self.views[index]
        image = read_image(view.path, self.half, self.background)
        if image.shape[:2] != (view.camera.height_px, view.camera.width_px):
            raise DatasetError(
                f"The picture {view.path} cannot be read",
                "its size has changed since the dataset was opened",
                "Open the dataset again.",
            )
        if view.distortion is not None:
            return undistorted(image, view.camera, view.distortion)
        return image

    def counted(self, index: int) -> NDArray[np.bool_] | None:
        """Which pixels of `image` count, in errors and in learning: (H, W); None for all of them.
        Its mask may leave some out, and the lens may not have seen some. Raises DatasetError."""
        view, kept = self.views[index], None
        if view.mask is not None:
            kept = read_mask(view.mask, view.camera.width_px, view.camera.height_px)
        if view.distortion is not None:
            kept = counted(view.camera, view.distortion, kept)
        return None if kept is None or kept.all() else kept

    def require_sound(self, progress: Progress) -> None:
        """Decode every picture and mask, before long work that needs them late. Raises
        DatasetError."""
        for done, view in enumerate(self.views):
            require_sound(view.path)
            if view.mask is not None:
                require_sound(view.mask)
            progress(done + 1, len(self))

    def thumbnail(self, index: int, size_px: int) -> NDArray[np.uint8]:
        """A small picture that fits a square of `size_px` pixels: uint8 (h, w, 3). Raises
        DatasetError."""
        return read_thumbnail(self.views[index].path, size_px, self.background)


@dataclass(frozen=True)
class Request:
    """What `open_dataset` was asked for; see there."""

    root: Path
    split: str
    half: bool = False
    spherify: bool = False
    keep_background: bool = False
    progress: Progress | None = None

    @property
    def name(self) -> str:
        """What to call the dataset."""
        return self.root.resolve().name

    def choose(self, splits: Sequence[str]) -> None:
        """Raises DatasetError where the wished-for split is not among `splits`."""
        if self.split not in splits:
            raise NoSuchSplit(
                f"The dataset {self.root} has no split '{self.split}'",
                f"it has {', '.join(splits) or 'none'}",
                "Choose one of those." if splits else "Give a complete dataset.",
            )

    def dataset(
        self,
        kind: Kind,
        splits: Sequence[str],
        views: Sequence[View],
        background: Background,
        file: Path,
        *,
        name: str = "",
        notes: Sequence[str] = (),
        **facts: Any,
    ) -> Dataset:
        """What was asked for. `file` and `facts`: see `scene_of`. Raises DatasetError."""
        name = name or self.name
        return Dataset(
            name=name,
            kind=kind,
            split=self.split,
            splits=tuple(splits),
            scene=scene_of(file, name, views, **facts),
            views=tuple(views),
            half=self.half,
            background=background,
            notes=tuple(notes),
        )

    def tell(self, done: int, total: int) -> None:
        """Report progress."""
        if self.progress is not None:
            self.progress(done, total)

    def given_size(self, stored_px: tuple[int, int]) -> tuple[int, int]:
        """Width and height at which a picture of that size is given out."""
        if not self.half:
            return stored_px
        return max(stored_px[0] // 2, 1), max(stored_px[1] // 2, 1)

    def output_size(self, path: Path) -> tuple[int, int]:
        """Width and height at which a picture is given out. Raises DatasetError."""
        return self.given_size(image_size(path))


def pictures_in(folder: Path) -> list[Path]:
    """All pictures of a folder of the dataset, sorted by name. Raises DatasetError."""
    try:
        found = sorted(
            path
            for path in folder.iterdir()
            # Hidden files, such as macOS leaves on other disks, are no pictures.
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
        )
    except OSError as error:
        raise bad_file(folder, f"it cannot be listed ({system_reason(error)})") from error
    for path in found:
        if not is_inside(folder.parent, path):
            raise bad_file(path, "it leads out of the dataset's folder")
    return found


def camera_of(
    file: Path,
    field: str,
    T_world_camera: NDArray[np.float64],
    size_px: tuple[int, int],
    focal_px: float,
    **others: Any,
) -> Camera:
    """A camera, or the DatasetError that names the file and field its values come from."""
    try:
        return Camera(T_world_camera, *size_px, focal_px, **others)
    except CameraError as error:
        raise bad_file(file, f"{field}: {error.why}", error.remedy) from error


def scene_of(file: Path, name: str, views: Sequence[View], **facts: Any) -> SceneSpec:
    """A scene seen by `views`, or the DatasetError that names the file its values come from.

    `facts` are SceneSpec's; size and field of view are those of the first view.
    """
    camera = views[0].camera
    try:
        return SceneSpec(
            name=name,
            width_px=camera.width_px,
            height_px=camera.height_px,
            camera_angle_x_rad=2 * float(np.arctan(camera.width_px / 2 / camera.focal_px)),
            **facts,
        )
    except SceneError as error:
        raise bad_file(file, error.why) from error


def nearest_point_to_axes(cameras: Sequence[Camera]) -> NDArray[np.float64]:
    """The point closest to all optical axes (least squares), float64 (3,): what they look at.

    Where all axes are parallel, the one of those points that is closest to the cameras.
    """
    positions = np.array([camera.position for camera in cameras])
    axes = np.array([camera.T_world_camera[:3, 2] for camera in cameras])
    middle = positions.mean(0)
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    shift, *_ = np.linalg.lstsq(
        across.mean(0), (across @ (positions - middle)[:, :, None]).mean(0), rcond=1e-9
    )
    point: NDArray[np.float64] = middle + shift[:, 0]
    return point
