"""Scenes as the scene dialog shows them, and what its edits make of them. Knows nothing of Qt."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from r2l_core.errors import SceneError
from r2l_core.geometry.scene import PRESETS, SceneSpec

KINDS = {
    "object": "An object, cameras around it",
    "forward": "Forward-facing photographs",
    "amid": "Cameras amid the scene",
}
"""Scene types, and what they are called on the screen."""

AMID_BOUND_RADIUS = PRESETS["donerf:forest"].bound_radius
_KEPT = ("name", "background_rgb", "camera_angle_x_rad", "width_px", "height_px")
_MODEL_OF_KIND = {"object": "blender:lego", "forward": "llff:fern", "amid": "donerf:forest"}
"""A preset of each kind, of which a scene of one's own takes what the dialog does not ask for."""


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


def guessed_preset(checkpoint: str) -> str | None:
    """The preset whose scene a file's name begins with, such as `blender:lego` for `lego.tar` or
    `R2L_lego_W256.tar`; None where there is none, or more than one."""
    words = re.split(r"[^a-z0-9]+", Path(checkpoint).stem.lower())
    found = [preset for preset in PRESETS if ":" in preset and preset.split(":")[1] in words]
    return found[0] if len(found) == 1 else None


def settings_of(scene: SceneSpec, preset: str | None = None) -> SceneSettings:
    """What the dialog shows of a scene; `preset`: the one it is, where that is known."""
    preset = next((name for name in PRESETS if PRESETS[name] == scene), preset or "")
    red, green, blue = (round(255 * min(max(part, 0.0), 1.0)) for part in scene.background_rgb)
    return SceneSettings(
        preset=preset,
        kind=_kind(scene),
        near=scene.near,
        far=scene.far,
        background=f"#{red:02x}{green:02x}{blue:02x}",
        fov_x_deg=math.degrees(scene.camera_angle_x_rad),
        width_px=scene.width_px,
        height_px=scene.height_px,
        sphere_radius=scene.origin_radius or 0.0,
    )


def edited(base: SceneSpec, before: SceneSettings, after: SceneSettings) -> SceneSpec:
    """`base` with what differs between the settings. Raises SceneError for values that cannot be.

    What the dialog rounds and does not ask for stays as it is.
    """
    if after.kind != before.kind:
        return edited(_of_kind(after, base), before, replace(after, kind=before.kind))
    changes: dict[str, object] = {}
    for name in ("near", "far", "width_px", "height_px"):
        if getattr(after, name) != getattr(before, name):
            changes[name] = getattr(after, name)
    if after.background != before.background:
        rgb = bytes.fromhex(after.background[1:])
        changes["background_rgb"] = tuple(part / 255 for part in rgb)
    if after.fov_x_deg != before.fov_x_deg:
        changes["camera_angle_x_rad"] = math.radians(after.fov_x_deg)
    if after.sphere_radius != before.sphere_radius:
        changes["origin_radius"] = after.sphere_radius or None
        if after.sphere_radius:
            changes["view_radius"] = after.sphere_radius
    if base.bound_radius < AMID_BOUND_RADIUS and {"near", "far"} & set(changes):
        changes["bound_radius"] = max((after.far - after.near) / 2, 1e-6)
    return replace(base, **changes)  # type: ignore[arg-type]


def _of_kind(settings: SceneSettings, base: SceneSpec) -> SceneSpec:
    """`base` as a scene of another type: what surrounds it, and where the first view stands."""
    near, far = settings.near, settings.far
    facts: dict[str, Any] = {
        "near": near,
        "far": far,
        "origin_radius": None,
        "min_elevation_deg": -90.0,
    }
    if settings.kind == "object":
        facts |= {"bound_radius": (far - near) / 2, "view_radius": (near + far) / 2}
    kept = {name: getattr(base, name) for name in _KEPT}
    return replace(PRESETS[_MODEL_OF_KIND[settings.kind]], **(kept | facts))


def problems(base: SceneSpec, before: SceneSettings, after: SceneSettings) -> Mapping[str, str]:
    """Why values cannot be used, by the name of the setting."""
    found = {}
    if not after.near < after.far:
        found["far"] = f"must be more than near, {after.near:g}"
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", after.background):
        found["background"] = "is not a colour such as #ffffff"
    if found:
        return found
    try:
        edited(base, before, after)
    except SceneError as error:
        radius = (after.far - after.near) / 2
        sphere = f"must be more than half of far − near, {radius:g}; 0 where it is not known"
        return {"sphere_radius": sphere} if after.sphere_radius else {"near": error.why}
    return {}


def _kind(scene: SceneSpec) -> str:
    if scene.nerf_ndc:
        return "forward"
    return "object" if scene.bound_radius < AMID_BOUND_RADIUS else "amid"
