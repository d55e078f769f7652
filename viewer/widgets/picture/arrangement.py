"""Where several equal pictures stand in a pane. Plain arithmetic in device pixels, no Qt."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from viewer.widgets.picture.placement import Placement, place, place_scaled
from viewer.widgets.picture.viewport import Viewport


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
