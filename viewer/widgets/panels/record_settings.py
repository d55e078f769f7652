"""What a recording should be like. Knows nothing of Qt."""

from __future__ import annotations

from dataclasses import dataclass

MODES = {
    "single": "The active pane",
    "side": "{} side by side",
    "wipe": "{}, wiped",
    "difference": "The difference of {}",
}
"""Name of each way of recording, and what it is called on the screen, of two panes' letters."""


@dataclass(frozen=True)
class RecordSettings:
    """width_px, height_px: of one pane. seconds: of the path, which is passed slower or faster
    for it. mode: one of MODES. file: path whose ending says the format. title: of the card before
    the path, or empty."""

    width_px: int
    height_px: int
    fps: float
    seconds: float
    mode: str
    file: str
    title: str = ""
