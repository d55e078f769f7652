"""What a recording should be like, and how far it is. Knows nothing of Qt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True, eq=False)
class RecordProgress:
    """One frame more. eta_s: seconds to go. picture: uint8 (H, W, 3), as it is written."""

    frames_done: int
    frames_total: int
    eta_s: float
    picture: NDArray[np.uint8]

    @property
    def words(self) -> str:
        """For people: "12 of 180 frames, 3 min 20 s to go"."""
        if self.frames_done == self.frames_total:
            return f"{self.frames_done} frames; finishing the file…"
        return f"{self.frames_done} of {self.frames_total} frames, {duration(self.eta_s)} to go"


def duration(seconds: float) -> str:
    """Rounded for reading: "45 s", "3 min 20 s", "2 h 05 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
