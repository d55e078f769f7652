"""What the panes of a comparison show, and how they are shown against each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from r2l_core.types import Precision

LETTERS = "ABCD"
"""Names of the panes, by their positions."""

TRUTH = "truth"
"""`source` of a pane, and `EngineInfo.engine` of a frame, that no network renders: the ground
truth, which is the open dataset's, and the scene's own where none is open."""
SCENE_TRUTH = "scene truth"
"""Likewise: the scene's own ground truth, where a dataset has another."""
TRUTHS = (SCENE_TRUTH, TRUTH)
"""The less telling one first."""
NOTHING = "none"
"""`EngineInfo.engine` where a light field could not be opened or built."""
AUTO = "auto"
"""The engine that serves a precision best."""


EIGHT_BITS = (Precision.INT8, Precision.INT8_SIM, Precision.INT8_STATIC_SIM)
"""Precisions whose layers can be left in float32 one by one."""


@dataclass(frozen=True)
class PaneChoice:
    """`source`: a Precision, or one of TRUTHS.

    `engine`: the name of one, or AUTO; of no meaning for the ground truth.
    `checkpoint`: name or path of another light field than the open one, which None is; the ground
    truth is always that of the open one. `layers_in_fp32`: the body layers that an eight-bit
    precision of the open light field leaves alone.
    """

    source: Precision | str
    engine: str = AUTO
    checkpoint: str | None = None
    layers_in_fp32: frozenset[str] = frozenset()

    @property
    def has_mix(self) -> bool:
        """Whether layers of it can be chosen one by one."""
        return self.checkpoint is None and self.source in EIGHT_BITS

    def showing(self, precision: Precision) -> PaneChoice:
        """Another precision of the same light field, on the engine that serves it best; a mix of
        layers stays where both precisions have one."""
        pane = PaneChoice(precision, checkpoint=self.checkpoint)
        if self.has_mix and pane.has_mix:
            return replace(pane, layers_in_fp32=self.layers_in_fp32)
        return pane


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
