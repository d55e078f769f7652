"""Cameras: pose and intrinsics; `orbit` has where they stand.

Conventions (see also docs/conventions.md)

    frame     +X       +Y       +Z            handedness
    world     right    ahead    up            right
    camera    right    up       backwards     right (OpenGL: the camera looks along -Z)

`T_world_camera` maps camera coordinates to world coordinates; its columns are the camera's right,
up and backward axes and its position. Pixel (column i, row j) of a W x H image with focal length f
pixels looks along ((i - W/2)/f, -(j - H/2)/f, -1) in the camera frame: no half-pixel offset, not
normalised, exactly as the released R2L code has it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from r2l_core.errors import CameraError
from r2l_core.json_fields import read_json

BLENDER_CAMERA_ANGLE_X_RAD = 0.6911112
"""Horizontal field of view of the NeRF synthetic scenes (`camera_angle_x`)."""

MAX_COORDINATE = 1e9
"""Of poses that files give, in world units: what is further out, float32 rays cannot tell apart."""


def focal_from_angle(width_px: int, camera_angle_x_rad: float) -> float:
    """Focal length in pixels of an image `width_px` wide that sees `camera_angle_x_rad`."""
    return width_px / 2 / math.tan(camera_angle_x_rad / 2)


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera. `T_world_camera`: float64 (4, 4), rigid, read-only; sizes in pixels.

    Photographs may have a focal length of their own along the rows' axis, `focal_y_px`, and an
    optical axis that meets the image elsewhere than in its middle: at pixel coordinate
    `principal_px` (column, row). None means as published: one focal length, (W/2, H/2).
    """

    T_world_camera: NDArray[np.float64]
    width_px: int
    height_px: int
    focal_px: float
    focal_y_px: float | None = None
    principal_px: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        pose = np.array(self.T_world_camera, dtype=np.float64)
        if pose.shape != (4, 4) or not np.isfinite(pose).all():
            raise CameraError(
                "The camera pose cannot be used",
                f"it must be a finite 4x4 matrix, not shape {pose.shape}",
                "Give a camera-to-world matrix as four rows of four numbers.",
            )
        if not is_rotation(pose[:3, :3].tolist()):
            raise CameraError(
                "The camera pose cannot be used",
                "its upper-left 3x3 block is not a rotation",
                "Remove scale and shear, and give OpenGL axes: right, up, backwards.",
            )
        if any(abs(a - b) > 1e-6 for a, b in zip(pose[3].tolist(), (0, 0, 0, 1), strict=True)):
            raise CameraError(
                "The camera pose cannot be used",
                "its last row is not 0 0 0 1",
                "Give the matrix row by row, translation in the last column.",
            )
        if self.width_px < 1 or self.height_px < 1:
            raise CameraError(
                "The image size cannot be used",
                f"{self.width_px}x{self.height_px} has no pixels",
                "Give a width and height of at least 1 pixel.",
            )
        for focal in (self.focal_px, self.fy_px):
            if not (math.isfinite(focal) and focal > 0):
                raise CameraError(
                    "The focal length cannot be used",
                    f"{focal} is not a positive number of pixels",
                    "Give a focal length above 0.",
                )
        if not all(math.isfinite(value) for value in self.center_px):
            raise CameraError(
                "The principal point cannot be used",
                f"{self.center_px} is not finite",
                "Give a column and a row in pixels.",
            )
        pose.flags.writeable = False
        object.__setattr__(self, "T_world_camera", pose)

    @property
    def position(self) -> NDArray[np.float64]:
        """World position, float64 (3,)."""
        return self.T_world_camera[:3, 3]

    @property
    def fy_px(self) -> float:
        """Focal length along the rows' axis, in pixels."""
        return self.focal_px if self.focal_y_px is None else self.focal_y_px

    @property
    def center_px(self) -> tuple[float, float]:
        """Pixel coordinate (column, row) where the optical axis meets the image."""
        return self.principal_px or (self.width_px * 0.5, self.height_px * 0.5)

    @property
    def fov_y_deg(self) -> float:
        """Vertical field of view in degrees."""
        return math.degrees(2 * math.atan(self.height_px / 2 / self.fy_px))

    def same_view(self, other: Camera) -> bool:
        """Whether both look through exactly the same pixels along the same rays."""
        mine, theirs = (
            (camera.width_px, camera.height_px, camera.focal_px, camera.fy_px, camera.center_px)
            for camera in (self, other)
        )
        return mine == theirs and np.array_equal(self.T_world_camera, other.T_world_camera)

    def projected(
        self, points: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Image pixels (n, 2), column and row, of world points (n, 3), and their depths (n,) in
        scene units. Pixels have a meaning only where the depth is well above 0."""
        pose = self.T_world_camera
        seen = (points - pose[:3, 3]) @ pose[:3, :3]
        depth = -seen[:, 2]
        safe = np.where(depth > 0, depth, 1.0)
        column = self.center_px[0] + self.focal_px * seen[:, 0] / safe
        row = self.center_px[1] - self.fy_px * seen[:, 1] / safe
        return np.stack([column, row], axis=1), depth

    def resized(self, width_px: int, height_px: int) -> Camera:
        """The same camera with its image stretched to another size; itself where it has that."""
        if (width_px, height_px) == (self.width_px, self.height_px):
            return self
        x, y = width_px / self.width_px, height_px / self.height_px
        principal_px = self.principal_px and (self.principal_px[0] * x, self.principal_px[1] * y)
        return Camera(
            self.T_world_camera,
            width_px,
            height_px,
            self.focal_px * x,
            self.fy_px * y,
            principal_px,
        )


def is_rotation(rows: list[list[float]]) -> bool:
    """Whether three rows are orthonormal and right-handed, to 1e-3.

    In plain numbers: a camera is made for every move of the mouse, and numpy takes longer.
    """
    # Entries of a rotation are at most 1; larger ones could overflow the products.
    if any(abs(value) > 2 for row in rows for value in row):
        return False
    for i in range(3):
        for j in range(i, 3):
            product = sum(a * b for a, b in zip(rows[i], rows[j], strict=True))
            if abs(product - (i == j)) > 1e-3:
                return False
    (a, b, c), (d, e, f), (g, h, i_) = rows
    return a * (e * i_ - f * h) - b * (d * i_ - f * g) + c * (d * h - e * g) > 0


def without_scale(
    T_world_camera: NDArray[np.float64],
) -> tuple[NDArray[np.float64], float]:
    """The pose (4, 4) without the scale of its rotation, alike along all axes, and that scale.

    Some programs leave one there. What is a rotation already, or no scaled one, comes back as it
    is, with a scale of 1.
    """
    block = T_world_camera[:3, :3]
    if not np.isfinite(block).all() or is_rotation(block.tolist()):
        return T_world_camera, 1.0
    volume = float(np.linalg.det(block))
    scale = volume ** (1 / 3) if volume > 0 else 0.0
    if not 1e-4 <= scale <= 1e4 or not is_rotation((block / scale).tolist()):
        return T_world_camera, 1.0
    pose = T_world_camera.copy()
    pose[:3, :3] /= scale
    return pose, scale


def load_pose(path: Path) -> NDArray[np.float64]:
    """Read a 4x4 camera-to-world matrix from JSON nested lists. Raises CameraError."""
    what = f"The pose file {path} cannot be used"
    remedy = "Write the camera-to-world matrix as nested lists."
    rows = read_json(path, what, CameraError, remedy)
    if not (
        isinstance(rows, list)
        and len(rows) == 4
        and all(isinstance(row, list) and len(row) == 4 for row in rows)
    ):
        raise CameraError(what, "it is not a JSON list of four rows of four numbers", remedy)
    pose = np.zeros((4, 4))
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise CameraError(what, f"row {i}, column {j} is not a number", remedy)
            if not abs(value) <= MAX_COORDINATE:
                why = f"row {i}, column {j} is beyond {MAX_COORDINATE:g}"
                raise CameraError(what, why, remedy)
            pose[i, j] = value
    try:
        Camera(pose, 1, 1, 1.0)
    except CameraError as error:
        raise CameraError(what, error.why, error.remedy) from error
    return pose
