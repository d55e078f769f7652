"""How several pictures of one camera are shown against each other."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CompareMode(StrEnum):
    """In the order in which the C key goes through them; the value is the name on the screen."""

    SINGLE = "Single"
    SIDE = "Side"
    WIPE = "Wipe"
    FLIP = "Flip"
    DIFFERENCE = "Difference"

    @property
    def after(self) -> CompareMode:
        """The next one; after the last the first."""
        modes = list(CompareMode)
        return modes[(modes.index(self) + 1) % len(modes)]


@dataclass(frozen=True)
class PixelProbe:
    """One pixel in every pane. `x_px`, `y_px`: its column and row from the upper left.

    `colors`: red, green and blue, 0 to 255, of each pane in its order; empty for a pane
    without a picture. `difference`: of A against
    B in words with their unit, or empty where no difference is shown.
    """

    x_px: int
    y_px: int
    colors: tuple[tuple[int, ...], ...]
    difference: str = ""
