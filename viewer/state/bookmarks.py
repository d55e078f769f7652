"""Numbered views of each light field, as JSON that a person can read and mend.

    {"demo": {"1": {"azimuth_deg": 35.0, "elevation_deg": 30.0, "radius": 4.0,
                    "pivot": [0.0, 0.0, 0.0], "fov_x_deg": 39.6}}}

What cannot be used is left out; the rest counts.
"""

from __future__ import annotations

import json
import math
from typing import Any

from r2l_core.geometry.camera import MAX_ELEVATION_DEG, Orbit, wrap_deg
from r2l_core.json_fields import stored_object
from viewer.state.viewpoint import Viewpoint

NUMBERS = range(1, 10)
"""The digits a view can be kept under."""

_FOV_X_RANGE_DEG = (1.0, 170.0)


class Bookmarks:
    """Views by light field name and number."""

    def __init__(self, text: str = "") -> None:
        """`text`: what `text()` gave once; anything else counts as none."""
        self._views: dict[str, dict[int, Viewpoint]] = {}
        for name, marks in stored_object(text).items():
            for digit, values in marks.items() if isinstance(marks, dict) else ():
                view = _viewpoint(values)
                if view is not None and digit in map(str, NUMBERS):
                    self.put(name, int(digit), view)

    def numbers(self, name: str) -> frozenset[int]:
        """The numbers in use for the light field `name`."""
        return frozenset(self._views.get(name, {}))

    def get(self, name: str, number: int) -> Viewpoint | None:
        """The view kept under `number`, or None."""
        return self._views.get(name, {}).get(number)

    def put(self, name: str, number: int, view: Viewpoint) -> None:
        """Keep `view`, in place of what was there."""
        self._views.setdefault(name, {})[number] = view

    def text(self) -> str:
        """All of them as JSON."""
        return json.dumps(
            {
                name: {str(number): _values(view) for number, view in sorted(marks.items())}
                for name, marks in sorted(self._views.items())
            }
        )


def _values(view: Viewpoint) -> dict[str, Any]:
    orbit = view.orbit
    return {
        "azimuth_deg": orbit.azimuth_deg,
        "elevation_deg": orbit.elevation_deg,
        "radius": orbit.radius,
        "pivot": list(orbit.pivot),
        "fov_x_deg": view.fov_x_deg,
    }


def _viewpoint(values: Any) -> Viewpoint | None:
    """The view these values describe; None unless every one of them makes sense."""
    try:
        x, y, z = values["pivot"]
        numbers = [values[key] for key in ("azimuth_deg", "elevation_deg", "radius", "fov_x_deg")]
        numbers += [x, y, z]
        if any(isinstance(number, bool | str) for number in numbers):
            return None
        azimuth_deg, elevation_deg, radius, fov_x_deg, x, y, z = map(float, numbers)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    low_deg, high_deg = _FOV_X_RANGE_DEG
    usable = (
        all(map(math.isfinite, (azimuth_deg, elevation_deg, radius, fov_x_deg, x, y, z)))
        and abs(elevation_deg) <= MAX_ELEVATION_DEG
        and radius > 0
        and low_deg <= fov_x_deg <= high_deg
    )
    if not usable:
        return None
    return Viewpoint(Orbit(wrap_deg(azimuth_deg), elevation_deg, radius, (x, y, z)), fov_x_deg)
