"""What each entry of a scene must be, as parsed JSON gives it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("is not a number")
    return float(value)


def _whole(value: Any) -> int:
    number = _number(value)
    if number % 1 != 0:  # true for not-a-number and infinite ones, too
        raise TypeError("is not a whole number")
    return int(number)


def _triple(value: Any) -> tuple[float, float, float]:
    if not isinstance(value, list | tuple) or len(value) != 3:
        raise TypeError("is not three numbers")
    x, y, z = (_number(v) for v in value)
    return x, y, z


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("is not a text")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("is neither true nor false")
    return value


READ: dict[str, Callable[[Any], Any]] = {
    "name": _text,
    "near": _number,
    "far": _number,
    "background_rgb": _triple,
    "center": _triple,
    "bound_radius": _number,
    "origin_radius": lambda value: None if value is None else _number(value),
    "min_elevation_deg": _number,
    "camera_angle_x_rad": _number,
    "width_px": _whole,
    "height_px": _whole,
    "view_radius": _number,
    "home_azimuth_deg": _number,
    "home_elevation_deg": _number,
    "nerf_ndc": _truth,
    "teacher": lambda value: None if value is None else _text(value),
}
"""How each entry of a parsed scene is checked. They raise TypeError, a clause that goes on from the
entry's name, or OverflowError for what is beyond any float."""

NUMBERS = tuple(key for key, read in READ.items() if read in (_number, _triple))
"""Entries that hold numbers, all of which must be finite."""
