"""How the difference of two panes is shown."""

from __future__ import annotations

from dataclasses import dataclass

from r2l_core.images.difference import DifferenceKind

MAX_GAIN = 65536.0
"""At which the scale ends at 0.004 levels of 8 bits: what float32 engines of one precision differ
by."""

SCALES = {
    "Inferno": "inferno",
    "Viridis": "viridis",
    "Magma": "magma",
    "Grey": "colorcet:CET_L1",
}
"""From nothing to much; the name on the screen and that of the map in cmap's catalogue."""
SIGNED_SCALES = {
    "Blue – black – red": "colorcet:CET_D4",
    "Blue – white – red": "colorcet:CET_D1",
    "Blue – grey – yellow": "colorcet:CET_D7",
}
"""From less through nothing to more."""


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
