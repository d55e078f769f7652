"""How far a picture at rest is from exact, reckoned from the frames that are shown."""

from __future__ import annotations

from dataclasses import dataclass

from r2l_core.render.frames import Frame
from viewer.widgets.controls import wording

_LEAST_SHARE = 0.005
"""Of the pixels that must have followed before their pace says anything."""


@dataclass(frozen=True)
class Refining:
    """share: of the pixels that are exact, 0 to 1. remaining_s: until all are; None: not known."""

    share: float
    remaining_s: float | None

    @property
    def words(self) -> str:
        """For people: "exact in 12 s – 62 %"."""
        percent = f"{int(100 * self.share)} %"
        if self.remaining_s is None:
            return f"refining – {percent}"
        # Rounded up, so that nobody waits longer than was said for want of a second.
        return f"exact in {wording.duration(int(self.remaining_s) + 1)} – {percent}"


class RefiningClock:
    """Follows the frames of one request: the later ones of these refine, the first one moves."""

    def __init__(self) -> None:
        self._first: Frame | None = None
        self._first_spent_ms = 0.0

    def add(self, frame: Frame, spent_ms: float) -> Refining | None:
        """What there is to say with this frame; None while the camera moves and once all is exact.

        spent_ms: time that the frames of all panes took until now, so that nothing depends on when
        they are shown, nor on one that costs nothing any more.
        """
        first = self._first
        if first is None or (frame.seq, frame.epoch) != (first.seq, first.epoch):
            self._first, self._first_spent_ms = frame, spent_ms
            return None
        if frame.complete or frame.why_blank:
            return None
        won, took_ms = frame.known_share - first.known_share, spent_ms - self._first_spent_ms
        if won < _LEAST_SHARE or took_ms <= 0:
            return Refining(frame.known_share, None)
        return Refining(frame.known_share, (1 - frame.known_share) / won * took_ms / 1e3)
