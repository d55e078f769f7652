"""LLFF captures (Mildenhall et al., 2019), in the coordinates of the released R2L code.

`poses_bounds.npy` has a row of 17 numbers per picture, in the order of the pictures' names: a 3x5
matrix of a camera-to-world pose with axes [down, right, backwards] and a column height, width,
focal length, all in pixels of the full size; then the nearest and farthest depth seen. The world
is scaled so that the nearest depth of all is 4/3, and turned so that the mean camera stands at the
origin, looking along -Z with +Y up. Every eighth view is held out, for `test` and `val` alike.

Forward-facing captures have near 0 and far 1: a NeRF is asked in normalised device coordinates,
while R2L samples its points between those depths along the plain rays. Captures all around an
object are *spherified* instead: cameras about the unit sphere, near and far from the bounds.
"""

from __future__ import annotations

import io
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from r2l_core import limits
from r2l_core.datasets.base import (
    BLACK,
    Dataset,
    Request,
    View,
    camera_of,
    nearest_point_to_axes,
    pictures_in,
)
from r2l_core.datasets.fields import MAX_COORDINATE, bad_file
from r2l_core.errors import DatasetError

POSES = "poses_bounds.npy"
HOLD_OUT_EVERY = 8
NEAREST_DEPTH_FACTOR = 0.75
_NEAREST = 1e-6
"""The world is scaled by the nearest depth: a smaller one would make it infinite."""
PUBLISHED_FACTOR = 8


@dataclass(frozen=True, eq=False)
class _Capture:
    """poses: (N, 3, 4), camera-to-world, OpenGL axes. bounds: (N, 2), depths in the same units.
    height_px, width_px, focal_px: of the full-size pictures."""

    poses: NDArray[np.float64]
    bounds: NDArray[np.float64]
    height_px: float
    width_px: float
    focal_px: float


def recognises(request: Request) -> bool:
    """Whether the folder looks like such a capture."""
    return (request.root / POSES).is_file()


def load(request: Request) -> Dataset:
    """Open one split. Raises DatasetError."""
    file = request.root / POSES
    capture = _read(file)
    poses, bounds = _recentred(file, capture)
    if request.spherify:
        poses, bounds = _spherified(file, poses, bounds)
    pictures, factor, notes = _pictures(request, file, len(poses))
    held_out = set(range(0, len(poses), HOLD_OUT_EVERY))
    chosen = [i for i in range(len(poses)) if (i in held_out) == (request.split != "train")]
    splits = ("train", "val", "test") if len(held_out) < len(poses) else ("val", "test")
    request.choose(splits)
    views = []
    for done, index in enumerate(chosen):
        size_px = request.output_size(pictures[index])
        shrunk = factor * (2 if request.half else 1)
        _check_size(file, size_px, capture, shrunk)
        pose = np.vstack([poses[index], (0.0, 0.0, 0.0, 1.0)])
        camera = camera_of(file, f"row {index}", pose, size_px, capture.focal_px / shrunk)
        views.append(View(pictures[index].name, pictures[index], camera))
        request.tell(done + 1, len(chosen))
    cameras = [view.camera for view in views]
    home: dict[str, Any] = {}
    if request.spherify:
        near, far = 0.9 * float(bounds.min()), float(bounds.max())
        center, view_radius = (0.0, 0.0, 0.0), 1.0
    else:
        near, far = 0.0, 1.0
        x, y, z = (float(value) for value in nearest_point_to_axes(cameras))
        center, view_radius = (x, y, z), max(float(np.linalg.norm((x, y, z))), 1.0)
        # About where the mean camera is: from behind, looking along -Z with +Y up.
        home = {"home_azimuth_deg": -90.0, "home_elevation_deg": 90.0}
    return request.dataset(
        "llff",
        splits,
        views,
        None,
        file,
        notes=notes,
        near=near,
        far=far,
        background_rgb=BLACK,
        center=center,
        bound_radius=float(bounds.max()),
        view_radius=view_radius,
        nerf_ndc=not request.spherify,
        **home,
    )


def _read(file: Path) -> _Capture:
    try:
        rows = _table(file).astype(np.float64)
    except DatasetError:
        raise
    except Exception as error:  # damaged headers raise all kinds
        raise bad_file(file, f"it is no table of numbers ({error})") from error
    wrong = ~np.isfinite(rows) | (np.abs(rows) > MAX_COORDINATE)
    if wrong.any():
        row, column = (int(i) for i in np.argwhere(wrong)[0])
        raise bad_file(file, f"row {row}, column {column} is {rows[row, column]:g}")
    bounds = rows[:, 15:]
    if not (bounds.min() > _NEAREST and (bounds[:, 0] < bounds[:, 1]).all()):
        row = int(np.argmin((bounds[:, 0] > 0) & (bounds[:, 0] < bounds[:, 1])))
        raise bad_file(file, f"row {row}: its depths {bounds[row]} are not above 0 and in order")
    matrices = rows[:, :15].reshape(-1, 3, 5)
    down, right, back, position = (matrices[:, :, k] for k in range(4))
    height_px, width_px, focal_px = (float(value) for value in matrices[0, :, 4])
    if min(height_px, width_px, focal_px) < 1:
        raise bad_file(file, "row 0: its height, width or focal length is below 1 pixel")
    poses = np.stack([right, -down, back, position], axis=2)
    return _Capture(poses, bounds, height_px, width_px, focal_px)


def _table(file: Path) -> NDArray[Any]:
    """The rows of the file. Raises all kinds of errors where it is none.

    Read, not mapped: the process that reads a mapped file dies when somebody cuts it off. The
    header may lie about the size, so it is compared with what there is before memory is reserved.
    """
    with file.open("rb") as stream:
        data = stream.read(limits.JSON_BYTES)
    head = io.BytesIO(data)
    version = np.lib.format.read_magic(head)
    if version == (1, 0):
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(head)
    else:
        shape, by_columns, dtype = np.lib.format.read_array_header_2_0(head)
    if dtype.kind not in "fiu":
        raise ValueError("its entries are no numbers")
    if len(shape) != 2 or shape[1] != 17 or not 1 <= shape[0] <= limits.VIEWS:
        is_shape = "x".join(map(str, shape))
        raise bad_file(file, f"it is {is_shape}, not 1 to {limits.VIEWS} rows of 17 numbers")
    if math.prod(shape) * dtype.itemsize != len(data) - head.tell():
        raise ValueError("its header and its size do not fit together")
    numbers = np.frombuffer(data, dtype, offset=head.tell())
    return numbers.reshape(shape, order="F" if by_columns else "C")


def _recentred(file: Path, capture: _Capture) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Poses and bounds scaled, and turned so that the mean camera is the world's origin."""
    scale = 1.0 / (capture.bounds.min() * NEAREST_DEPTH_FACTOR)
    poses = capture.poses.copy()
    poses[:, :, 3] *= scale
    back = _unit(file, poses[:, :, 2].sum(0))
    right = _unit(file, np.cross(poses[:, :, 1].sum(0), back))
    up = np.cross(back, right)
    mean = np.stack([right, up, back, poses[:, :, 3].mean(0)], axis=1)
    return _seen_from(mean, poses), capture.bounds * scale


def _spherified(
    file: Path, poses: NDArray[np.float64], bounds: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Poses about the point that all cameras look at, at a root mean square distance of 1 from it,
    with +Z towards the mean camera."""
    positions, axes = poses[:, :, 3], poses[:, :, 2]
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    normal = (across.transpose(0, 2, 1) @ across).mean(0)
    if np.linalg.cond(normal) > 1e9:
        raise bad_file(file, "its cameras look in parallel, not at one point", "Do not spherify.")
    center = np.linalg.solve(normal, (across @ positions[:, :, None]).mean(0))[:, 0]
    up = _unit(file, (positions - center).mean(0))
    right = _unit(file, np.cross((0.1, 0.2, 0.3), up))
    ahead = _unit(file, np.cross(up, right))
    turned = _seen_from(np.stack([right, ahead, up, center], axis=1), poses)
    radius = float(np.sqrt((turned[:, :, 3] ** 2).sum(-1).mean()))
    turned[:, :, 3] /= radius
    return turned, bounds / radius


def _seen_from(frame: NDArray[np.float64], poses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Poses (N, 3, 4) in the coordinates of the rigid `frame` (3, 4)."""
    turned = frame[:, :3].T @ poses
    turned[:, :, 3] -= frame[:, :3].T @ frame[:, 3]
    return turned


def _unit(file: Path, vector: NDArray[np.float64]) -> NDArray[np.float64]:
    length = float(np.linalg.norm(vector))
    if length < 1e-9:
        raise bad_file(file, "its poses have no common direction to look in")
    return vector / length


def _pictures(request: Request, file: Path, n_poses: int) -> tuple[list[Path], int, list[str]]:
    """The pictures, how many times smaller than the full size they are, and notes.

    From the folder of eight times smaller ones as published, else the smallest there are; a folder
    that has not one for every pose gives way to one that has.
    """
    factors = {}
    for path in request.root.iterdir():
        match = re.fullmatch(r"images(?:_(\d{1,2}))?", path.name)
        if match and path.is_dir() and (factor := int(match[1] or 1)) > 0:
            factors[factor] = path
    order = sorted(factors, key=lambda factor: (factor != PUBLISHED_FACTOR, -factor))
    counts: list[str] = []
    for factor in order:
        pictures = pictures_in(factors[factor])
        if len(pictures) == n_poses:
            told = f"{' and '.join(counts)} do not fit the {n_poses} poses"
            return pictures, factor, [f"{told}: {factors[factor].name} is used"] if counts else []
        counts.append(f"{factors[factor].name} with {len(pictures)} pictures")
    raise bad_file(
        file,
        f"it has {n_poses} poses, and there is no folder with as many pictures "
        f"({', '.join(counts) or 'there is no images folder'})",
        "Give a complete dataset.",
    )


def _check_size(file: Path, size_px: tuple[int, int], capture: _Capture, shrunk: int) -> None:
    """The focal length is right only for pictures of the size that the file states."""
    stated = (capture.width_px / shrunk, capture.height_px / shrunk)
    if any(
        abs(is_px - said) > max(2.0, 0.01 * said)
        for is_px, said in zip(size_px, stated, strict=True)
    ):
        raise bad_file(
            file,
            f"it states pictures of {stated[0]:g}x{stated[1]:g} pixels, "
            f"and they are {size_px[0]}x{size_px[1]}",
        )
