"""A part of the pictures that is measured by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

LEAST_PX = 2
"""Of either side."""


@dataclass(frozen=True)
class Region:
    """A rectangle in image pixels."""

    left: int
    top: int
    width: int
    height: int

    @classmethod
    def between(cls, a: tuple[float, float], b: tuple[float, float]) -> Region:
        """All pixels that the rectangle of two corners touches; column and row each."""
        left, top = (math.floor(min(pair)) for pair in zip(a, b, strict=True))
        right, bottom = (math.ceil(max(pair)) for pair in zip(a, b, strict=True))
        return cls(left, top, max(right - left, 1), max(bottom - top, 1))

    def within(self, width_px: int, height_px: int) -> Region | None:
        """What of it lies in a picture of that size; None where that is next to nothing."""
        left, top = max(self.left, 0), max(self.top, 0)
        right = min(self.left + self.width, width_px)
        bottom = min(self.top + self.height, height_px)
        if min(right - left, bottom - top) < LEAST_PX:
            return None
        return Region(left, top, right - left, bottom - top)

    def of(self, image: NDArray[Any]) -> NDArray[Any]:
        """The part of a picture (H, W, ...) that it is."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]

    @property
    def words(self) -> str:
        """For people: "region 120×80 at 40, 60"."""
        return f"region {self.width}×{self.height} at {self.left}, {self.top}"
