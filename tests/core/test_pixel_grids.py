"""Nested grids, and the picture between passes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from r2l_core.render import pixel_grids
from r2l_core.render.frames import STRIDES
from r2l_core.render.pixel_grids import (
    BLOCK_PX,
    by_contrast,
    flat_cells,
    grid_pixels,
    interpolated,
    new_pixels,
    telling_pixels,
)

SIZES = [(1, 1), (7, 3), (3, 7), (8, 8), (9, 16), (17, 1), (1, 33), (50, 37), (400, 400)]
SMALL_SIZES = [size for size in SIZES if size != (400, 400)]


ROUNDING = 1e-6
"""Where few points are known, the picture is made in another way, which rounds differently."""


def random_image(width: int, height: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(height, width, 3, generator=torch.Generator().manual_seed(seed))


def known_at(width: int, height: int, stride: int) -> torch.Tensor:
    known = torch.zeros(height, width, dtype=torch.bool)
    known[::stride, ::stride] = True
    return known


# --- grids -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_grids_are_every_stride_th_pixel_and_nest(width, height):
    finer: set[int] = set(range(width * height))
    for stride in reversed(STRIDES):
        pixels = grid_pixels(width, height, stride).tolist()
        assert pixels == [
            j * width + i for j in range(0, height, stride) for i in range(0, width, stride)
        ]
        assert set(pixels) <= finer
        finer = set(pixels)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_new_pixels_partition_the_image(width, height):
    passes = [new_pixels(width, height, stride) for stride in STRIDES]
    together = torch.cat(passes)
    assert torch.equal(together.sort().values, torch.arange(width * height))
    for k, stride in enumerate(STRIDES):
        so_far = torch.cat(passes[: k + 1]).sort().values
        assert torch.equal(so_far, grid_pixels(width, height, stride))


@given(st.integers(1, 40), st.integers(1, 40))
def test_new_pixels_partition_images_of_any_size(width, height):
    together = torch.cat([new_pixels(width, height, stride) for stride in STRIDES])
    assert torch.equal(together.sort().values, torch.arange(width * height))


# --- interpolation -----------------------------------------------------------------------------


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize(("width", "height"), [*SMALL_SIZES, (400, 300)])
def test_known_pixels_stay_exactly(width, height, stride):
    known = known_at(width, height, stride)
    extra = torch.rand(height, width, generator=torch.Generator().manual_seed(1)) < 0.2
    colors = random_image(width, height)
    for mask in (known, known | extra):
        colored = torch.where(mask[..., None], colors, torch.nan)
        picture = interpolated(colored, mask, stride)
        assert torch.equal(picture[mask], colors[mask])
        assert torch.isfinite(picture).all(), "nothing unknown is looked at"
        assert colored[~mask].isnan().all(), "the colours are not written to"


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize(("width", "height"), [(41, 33), (50, 37), (24, 9), (17, 1)])
def test_linear_ramps_are_exact_between_known_pixels(width, height, stride):
    rows = torch.arange(height, dtype=torch.float32)[:, None]
    columns = torch.arange(width, dtype=torch.float32)[None, :]
    # Multiples of 2^-9: exact in float32.
    ramp = (3 * columns - 5 * rows + 256) / 512
    colors = torch.stack([ramp, -ramp, 1 - ramp], -1)
    picture = interpolated(colors, known_at(width, height, stride), stride)
    last_row, last_column = (height - 1) // stride * stride, (width - 1) // stride * stride
    inside = (slice(0, last_row + 1), slice(0, last_column + 1))
    assert torch.equal(picture[inside], colors[inside])


@pytest.mark.parametrize(("width", "height"), SMALL_SIZES)
def test_no_colour_lies_outside_the_known_ones(width, height):
    known = known_at(width, height, 8)
    colors = random_image(width, height)
    picture = interpolated(colors, known, 8)
    assert picture.shape == colors.shape
    assert picture.amin() >= colors[known].amin() - ROUNDING
    assert picture.amax() <= colors[known].amax() + ROUNDING


def test_it_is_the_same_whichever_way_is_faster(monkeypatch):
    colors, known = random_image(150, 101), known_at(150, 101, 16)
    products = interpolated(colors, known, 16)
    monkeypatch.setattr(pixel_grids, "_FEW_POINTS", 0)
    torch.testing.assert_close(interpolated(colors, known, 16), products, atol=ROUNDING, rtol=0)


def test_a_broken_colour_stays_in_its_cells():
    colors = random_image(64, 64)
    colors[32, 32] = torch.nan
    broken = interpolated(colors, known_at(64, 64, 16), 16).isnan().any(-1)
    assert broken[32, 32]
    assert not broken[:17].any()
    assert not broken[48:].any()


def test_a_complete_picture_is_unchanged():
    colors = random_image(50, 37)
    assert torch.equal(interpolated(colors, known_at(50, 37, 1), STRIDES[0]), colors)


def test_one_known_pixel_changes_only_its_neighbourhood():
    colors = random_image(48, 48)
    before = known_at(48, 48, 8)
    after = before.clone()
    after[20, 20] = True
    difference = interpolated(colors, before, 8) - interpolated(colors, after, 8)
    changed = (difference.abs() > ROUNDING).any(-1)
    rows, columns = torch.nonzero(changed, as_tuple=True)
    assert changed[20, 20]
    assert rows.min() > 16
    assert rows.max() < 24
    assert columns.min() > 16
    assert columns.max() < 24


# --- order -------------------------------------------------------------------------------------


@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from(STRIDES), st.integers(0, 5))
def test_by_contrast_is_a_permutation(width, height, stride, seed):
    pixels = new_pixels(width, height, stride)
    ordered = by_contrast(pixels, random_image(width, height, seed))
    assert torch.equal(ordered.sort().values, pixels.sort().values)


@pytest.mark.parametrize("block", [(0, 0), (2, 1), (3, 2)])
def test_the_block_with_the_highest_contrast_comes_first(block):
    width, height = 4 * BLOCK_PX, 3 * BLOCK_PX - 5
    column, row = block
    picture = torch.full((height, width, 3), 0.5)
    # A slope everywhere, and one block with an edge.
    picture += torch.linspace(0, 0.1, width)[None, :, None]
    picture[row * BLOCK_PX : (row + 1) * BLOCK_PX, column * BLOCK_PX + 6] = 0.0
    pixels = grid_pixels(width, height, 2)
    ordered = by_contrast(pixels, picture)
    in_block = (pixels // width // BLOCK_PX == row) & (pixels % width // BLOCK_PX == column)
    count = int(in_block.sum())
    assert count > 0
    assert torch.equal(ordered[:count], pixels[in_block]), "in their old order"


def test_blocks_come_in_the_order_of_their_contrast():
    width = 5 * BLOCK_PX
    picture = torch.zeros(BLOCK_PX, width, 3)
    contrasts = [0.3, 0.9, 0.0, 0.6, 0.1]
    for block, contrast in enumerate(contrasts):
        picture[4, block * BLOCK_PX + 2] = contrast
    ordered = by_contrast(grid_pixels(width, BLOCK_PX, 1), picture)
    blocks = (ordered % width // BLOCK_PX).tolist()
    assert list(dict.fromkeys(blocks)) == [1, 3, 0, 4, 2]
    assert blocks == sorted(blocks, key=[1, 3, 0, 4, 2].index)


def test_nothing_to_order():
    assert by_contrast(torch.empty(0, dtype=torch.int64), random_image(20, 20)).numel() == 0


# --- pixels of choice --------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("stride", STRIDES[:-1])
def test_pixels_of_choice_are_those_of_the_next_finer_grids(width, height, stride):
    finer = [one for one in STRIDES if 2 <= one < stride][:3] or [1]
    possible = torch.cat([new_pixels(width, height, one) for one in finer])
    chosen = telling_pixels(random_image(width, height), stride, width * height)
    assert torch.equal(chosen.sort().values, possible.sort().values)
    few = telling_pixels(random_image(width, height), stride, 3)
    assert len(few) == len(few.unique()) == min(3, len(possible))
    assert torch.isin(few, possible).all()


def test_edges_come_first_and_wide_gaps_before_narrow_ones():
    """Columns from 40 on are white."""
    picture = torch.zeros(64, 96, 3)
    picture[:, 40:] = 1.0
    chosen = telling_pixels(picture, 32, 10_000)
    rows, columns = chosen // 96, chosen % 96
    strides = torch.tensor(
        [
            next(s for s in STRIDES if r % s == 0 == c % s)
            for r, c in zip(rows.tolist(), columns.tolist(), strict=True)
        ]
    )
    # A point sees as far as its grid is wide.
    sees_edge = (columns - strides < 40) & (columns + strides > 40)
    n = int(sees_edge.sum())
    assert sees_edge[:n].all()
    assert strides[:n].tolist() == sorted(strides[:n].tolist(), reverse=True)
    assert set(strides[:n].tolist()) == {16, 8, 4}


def test_the_finest_pixels_of_choice_see_the_contrast_around_them():
    picture = torch.zeros(40, 40, 3)
    picture[21, 30:] = 1.0
    picture[20, 30:] = 1.0
    first = telling_pixels(picture, 2, 20)
    assert ((first // 40 >= 18) & (first // 40 <= 23)).all()


# --- flat areas --------------------------------------------------------------------------------


def test_a_cell_is_flat_where_the_sixteen_points_around_it_agree():
    grid = torch.full((9, 11, 3), 0.5)
    grid[4, 6, 1] = 0.6
    flat = flat_cells(grid, 0.05)
    rows, columns = torch.meshgrid(torch.arange(9), torch.arange(11), indexing="ij")
    near = (rows >= 2) & (rows <= 5) & (columns >= 4) & (columns <= 7)
    assert torch.equal(flat, ~near)
    assert flat_cells(grid, 0.11).all()
