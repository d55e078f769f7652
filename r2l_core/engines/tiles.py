"""Any number of rays through an engine that takes tiles of certain shapes only."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from r2l_core.engines.base import Shaded, Shader


@dataclass(frozen=True, eq=False)
class Tile:
    """colors: float32 (n, 3) of the rays asked for. seconds: wall time, padding included."""

    colors: Tensor
    encode_ms: float
    network_ms: float
    seconds: float


class Tiles:
    """Pads what is asked to a tile's shape, and measures.

    Asked is what the shader takes, row by row: an engine's origins and directions, or pixels.
    `same` is what all rows share, such as the pixels' camera.

    A matrix product's result may depend on its shape, and a picture made in passes has to equal
    the one made at once, bit for bit. So a shape smaller than the full tile is compared with that,
    on the rays at hand, before it is used; where they differ, only full tiles are used from then
    on. Engines that take any number of rays get what there is.
    """

    def __init__(self, shader: Shader) -> None:
        self._shader = shader
        self._proven = {shader.tile_rays}
        self._sizes = [*shader.small_tiles, shader.tile_rays]
        self.rays_per_s = 0.0
        """Smoothed measurement, padding included; 0 before the first tile."""

    @property
    def size(self) -> int:
        """Most rays in a tile."""
        return self._shader.tile_rays

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many rays a call may have, ascending; fewer are filled up. Empty where any number up
        to `size` will do."""
        return () if self._shader.any_rays else tuple(self._sizes)

    def _shape(self, n_rays: int) -> int:
        if self._shader.any_rays:
            return n_rays
        return next(n for n in self._sizes if n >= n_rays)

    def shade(self, *asked: Tensor, **same: Any) -> Tile:
        """Colours of at most `size` rays."""
        start = time.perf_counter()
        n = len(asked[0])
        rows = self._shape(n)
        if rows not in self._proven and not self._shader.any_rays:
            shaded = self._prove(rows, asked, same)
        else:
            shaded = self._padded(rows, asked, same)
            self._measured(rows, time.perf_counter() - start)
        seconds = time.perf_counter() - start
        return Tile(shaded.colors[:n], shaded.encode_ms, shaded.network_ms, seconds)

    def warm_up(self, *asked: Tensor, **same: Any) -> None:
        """Run full tiles until first-call costs are paid, and take the speed from the last."""
        for _ in range(2):
            start = time.perf_counter()
            self._padded(self.size, asked, same)
        self.rays_per_s = self.size / max(time.perf_counter() - start, 1e-9)

    def _prove(self, rows: int, asked: tuple[Tensor, ...], same: dict[str, Any]) -> Shaded:
        n = len(asked[0])
        # Engines may reuse the memory of their answers.
        small = self._padded(rows, asked, same).colors[:n].clone()
        full = self._padded(self.size, asked, same)
        if torch.equal(small, full.colors[:n]):
            self._proven.add(rows)
        else:
            self._sizes.remove(rows)
        return full

    def _padded(self, rows: int, asked: tuple[Tensor, ...], same: dict[str, Any]) -> Shaded:
        n = len(asked[0])
        if n < rows:
            # Filled up with a ray of its own, so that a range over the whole tile stays the same.
            index = torch.arange(rows).clamp_max(n - 1)
            asked = tuple(one[index] for one in asked)
        return self._shader.shade(*asked, **same)

    def _measured(self, rows: int, seconds: float) -> None:
        rate = rows / max(seconds, 1e-9)
        weight = 0.1 * rows / self.size
        self.rays_per_s += (rate - self.rays_per_s) * (weight if self.rays_per_s else 1.0)
