"""Batches of any size through engines that take few: padded, proven, measured."""

from __future__ import annotations

import pytest
import torch

from r2l_core.engines.backends import ENGINES, availability
from r2l_core.engines.base import Shaded
from r2l_core.engines.building import build_engine
from r2l_core.engines.tiles import Tiles
from r2l_core.types import Precision

pytestmark = pytest.mark.slow


class FakeEngine:
    """Answers with the rays; `bias_below`: smaller batches get colours that are off by a bit."""

    any_rays = False
    quiet_torch = False

    tile_rays = 64
    small_tiles = (16, 32)

    def __init__(self, bias_below: int = 0) -> None:
        self.sizes: list[int] = []
        self._bias_below = bias_below
        self._colors = torch.empty(64, 3)

    def shade(self, origins: torch.Tensor, directions: torch.Tensor) -> Shaded:
        n = len(origins)
        self.sizes.append(n)
        colors = self._colors[:n].copy_(origins + directions)  # memory that is used again
        return Shaded(colors + 1e-6 if n < self._bias_below else colors, 1.0, 2.0)


def rays(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(n)
    return torch.rand(n, 3, generator=generator), torch.rand(n, 3, generator=generator)


@pytest.mark.parametrize("n", [1, 15, 16, 17, 48, 63, 64])
def test_colours_are_those_of_the_rays(n):
    tiles = Tiles(FakeEngine())
    for _ in range(2):
        origins, directions = rays(n)
        assert torch.equal(tiles.shade(origins, directions).colors, origins + directions)


def test_a_new_shape_is_compared_with_the_full_one_once():
    engine = FakeEngine()
    tiles = Tiles(engine)
    for n in (20, 30, 17, 64, 10, 3):
        tiles.shade(*rays(n))
    assert engine.sizes == [32, 64, 32, 32, 64, 16, 64, 16]


def test_a_shape_with_other_bits_is_not_used():
    engine = FakeEngine(bias_below=64)
    tiles = Tiles(engine)
    for n in (20, 30, 5):
        origins, directions = rays(n)
        assert torch.equal(tiles.shade(origins, directions).colors, origins + directions)
    assert engine.sizes == [32, 64, 64, 16, 64]
    assert tiles.sizes == (64,)


@pytest.mark.parametrize("name", ENGINES)
def test_every_shape_of_every_engine_has_the_same_bits_or_is_found_out(
    make_light_field, scene_rays, name
):
    light_field = make_light_field(width=64, depth=8)
    for precision in Precision:
        if not availability(precision, name, "cpu").available:
            continue
        if precision is Precision.DYNAMIC_INT8_FAKE or name == "reference":
            continue  # they depend on the batch, and say so
        engine = build_engine(light_field, precision, name, "cpu")
        origins, directions = scene_rays(engine.tile_rays)
        full = engine.shade(origins, directions).colors.clone()
        tiles = Tiles(engine)
        for n in (*engine.small_tiles, engine.tile_rays):
            part = tiles.shade(origins[:n], directions[:n])
            assert torch.equal(part.colors, full[:n]), f"{precision} with {n} rays"
