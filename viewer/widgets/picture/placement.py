"""Where pictures land in a pane, and which part of them is seen. Plain arithmetic in device pixels,
no Qt."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

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


@dataclass(frozen=True)
class Spacing:
    """Room kept free around pictures: `strip` above each for its label, `gap` between them.

    `slack`: by so much a picture may exceed its room to reach a whole scale (see `place`).
    """

    strip: int = 0
    gap: int = 0
    slack: int = 0


@dataclass(frozen=True)
class Arrangement:
    """Cells of `width` x `height`, one for each picture, with their upper left `corners`.

    `placement` is that of the picture relative to its cell, the same in all; what lies outside the
    cell is not seen.
    """

    placement: Placement
    width: int
    height: int
    corners: tuple[tuple[int, int], ...]


@functools.lru_cache(maxsize=8)  # asked twice for every picture, and hardly ever anew
def arrange(
    count: int,
    width_px: int,
    height_px: int,
    area_width: int,
    area_height: int,
    viewport: Viewport,
    integer_zoom: bool,
    spacing: Spacing,
) -> Arrangement:
    """Put `count` images of `width_px` x `height_px` side by side and below each other.

    They stand in as many columns as make them largest and leave the fewest places empty, and close
    together, because the eye compares what is near.
    """
    columns = _columns(
        count, (width_px, height_px), (area_width, area_height), spacing, integer_zoom
    )
    rows = -(-count // columns)
    room_width, room_height = _room(columns, rows, area_width, area_height, spacing)
    if viewport.scale is None:
        fitted = place(width_px, height_px, room_width, room_height, integer_zoom, spacing.slack)
        width, height = fitted.width, fitted.height
        placement = Placement(0, 0, width, height, fitted.scale, fitted.nearest)
    else:
        full = (round(width_px * viewport.scale), round(height_px * viewport.scale))
        width, height = (
            max(1, min(room, length))
            for room, length in zip((room_width, room_height), full, strict=True)
        )
        center = (viewport.center_x_px, viewport.center_y_px)
        placement = place_scaled(width_px, height_px, width, height, viewport.scale, *center)
    left = (area_width - columns * width - (columns - 1) * spacing.gap) // 2
    pitch = height + spacing.strip + spacing.gap
    top = (area_height - rows * pitch + spacing.gap) // 2 + spacing.strip
    corners = tuple(
        (left + at % columns * (width + spacing.gap), top + at // columns * pitch)
        for at in range(count)
    )
    return Arrangement(placement, width, height, corners)


def room_of_one(count: int, area_width: int, area_height: int, spacing: Spacing) -> tuple[int, int]:
    """Room for each of `count` pictures of any shape: beside each other, four two by two."""
    columns = 2 if count == 4 else count
    return _room(columns, -(-count // columns), area_width, area_height, spacing)


def _columns(
    count: int, size_px: tuple[int, int], area: tuple[int, int], spacing: Spacing, whole: bool
) -> int:
    def merits(columns: int) -> tuple[float, int]:
        rows = -(-count // columns)
        return scale(columns), count - rows * columns

    def scale(columns: int) -> float:
        room = _room(columns, -(-count // columns), *area, spacing)
        fits = min(room[0] / size_px[0], room[1] / size_px[1])
        return float(int(fits)) if whole and fits >= 1 else fits

    # Of equal ones the widest: rows are shorter to look along than columns.
    return max(range(count, 0, -1), key=merits)


def _room(
    columns: int, rows: int, area_width: int, area_height: int, spacing: Spacing
) -> tuple[int, int]:
    width = (area_width - (columns - 1) * spacing.gap) // columns
    height = (area_height - (rows - 1) * spacing.gap) // rows - spacing.strip
    return max(1, width), max(1, height)
