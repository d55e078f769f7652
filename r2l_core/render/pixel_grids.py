"""Nested pixel grids: which pixels a pass computes, and the picture between passes.

The pixels at stride 8 are a subset of those at stride 4, and so on. A pass computes only pixels no
earlier pass has, at positions that never move, so nothing is computed twice, nothing jiggles, and
all passes together are exactly one full frame.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn import functional

from r2l_core.render.frames import STRIDES

_FEW_POINTS = 32
"""Up to so many points a side, two small products make the picture two to five times as fast as
doubling it step by step."""

_EXTRA_LEVELS = 3
"""From so many finer grids a preview takes the pixels that its own has no room for."""

_LEAST_DOUBT = 0.02
"""Of full scale, wherever a picture was only carried along."""

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
    pixels = grid_pixels.__wrapped__(width_px, height_px, stride)  # not to be kept as well
    if stride == STRIDES[0]:
        return pixels
    rows = torch.arange(0, height_px, stride) % (2 * stride) != 0
    columns = torch.arange(0, width_px, stride) % (2 * stride) != 0
    return pixels[(rows[:, None] | columns[None, :]).view(-1)]


def interpolated(colors: Tensor, known: Tensor, coarsest: int) -> Tensor:
    """The whole picture from the pixels known so far: known ones exact, the rest bilinear.

    colors: float32 (H, W, 3). known: bool (H, W); every pixel at the coarsest stride, a power of
    two, must be known. Returns float32 (H, W, 3).
    """
    height, width, _ = colors.shape
    picture = colors[::coarsest, ::coarsest]
    n_known = int(known[::coarsest, ::coarsest].count_nonzero())
    stride = coarsest
    # Not where a colour is NaN: a product with zero would spread it over the whole picture.
    if (
        stride > 1
        and max(picture.shape[:2]) <= _FEW_POINTS
        and int(known.count_nonzero()) == n_known
        and bool(picture.isfinite().all())
    ):
        return _spread(picture, stride, width, height)
    while stride > 1:
        stride //= 2
        rows, columns = -(-height // stride), -(-width // stride)
        # The columns first, while there are fewer rows: these are slower to fill in.
        picture = _doubled(_doubled(picture, 1, columns), 0, rows)
        mask = known[::stride, ::stride]
        n_coarser, n_known = n_known, int(mask.count_nonzero())
        if n_known > n_coarser:
            picture = torch.where(mask[..., None], colors[::stride, ::stride], picture)
    return picture


def _spread(grid: Tensor, stride: int, width_px: int, height_px: int) -> Tensor:
    """The same as doubling `grid`, (rows, columns, 3), again and again, in two products."""
    n_rows, _, channels = grid.shape
    wide = grid.reshape(n_rows, -1) @ _weights(width_px, stride, channels).T
    picture: Tensor = _weights(height_px, stride, 1) @ wide
    return picture.view(height_px, width_px, channels)


@functools.lru_cache(maxsize=8)
def _weights(size_px: int, stride: int, channels: int) -> Tensor:
    """How much of each point at `stride` is in each pixel of a row, for all channels in turn:
    float32 (size_px * channels, points * channels)."""
    pixels = torch.arange(size_px)
    points = -(-size_px // stride)
    left = torch.div(pixels, stride, rounding_mode="floor")
    share = (pixels % stride) / stride
    weights = torch.zeros(size_px, points)
    weights[pixels, left] = 1 - share
    weights[pixels, (left + 1).clamp_max(points - 1)] += share
    return torch.kron(weights, torch.eye(channels))


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
    rows, columns = -(-height // BLOCK_PX), -(-width // BLOCK_PX)
    # Every second pixel each way: what a block's contrast is, the others hardly change.
    side = BLOCK_PX // 2
    luma = picture[::2, ::2].mean(-1)
    padded = functional.pad(
        luma[None, None],
        (0, columns * side - luma.shape[1], 0, rows * side - luma.shape[0]),
        mode="replicate",
    )
    contrast = functional.max_pool2d(padded, side) + functional.max_pool2d(-padded, side)
    rank = torch.empty(rows * columns, dtype=torch.int32)
    order = contrast.reshape(-1).argsort(descending=True, stable=True)
    rank[order] = torch.arange(rows * columns, dtype=torch.int32)
    # In 32 bits, which hold any picture's pixels: of large ones these take the most memory.
    column = pixels.to(torch.int32)
    row = torch.div(column, width, rounding_mode="floor")
    column -= row * width
    block = row.div_(BLOCK_PX, rounding_mode="floor").mul_(columns)
    block += column.div_(BLOCK_PX, rounding_mode="floor")
    del row, column
    return pixels[rank[block].argsort(stable=True)]


def telling_pixels(
    picture: Tensor, stride: int, n_pixels: int, doubt: Tensor | None = None
) -> Tensor:
    """The pixels between the points at `stride`, above 1, that tell most about the picture.

    picture: what it probably looks like, float32 (H, W, 3). doubt: by how much it is probably off,
    float32 (H, W). They are of the next finer grids; the higher the contrast around one, the wider
    the gap that it fills and the greater the doubt, the sooner it comes. Returns flat indices (n,),
    at most `n_pixels`.
    """
    height, width, _ = picture.shape
    pixels, places = _finer_pixels(width, height, stride)
    scores = torch.cat([one.reshape(-1) for one in _gap_scores(picture, _finer(stride))])[places]
    if doubt is not None:
        scores *= _LEAST_DOUBT + doubt.view(-1)[pixels]
    return pixels[scores.topk(min(n_pixels, len(pixels))).indices]


def _finer(stride: int) -> tuple[int, ...]:
    """The strides that extra pixels are taken from, coarse to fine. The finest of all have so many
    pixels that looking through them takes longer than they gain."""
    finer = tuple(one for one in STRIDES if 2 <= one < stride)
    return finer[:_EXTRA_LEVELS] or (1,)


@functools.lru_cache(maxsize=8)
def _finer_pixels(width_px: int, height_px: int, stride: int) -> tuple[Tensor, Tensor]:
    """Flat indices of the pixels at the finer strides, and where their scores are among those of
    all these grids' points in turn: int64 (n,) each."""
    pixels, places, before = [], [], 0
    for finer in _finer(stride):
        new = new_pixels(width_px, height_px, finer)
        n_columns = -(-width_px // finer)
        row, column = new // width_px // finer, new % width_px // finer
        pixels.append(new)
        places.append(before + row * n_columns + column)
        before += -(-height_px // finer) * n_columns
    return torch.cat(pixels), torch.cat(places)


def _gap_scores(picture: Tensor, strides: tuple[int, ...]) -> list[Tensor]:
    """Contrast around each point of these grids, coarse to fine, times the stride: float32 (rows,
    columns) each."""
    height, width, _ = picture.shape
    # As in `by_contrast`, every second pixel each way is enough; the finest grid is no finer.
    luma = picture[::2, ::2, 0] + picture[::2, ::2, 1] + picture[::2, ::2, 2]
    # Lowest, then highest, of blocks.
    extremes, side = torch.stack([-luma, luma]), 2
    scores: list[Tensor] = []
    for stride in reversed(strides):
        while side < stride:
            extremes = _largest_of_two(_largest_of_two(extremes, 1), 2)
            side *= 2
        contrast = _around_points(extremes).sum(0)
        if stride == 1:
            contrast = contrast.repeat_interleave(2, 0).repeat_interleave(2, 1)
        shape = (-(-height // stride), -(-width // stride))
        scores.append(contrast[: shape[0], : shape[1]] * stride)
    return scores[::-1]


def _around_points(blocks: Tensor) -> Tensor:
    """The largest of the four blocks that meet at each block's first corner, (2, rows, columns)."""
    result = blocks.clone()
    torch.maximum(result[:, 1:], blocks[:, :-1], out=result[:, 1:])
    rows = result.clone()
    torch.maximum(result[:, :, 1:], rows[:, :, :-1], out=result[:, :, 1:])
    return result


def _largest_of_two(blocks: Tensor, axis: int) -> Tensor:
    """Blocks of twice the length along an axis; the last may have nothing to join."""
    even, odd = (blocks[(slice(None),) * axis + (slice(start, None, 2),)] for start in (0, 1))
    result = even.clone()
    joined = result.narrow(axis, 0, odd.shape[axis])
    torch.maximum(joined, odd, out=joined)
    return result


def flat_cells(grid: Tensor, tolerance: float) -> Tensor:
    """Which cells of a grid of colours lie in flat surroundings: bool (rows, columns).

    grid: float32 (rows, columns, 3). Cell (r, c) has its first corner there; its surroundings are
    its four corners and the twelve points around them. They are flat where no channel differs by
    more than `tolerance` among them.
    """
    padded = functional.pad(grid.permute(2, 0, 1)[None], (1, 2, 1, 2), mode="replicate")
    highest = functional.max_pool2d(padded, 4, stride=1)
    lowest = -functional.max_pool2d(-padded, 4, stride=1)
    flat: Tensor = ((highest - lowest) <= tolerance).all(1)[0]
    return flat
