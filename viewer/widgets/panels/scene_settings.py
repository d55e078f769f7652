"""What a scene dialog asks for. Knows nothing of Qt."""

from __future__ import annotations

from dataclasses import dataclass

KINDS = {
    "object": "An object, cameras around it",
    "forward": "Forward-facing photographs",
    "amid": "Cameras amid the scene",
}
"""Scene types, and what they are called on the screen."""


@dataclass(frozen=True)
class SceneSettings:
    """What a file cannot say of its scene.

    preset: a name, or empty for settings of one's own. kind: one of KINDS. near, far: depths along
    the view axis, in scene units. background: sRGB as "#rrggbb". fov_x_deg: horizontal field of
    view of the scene's own pictures, which have width_px x height_px pixels. sphere_radius: of the
    sphere about the scene's centre on which the training cameras stood; 0 where it is not known.
    """

    preset: str
    kind: str
    near: float
    far: float
    background: str
    fov_x_deg: float
    width_px: int
    height_px: int
    sphere_radius: float
