"""Where the user looks from: what undo, bookmarks and smooth moves keep, go back to and blend."""

from __future__ import annotations

from dataclasses import dataclass

from r2l_core.camera import Orbit


@dataclass(frozen=True)
class Viewpoint:
    """An orbit (degrees, scene units) and the horizontal field of view in degrees."""

    orbit: Orbit
    fov_x_deg: float
