"""Where the picture lands in its pane. Plain arithmetic in device pixels, no Qt."""

from __future__ import annotations

from dataclasses import dataclass

_SNAP = 0.03
"""Relative distance from a whole scale within which that is used."""


@dataclass(frozen=True)
class Placement:
    """A picture's place in device pixels, and how it is sampled to get there.

    `scale`: device pixels per image pixel. `nearest`: each image pixel is one crisp square.
    """

    x: int
    y: int
    width: int
    height: int
    scale: float
    nearest: bool

    @property
    def words(self) -> str:
        """The scale for a label: "1:1", "2x nearest" or "1.62x smooth"."""
        if self.scale == 1:
            return "1:1"
        if self.nearest:
            return f"{self.scale:.0f}× nearest"
        return f"{self.scale:.2f}× smooth"


def place(
    width_px: int,
    height_px: int,
    area_width: int,
    area_height: int,
    integer_zoom: bool,
    slack: int = 0,
) -> Placement:
    """Centre an image of `width_px` x `height_px` in an area of device pixels.

    With `integer_zoom` the largest whole scale that fits is used. An image larger than the area is
    fitted smoothly in either case: cutting it off would hide what is being judged. A scale that
    misses a whole one by a trifle becomes whole, and crisp, if that exceeds the area by at most
    `slack` device pixels.
    """
    scale = max(min(area_width / width_px, area_height / height_px), 1e-6)
    whole = round(scale)
    excess = max(width_px * whole - area_width, height_px * whole - area_height)
    if whole >= 1 and abs(scale / whole - 1) < _SNAP and excess <= slack:
        scale = float(whole)
    elif integer_zoom and scale >= 1:
        scale = float(int(scale))
    width, height = max(1, round(width_px * scale)), max(1, round(height_px * scale))
    return Placement(
        x=(area_width - width) // 2,
        y=(area_height - height) // 2,
        width=width,
        height=height,
        scale=scale,
        nearest=scale == int(scale),
    )


def place_scaled(
    width_px: int,
    height_px: int,
    area_width: int,
    area_height: int,
    scale: float,
    center_x_px: float,
    center_y_px: float,
) -> Placement:
    """Show an image at `scale` with the point `center_*_px` (from the image centre) in the middle.

    Where the image is larger than the area it covers all of it: it cannot be pushed out of sight.
    """
    return Placement(
        x=_slide(width_px, area_width, scale, center_x_px),
        y=_slide(height_px, area_height, scale, center_y_px),
        width=max(1, round(width_px * scale)),
        height=max(1, round(height_px * scale)),
        scale=scale,
        nearest=scale == int(scale),
    )


def _slide(size_px: int, area: int, scale: float, center_px: float) -> int:
    length = max(1, round(size_px * scale))
    if length <= area:
        return (area - length) // 2
    return min(0, max(area - length, round(area / 2 - (size_px / 2 + center_px) * scale)))
