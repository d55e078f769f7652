"""How the pixels of pictures are brought to the screen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

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
