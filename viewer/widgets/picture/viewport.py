"""Which part of a picture is seen, and how large: magnifies pixels, moves no camera. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace

SCALES = (0.125, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0)
"""Device pixels per image pixel that magnifying stops at. Whole ones show crisp squares."""


@dataclass(frozen=True)
class Viewport:
    """Shared by all pictures that are compared, so that they keep one pixel grid.

    `scale`: device pixels per image pixel; None fits the picture to its room. `center_x_px`,
    `center_y_px`: the point in the middle of the room, in image pixels from the image centre.
    """

    scale: float | None = None
    center_x_px: float = 0.0
    center_y_px: float = 0.0

    def magnified(self, steps: int, shown_scale: float) -> Viewport:
        """The scale `steps` further in `SCALES` than the one shown now; below 0 is smaller."""
        scale = shown_scale
        for _ in range(abs(steps)):
            if steps > 0:
                scale = next((one for one in SCALES if one > scale), SCALES[-1])
            else:
                scale = next((one for one in reversed(SCALES) if one < scale), SCALES[0])
        return replace(self, scale=scale)

    def moved(self, right_px: float, down_px: float) -> Viewport:
        """Look that many image pixels further right and down."""
        return replace(
            self,
            center_x_px=self.center_x_px + right_px,
            center_y_px=self.center_y_px + down_px,
        )
