"""What the timeline shows. Knows nothing of Qt."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TimelineReadout:
    """A path: when each keyframe is reached, how long it takes in all (a loop's way back
    included), whether it loops, which keyframe is marked, and what can be undone."""

    key_seconds: tuple[float, ...] = ()
    seconds: float = 0.0
    loop: bool = False
    selected: int | None = None
    can_undo: bool = False
    can_redo: bool = False


def clock(seconds: float) -> str:
    """Minutes, seconds and tenths: "01:03.2"."""
    tenths = round(seconds * 10)
    return f"{tenths // 600:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"
