"""How the difference of two panes is shown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MAX_GAIN = 256.0

SCALES = {
    "Inferno": "inferno",
    "Viridis": "viridis",
    "Magma": "magma",
    "Grey": "CET-L1",
}
"""From nothing to much; the name on the screen and pyqtgraph's."""
SIGNED_SCALES = {
    "Blue – black – red": "CET-D4",
    "Blue – white – red": "CET-D1",
    "Blue – grey – yellow": "CET-D7",
}
"""From less through nothing to more."""


class DifferenceKind(StrEnum):
    """What is shown of A against B; colours are taken as 0 to 1."""

    ABSOLUTE = "absolute"
    SIGNED = "signed"
    SQUARED = "squared"
    RELATIVE = "relative"
    FLIP = "FLIP"

    @property
    def signed(self) -> bool:
        """Whether values lie on both sides of 0."""
        return self is DifferenceKind.SIGNED

    @property
    def computed(self) -> bool:
        """Whether `difference_map` computes it; other maps are slow and come from elsewhere."""
        return self is not DifferenceKind.FLIP

    @property
    def factor(self) -> float:
        """What a value is multiplied by to be read in `unit`."""
        return _UNITS[self][0]

    @property
    def unit(self) -> str:
        """Unit of what is read; a level is one step of 8 bits, 1/255."""
        return _UNITS[self][1]


_UNITS: dict[str, tuple[float, str]] = {
    DifferenceKind.ABSOLUTE: (255.0, "levels"),
    DifferenceKind.SIGNED: (255.0, "levels"),
    DifferenceKind.SQUARED: (255.0**2, "levels²"),
    DifferenceKind.RELATIVE: (100.0, "%"),
    DifferenceKind.FLIP: (1.0, "FLIP"),
}


@dataclass(frozen=True)
class DifferenceOptions:
    """How a difference is shown.

    `locked`: the scale ends at 1 / `gain` whatever is shown; else it follows each picture and
    `gain` is not used. `scale`, `signed_scale`: names in SCALES and SIGNED_SCALES.
    """

    kind: DifferenceKind = DifferenceKind.ABSOLUTE
    gain: float = 16.0
    locked: bool = False
    scale: str = "Inferno"
    signed_scale: str = "Blue – black – red"
