"""Previews that carry the last picture along, so that few rays show more.

Between two pictures of a drag the camera hardly moves. Where the last one saw what the new one sees
depends on how far away that is, which nobody knows; but of a few depths, the one at which the new
pixels' colours are found again in the last picture is about right. With a depth for each cell of
pixels, the last picture is moved there. It lends the new one its detail: between the new pixels
lies their interpolation, plus by how much the carried colour differs from the interpolation of the
carried colours at the same pixels. How far that is trusted depends on how well it fitted them.
Confidence in a pixel fades with every picture that it is carried through.

Pixels that the network has computed are always shown as they are, and a picture at rest has no
others. The work per pixel is native (engines/fused/source/carry.h); where the library does not run,
nothing is carried.
"""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from r2l_core.engines.fused.library import Carry, Level, level_for
from r2l_core.engines.fused.workers import usable_processors, work_together
from r2l_core.engines.processor import this_processor
from r2l_core.errors import EngineUnavailable
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.scene import SceneSpec
from r2l_core.render.sources import NetworkSource, PixelSource

_CELL_PX = 16
"""Side of the cells that share a depth, before these are smoothed."""

_DEPTHS = 16
_MIDDLE_FIRST = 0.01
"""Misfit by which the nearest and the farthest depth have to beat the middle one: where nothing is
to be seen, all fit equally well."""

_MOST_TURNED_COS = math.cos(math.radians(20))
_MOST_MOVED = 0.35
"""Of the distance to the scene's centre. A camera further away sees too much that is new."""

_NEAREST = 0.05
"""Of the scene's radius: depth where a camera inside looks first."""

_SMOOTH = torch.tensor([1.0, 2.0, 1.0]).outer(torch.tensor([1.0, 2.0, 1.0])) / 16


@dataclass(frozen=True, eq=False)
class Shown:
    """A picture that was shown, of which camera, and of which source.

    colors: float32 (H, W, 3). known: bool (H, W), which of them were computed, or, of a picture
    that was carried along itself, `moved`: colours and confidences, float32 (H, W, 4). doubt: how
    far off these probably are, float32 (H, W). image: the colours in 8 bits, uint8 (H, W, 3). The
    last three are None where nothing was carried.
    """

    source: PixelSource
    camera: Camera
    colors: Tensor
    known: Tensor
    moved: Tensor | None = None
    doubt: Tensor | None = None
    image: NDArray[np.uint8] | None = None

    def with_confidence(self) -> Tensor:
        """Colours, and 1 where they were computed or 0 where not: float32 (H, W, 4)."""
        if self.moved is not None:
            return self.moved
        return torch.cat([self.colors, self.known[..., None].float()], -1)


class Carried:
    """The last picture, as it helps with one new camera."""

    def __init__(self, last: Shown, source: NetworkSource, camera: Camera, level: Level) -> None:
        self._source, self._camera, self._level = source, camera, level
        self._last = last.with_confidence()
        self._depths = _inverse_depths(source.scene, camera)
        self._cells: Tensor | None = None
        to_last, shift = _to_last(camera, last.camera)
        self._job = Carry(
            width=camera.width_px,
            height=camera.height_px,
            cell=_CELL_PX,
            to_last=tuple(to_last.reshape(-1).tolist()),
            shift=tuple(shift.tolist()),
            last=self._last.data_ptr(),
        )
        if source.skip_background:
            _set_bounds(self._job, source.scene, camera)

    def blended(self, colors: Tensor, known: Tensor, stride: int) -> Shown:
        """The whole picture: known pixels as they are, the others interpolated and carried.

        colors: float32 (H, W, 3) of known pixels. known: bool (H, W), all of them at `stride`.
        """
        height, width = known.shape
        assert colors.is_contiguous()
        assert known.is_contiguous()
        job = self._job
        job.stride, job.next = stride, 0
        job.known, job.colors = known.data_ptr(), colors.data_ptr()
        if self._cells is None:
            self._cells = self._fitting_depths(known)
        moved, shown = torch.empty(height, width, 4), torch.empty(height, width, 3)
        doubt, image = torch.empty(height, width), np.empty((height, width, 3), np.uint8)
        job.inverse_depths = self._cells.data_ptr()
        job.picture, job.shown = moved.data_ptr(), shown.data_ptr()
        job.doubt, job.bytes = doubt.data_ptr(), image.ctypes.data
        address, level = ctypes.addressof(job), self._level

        def work(number: int) -> None:
            memory = np.empty(level.carry_bytes + 64, np.uint8)
            level.carry(address, memory.ctypes.data + -memory.ctypes.data % 64)

        # Whatever torch has been told, for the sake of quiet, while previews are made.
        work_together(usable_processors(), work)
        image.flags.writeable = False
        return Shown(self._source, self._camera, shown, known, moved, doubt, image)

    def _fitting_depths(self, known: Tensor) -> Tensor:
        """1 / depth of each cell of pixels: float32 (rows, columns)."""
        height, width = known.shape
        rows, columns = -(-height // _CELL_PX), -(-width // _CELL_PX)
        pixels = np.flatnonzero(known.numpy())
        misfits, counts = torch.zeros(_DEPTHS, rows, columns), torch.zeros(rows, columns)
        self._level.match(
            ctypes.addressof(self._job),
            len(pixels),
            pixels.ctypes.data,
            _DEPTHS,
            self._depths.data_ptr(),
            misfits.data_ptr(),
            counts.data_ptr(),
        )
        # A cell has few pixels; its neighbours help.
        smooth = functional.conv2d(
            torch.cat([misfits, counts[None]])[:, None], _SMOOTH[None, None], padding=1
        )[:, 0]
        preference = torch.linspace(-1, 1, _DEPTHS).abs() * _MIDDLE_FIRST
        fits = smooth[:-1] / (smooth[-1] + 1e-3) + preference[:, None, None]
        # Between two depths that fit almost equally well lies one that fits better: where the
        # parabola through the best one and its neighbours is lowest.
        best = fits.argmin(0)
        middle = best.clamp(1, _DEPTHS - 2)
        farther, there, nearer = (fits.gather(0, middle[None] + i)[0] for i in (-1, 0, 1))
        curvature = (nearer - 2 * there + farther).clamp_min(1e-6)
        aside = (0.5 * (farther - nearer) / curvature).clamp(-0.5, 0.5) * (best == middle)
        step = self._depths[1] - self._depths[0]
        return (self._depths[best] + aside * step).contiguous()


def carried_along(last: Shown | None, source: PixelSource, camera: Camera) -> Carried | None:
    """What can be carried into a picture of `camera`; None where there is nothing like it."""
    if last is None or last.source is not source or not isinstance(source, NetworkSource):
        return None
    before = last.camera
    if (before.width_px, before.height_px) != (camera.width_px, camera.height_px):
        return None
    distance = math.dist(camera.position, source.scene.center)
    turned = float(before.T_world_camera[:3, 2] @ camera.T_world_camera[:3, 2])
    moved = math.dist(before.position, camera.position)
    if turned < _MOST_TURNED_COS or moved > _MOST_MOVED * distance:
        return None
    try:
        level = level_for(this_processor())
    except EngineUnavailable:
        return None
    return Carried(last, source, camera, level)


def _to_last(camera: Camera, last: Camera) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """See `to_last` and `shift` of Carry."""
    (x, y), (last_x, last_y) = camera.center_px, last.center_px
    to_ray = np.array(
        [
            [1 / camera.focal_px, 0, -x / camera.focal_px],
            [0, -1 / camera.fy_px, y / camera.fy_px],
            [0, 0, -1],
        ]
    )
    to_pixel = np.array([[last.focal_px, 0, -last_x], [0, -last.fy_px, -last_y], [0, 0, -1]])
    turn = last.T_world_camera[:3, :3].T
    matrix = to_pixel @ turn @ camera.T_world_camera[:3, :3] @ to_ray
    return matrix, to_pixel @ turn @ (camera.position - last.position)


def _inverse_depths(scene: SceneSpec, camera: Camera) -> Tensor:
    """1 / depth along the optical axis, of the depths that are tried: float32 (_DEPTHS,)."""
    backward = camera.T_world_camera[:3, 2]
    middle = float((camera.position - np.asarray(scene.center)) @ backward)
    near, far = middle - scene.bound_radius, middle + scene.bound_radius
    if near < _NEAREST * scene.bound_radius:
        near, far = scene.near or _NEAREST * scene.view_radius, math.inf
    return torch.linspace(1 / far, 1 / near, _DEPTHS)


def _set_bounds(job: Carry, scene: SceneSpec, camera: Camera) -> None:
    """Rays that miss the scene's bounding sphere are background; see geometry.rays.hits_bounds."""
    rotation = camera.T_world_camera[:3, :3]
    x, y = camera.center_px
    from_center = camera.position - np.asarray(scene.center)
    job.has_bounds = 1
    job.first = tuple(rotation @ (-x / camera.focal_px, y / camera.fy_px, -1.0))
    job.across = tuple(rotation[:, 0] / camera.focal_px)
    job.down = tuple(-rotation[:, 1] / camera.fy_px)
    job.from_center = tuple(from_center)
    job.outside = float(from_center @ from_center) - scene.bound_radius**2
    job.background = scene.background_rgb
