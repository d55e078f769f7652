"""What the panes of a comparison show, and how they are shown against each other."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from r2l_core.types import Precision

LETTERS = "ABCD"
"""Names of the panes, by their positions."""

TRUTH = "truth"
"""`source` of a pane, and `EngineInfo.engine` of a frame, that no network renders: the ground
truth."""
NOTHING = "none"
"""`EngineInfo.engine` where a light field could not be opened or built."""
AUTO = "auto"
"""The engine that serves a precision best."""


@dataclass(frozen=True)
class PaneChoice:
    """`source`: a Precision, or TRUTH.

    `engine`: the name of one, or AUTO; of no meaning for the ground truth.
    `checkpoint`: name or path of another light field than the open one, which None is; the ground
    truth is always that of the open one.
    """

    source: Precision | str
    engine: str = AUTO
    checkpoint: str | None = None


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
