"""Pictures of a lens that bends straight lines, as a lens without distortion would have taken them.

Light fields are rendered through pinhole cameras, so a photograph is resampled before anything is
compared with it or learned from it: the colour of every pixel is looked up where the lens has put
it. The model is OpenCV's, in coordinates x, y of the plane at depth 1, r^2 = x^2 + y^2:

    radial    1 + k1 r^2 + k2 r^4 + k3 r^6 + k4 r^8, or (FULL_OPENCV)
              (1 + k1 r^2 + k2 r^4 + k3 r^6) / (1 + k4 r^2 + k5 r^4 + k6 r^6)
    x'        x radial + 2 p1 x y + p2 (r^2 + 2 x^2)
    y'        y radial + p1 (r^2 + 2 y^2) + 2 p2 x y,        y downwards
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from r2l_core.geometry.camera import Camera

_STRIP_PX = 1 << 19
"""Pixels that are looked up at once: bounds the memory of large pictures."""
_STEPS = 4096
"""In which the way from the middle to the farthest corner is searched for a fold."""


@dataclass(frozen=True)
class Distortion:
    """Coefficients, see above. `radial`: k1 to k6. `rational`: whether k4 to k6 divide."""

    radial: tuple[float, ...]
    p1: float = 0.0
    p2: float = 0.0
    rational: bool = False

    def bent(
        self, x: NDArray[np.float32], y: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Where the lens puts what a pinhole would show at x, y; any shape. Not finite where the
        model has no answer."""
        r2 = x * x + y * y
        with np.errstate(all="ignore"):
            scale = self._scale(r2)
            bent_x = x * scale + 2 * self.p1 * x * y + self.p2 * (r2 + 2 * x * x)
            bent_y = y * scale + self.p1 * (r2 + 2 * y * y) + 2 * self.p2 * x * y
        return bent_x, bent_y

    def _scale(self, r2: NDArray[np.float32]) -> NDArray[np.float32]:
        k1, k2, k3, k4, k5, k6 = self.radial
        scale: NDArray[np.float32] = np.asarray(1 + r2 * (k1 + r2 * (k2 + r2 * k3)), np.float32)
        if self.rational:
            scale /= 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
        elif k4:
            scale += k4 * r2**4
        return scale

    def reach(self, farthest: float) -> float:
        """How far from the axis the model holds, at most `farthest`. Polynomials turn back at some
        radius, and from there on would show what is nearer the middle once more."""
        radii = np.linspace(0.0, farthest, _STEPS, dtype=np.float32)
        with np.errstate(all="ignore"):
            outwards = np.diff(radii * self._scale(radii * radii)) > 0
        return farthest if outwards.all() else float(radii[int(np.argmin(outwards))])

    def largest_px(self, camera: Camera) -> float:
        """The largest shift along the picture's edge, in pixels."""
        columns = np.linspace(-0.5, camera.width_px - 0.5, 33)
        rows = np.linspace(-0.5, camera.height_px - 0.5, 33)
        across = np.concatenate(
            [columns, columns, np.full(33, columns[0]), np.full(33, columns[-1])]
        )
        down = np.concatenate([np.full(33, rows[0]), np.full(33, rows[-1]), rows, rows])
        x, y = _plane(camera, across, down)
        bent_x, bent_y = self.bent(x, y)
        shifts = np.hypot((bent_x - x) * camera.focal_px, (bent_y - y) * camera.fy_px)
        return float(np.nan_to_num(shifts, nan=np.inf).max())


def undistorted(
    picture: NDArray[np.float32], camera: Camera, distortion: Distortion
) -> NDArray[np.float32]:
    """`picture`, float32 (H, W, channels) as the lens took it, as `camera` sees it without
    distortion; between four pixels linearly, beyond the edge as at the edge."""
    height, width = picture.shape[:2]
    result = np.empty_like(picture)
    for rows, column, row, _ in _places(camera, distortion):
        column, row = column.clip(0, width - 1), row.clip(0, height - 1)
        left, top, right, bottom = _neighbours(column, row, width, height)
        share_x, share_y = (column - left)[..., None], (row - top)[..., None]
        above = picture[top, left]
        above += (picture[top, right] - above) * share_x
        below = picture[bottom, left]
        below += (picture[bottom, right] - below) * share_x
        result[rows] = above + (below - above) * share_y
    return result


def counted(
    camera: Camera, distortion: Distortion, mask: NDArray[np.bool_] | None
) -> NDArray[np.bool_]:
    """Which pixels of `camera`, (H, W), the lens has put into its picture, where its `mask` keeps
    all that they are made of."""
    width, height = camera.width_px, camera.height_px
    result = np.zeros((height, width), np.bool_)
    for rows, column, row, holds in _places(camera, distortion):
        inside = (column >= -0.5) & (column <= width - 0.5)
        inside &= (row >= -0.5) & (row <= height - 0.5)
        inside &= holds
        if mask is not None:
            column, row = column.clip(0, width - 1), row.clip(0, height - 1)
            left, top, right, bottom = _neighbours(column, row, width, height)
            inside &= mask[top, left] & mask[top, right]
            inside &= mask[bottom, left] & mask[bottom, right]
        result[rows] = inside
    return result


def _neighbours(
    column: NDArray[np.float32], row: NDArray[np.float32], width: int, height: int
) -> tuple[NDArray[np.int32], ...]:
    """The four pixels about places in a picture: left, top, right and bottom."""
    left, top = column.astype(np.int32), row.astype(np.int32)
    return left, top, np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)


def _places(
    camera: Camera, distortion: Distortion
) -> Iterator[tuple[slice, NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]]:
    """Strip by strip: which rows, the column and row in the lens's picture of each of their pixels,
    and where the model holds."""
    width, height = camera.width_px, camera.height_px
    corners = _plane(
        camera, np.array([0.0, width, 0.0, width]), np.array([0.0, 0.0, height, height])
    )
    reach = distortion.reach(float(np.hypot(*corners).max()))
    n_rows = max(1, _STRIP_PX // width)
    for top in range(0, height, n_rows):
        rows = slice(top, min(top + n_rows, height))
        x, y = _plane(camera, np.arange(float(width)), np.arange(float(rows.start), rows.stop))
        x, y = np.broadcast_arrays(x[None, :], y[:, None])
        bent_x, bent_y = distortion.bent(x, y)
        holds = (x * x + y * y <= np.float32(reach) ** 2) & np.isfinite(bent_x + bent_y)
        column = bent_x * camera.focal_px + camera.center_px[0]
        row = bent_y * camera.fy_px + camera.center_px[1]
        yield rows, np.where(holds, column, 0), np.where(holds, row, 0), holds


def _plane(
    camera: Camera, columns: NDArray[np.floating], rows: NDArray[np.floating]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Pixel coordinates on the plane at depth 1, y downwards: float32."""
    x = (columns - camera.center_px[0]) / camera.focal_px
    y = (rows - camera.center_px[1]) / camera.fy_px
    return x.astype(np.float32), y.astype(np.float32)
