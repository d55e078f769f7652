"""Nested pixel grids: which pixels a pass computes, and the picture between passes.

The pixels at stride 8 are a subset of those at stride 4, and so on. A pass computes only pixels no
earlier pass has, at positions that never move, so nothing is computed twice, nothing jiggles, and
all passes together are exactly one full frame.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from r2l_core.types import STRIDES

BLOCK_PX = 16
"""Side of the square blocks by whose contrast the refinement is ordered."""


@functools.lru_cache(maxsize=8)
def grid_pixels(width_px: int, height_px: int, stride: int) -> Tensor:
    """Flat indices (row * width + column) of the pixels at `stride`, row by row: int64 (n,)."""
    rows = torch.arange(0, height_px, stride)
    columns = torch.arange(0, width_px, stride)
    return (rows[:, None] * width_px + columns[None, :]).reshape(-1)


@functools.lru_cache(maxsize=8)
def new_pixels(width_px: int, height_px: int, stride: int) -> Tensor:
    """Flat indices of the pixels at `stride` that no coarser stride has: int64 (n,)."""
    pixels = grid_pixels(width_px, height_px, stride)
    if stride == STRIDES[0]:
        return pixels
    coarser = 2 * stride
    fresh = (pixels // width_px % coarser != 0) | (pixels % width_px % coarser != 0)
    return pixels[fresh]


def interpolated(colors: Tensor, known: Tensor) -> Tensor:
    """The whole picture from the pixels known so far: known ones exact, the rest bilinear.

    colors: float32 (H, W, 3). known: bool (H, W); every pixel at the coarsest stride must be
    known. Returns float32 (H, W, 3).
    """
    height, width, _ = colors.shape
    coarsest = STRIDES[0]
    picture = colors[::coarsest, ::coarsest]
    for stride in STRIDES[1:]:
        rows, columns = -(-height // stride), -(-width // stride)
        picture = _doubled(_doubled(picture, 0, rows), 1, columns)
        mask = known[::stride, ::stride, None]
        picture = torch.where(mask, colors[::stride, ::stride], picture)
    return picture


def _doubled(grid: Tensor, axis: int, size: int) -> Tensor:
    """Samples at even positions, means of neighbours between them; the last one is repeated."""
    shape = list(grid.shape)
    shape[axis] = size
    out = grid.new_empty(shape)
    even = out.narrow(axis, 0, size)[(slice(None),) * axis + (slice(None, None, 2),)]
    odd = out[(slice(None),) * axis + (slice(1, None, 2),)]
    even.copy_(grid)
    n_odd, n = odd.shape[axis], grid.shape[axis]
    following = grid.narrow(axis, 1, n - 1)
    if n_odd == n:  # the last odd position has no right neighbour
        following = torch.cat([following, grid.narrow(axis, n - 1, 1)], axis)
    torch.add(grid.narrow(axis, 0, n_odd), following.narrow(axis, 0, n_odd), out=odd)
    odd.mul_(0.5)
    return out


def by_contrast(pixels: Tensor, picture: Tensor) -> Tensor:
    """`pixels` reordered so that blocks with the highest local contrast come first.

    pixels: flat indices (n,). picture: float32 (H, W, 3). Within a block the order is kept.
    """
    height, width, _ = picture.shape
    luma = picture.mean(-1)
    rows, columns = -(-height // BLOCK_PX), -(-width // BLOCK_PX)
    padded = torch.nn.functional.pad(
        luma[None, None],
        (0, columns * BLOCK_PX - width, 0, rows * BLOCK_PX - height),
        mode="replicate" if min(height, width) > 1 else "constant",
    )[0, 0]
    blocks = padded.view(rows, BLOCK_PX, columns, BLOCK_PX)
    contrast = blocks.amax((1, 3)) - blocks.amin((1, 3))
    rank = torch.empty(rows * columns, dtype=torch.int64)
    rank[contrast.reshape(-1).argsort(descending=True, stable=True)] = torch.arange(rows * columns)
    block = (pixels // width // BLOCK_PX) * columns + pixels % width // BLOCK_PX
    return pixels[rank[block].argsort(stable=True)]
