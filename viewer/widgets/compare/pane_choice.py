"""What one pane of a comparison should show. Knows nothing of Qt, so that every thread may."""

from __future__ import annotations

from dataclasses import dataclass

from r2l_core.types import Precision

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
