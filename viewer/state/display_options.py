"""How pictures, and the difference of two panes, are brought to the screen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from r2l_core.images.difference import DifferenceKind

MOST_EV = 10.0
MOST_OFFSET = 1.0


class Channel(StrEnum):
    """What of a picture is seen; the value is the name on the screen."""

    ALL = "RGB"
    RED = "Red"
    GREEN = "Green"
    BLUE = "Blue"
    LUMINANCE = "Luminance"


@dataclass(frozen=True)
class DisplayOptions:
    """Linear light is multiplied by 2^`exposure_ev`, then `offset` is added; both leave the pixels
    themselves, their numbers and all that is measured and saved as they are."""

    exposure_ev: float = 0.0
    offset: float = 0.0
    channel: Channel = Channel.ALL

    @property
    def words(self) -> str:
        """For people: "Red, +1.5 EV"; empty where pictures are shown as they are."""
        parts = [
            str(self.channel) if self.channel is not Channel.ALL else "",
            f"{self.exposure_ev:+.1f} EV" if self.exposure_ev else "",
            f"offset {self.offset:+.3f}" if self.offset else "",
        ]
        return ", ".join(filter(None, parts)).replace("-", "−")


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
