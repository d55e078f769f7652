"""What a light field cannot know by itself: where its scene lies and how it was photographed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from r2l_core import limits
from r2l_core.errors import SceneError
from r2l_core.geometry.camera import BLENDER_CAMERA_ANGLE_X_RAD, Camera, focal_from_angle
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.scene_entries import NUMBERS, READ
from r2l_core.json_fields import read_json
from r2l_core.types import RayMode

MAX_NUMBER = 1e9
"""Of every entry: what is larger, float32 rays cannot tell apart."""

MAX_NAME = 1000


@dataclass(frozen=True)
class SceneSpec:
    """Scene facts, in world units and a Z-up world.

    near, far: depths along the optical axis between which rays are sampled.
    background_rgb: sRGB in [0, 1]. center, bound_radius: the sphere that holds everything visible.
    origin_radius: radius of the sphere about `center` on which the training origins lay, or None
    where that is unknown (released checkpoints). min_elevation_deg: lowest elevation of those.
    camera_angle_x_rad, width_px, height_px: the scene's own camera. view_radius, home_azimuth_deg,
    home_elevation_deg: where the first view looks at `center` from.
    nerf_ndc: whether a NeRF of this scene samples in normalised device coordinates. R2L networks
    never do: the released code gives them world rays (PointSampler), of LLFF scenes as well.
    teacher: name of the procedural teacher that can render this scene exactly, or None.
    """

    name: str
    near: float = 2.0
    far: float = 6.0
    background_rgb: tuple[float, float, float] = (1.0, 1.0, 1.0)
    center: tuple[float, float, float] = (0.0, 0.0, 0.0)
    bound_radius: float = 2.0
    origin_radius: float | None = None
    min_elevation_deg: float = -90.0
    camera_angle_x_rad: float = BLENDER_CAMERA_ANGLE_X_RAD
    width_px: int = 400
    height_px: int = 400
    view_radius: float = 4.0
    home_azimuth_deg: float = 35.0
    home_elevation_deg: float = 30.0
    nerf_ndc: bool = False
    teacher: str | None = None

    def __post_init__(self) -> None:
        for field in ("background_rgb", "center"):
            if len(getattr(self, field)) != 3:
                raise _bad_scene(self.name, f"{field} needs three numbers")
        for field in NUMBERS:
            value = getattr(self, field)
            for number in value if isinstance(value, tuple) else (value,):
                if not abs(number) <= MAX_NUMBER:  # false for not-a-number, too
                    why = f"{field} holds {number}, not a number up to {MAX_NUMBER:g}"
                    raise _bad_scene(self.name, why)
        if not 0 <= self.near < self.far:
            raise _bad_scene(self.name, f"near {self.near} and far {self.far} are out of order")
        if self.bound_radius <= 0 or self.view_radius <= 0:
            raise _bad_scene(self.name, "bound_radius and view_radius must be above 0")
        if self.origin_radius is not None and not (
            self.bound_radius < self.origin_radius <= MAX_NUMBER
        ):
            why = f"origin_radius {self.origin_radius:g} is not beyond bound_radius"
            raise _bad_scene(self.name, f"{why} {self.bound_radius:g}")
        if not 0 < self.camera_angle_x_rad < math.pi:
            raise _bad_scene(self.name, "camera_angle_x_rad must lie between 0 and pi")
        if self.width_px < 1 or self.height_px < 1:
            raise _bad_scene(self.name, "its image size is below one pixel")
        if not limits.fits(self.width_px, self.height_px):
            size, most = f"{self.width_px}x{self.height_px}", limits.PICTURE_PX >> 20
            why = f"over {most} million pixels, or {limits.SIDE_PX} along a side"
            raise _bad_scene(self.name, f"its image size {size} has {why}")

    @property
    def opened_px(self) -> tuple[int, int]:
        """Width and height at which it is shown unasked: its own, or less where those would take
        more memory than opening a file may."""
        share = math.sqrt(min(1.0, limits.OPENED_PX / (self.width_px * self.height_px)))
        return max(1, int(self.width_px * share)), max(1, int(self.height_px * share))

    def focal_px(self, width_px: int) -> float:
        """Focal length that shows the scene's own horizontal field of view on `width_px`."""
        return focal_from_angle(width_px, self.camera_angle_x_rad)

    def ray_mode(self, wish: str = "auto") -> RayMode:
        """`auto` is canonical where the scene names its origin sphere, otherwise plain.

        Raises SceneError for `canonical` where it names none.
        """
        if wish == "canonical" and self.origin_radius is None:
            raise SceneError(
                "Canonical rays cannot be rendered",
                f"the scene '{self.name}' does not say on which sphere the cameras lay",
                "Choose plain rays, or a scene with an origin_radius.",
            )
        return "plain" if wish == "plain" or self.origin_radius is None else "canonical"

    def outside_trained_views(self, position: NDArray[np.float64], ray_mode: RayMode) -> str | None:
        """Why a camera at `position` sees what the network was never shown, or None.

        Says nothing of scenes whose training cameras are unknown.
        """
        if self.origin_radius is None:
            return None
        relative = position - np.asarray(self.center)
        distance = float(np.linalg.norm(relative))
        if distance <= self.bound_radius:
            return "inside the scene: outside trained views"
        if ray_mode == "plain" and abs(distance - self.origin_radius) > 0.02 * self.origin_radius:
            return "off the trained sphere: outside trained views"
        elevation_deg = math.degrees(math.asin(max(-1.0, min(1.0, relative[2] / distance))))
        if elevation_deg < self.min_elevation_deg:
            return "below the horizon: outside trained views"
        return None

    def home(self) -> Orbit:
        """The view a person sees first."""
        return Orbit(self.home_azimuth_deg, self.home_elevation_deg, self.view_radius, self.center)

    def home_camera(self) -> Camera:
        """The camera of the first view, at the scene's own image size."""
        return self.home().camera(self.width_px, self.height_px, self.focal_px(self.width_px))

    def to_json(self) -> str:
        """One JSON object with every field."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_mapping(values: Mapping[str, Any]) -> SceneSpec:
        """Build from a parsed JSON object. Raises SceneError that names the entry."""
        name = values.get("name", "unnamed")
        if not isinstance(name, str) or len(name) > MAX_NAME:
            raise _bad_scene("unnamed", f"name is not a text of up to {MAX_NAME} signs")
        made: dict[str, Any] = {}
        for key, value in values.items():
            if key not in READ:
                raise _bad_scene(name, f"it has the unknown entry '{key[:40]}'")
            try:
                made[key] = READ[key](value)
            except (TypeError, OverflowError) as error:
                raise _bad_scene(name, f"{key} {error}") from error
        return SceneSpec(**{"name": name, **made})


def _bad_scene(name: str, why: str) -> SceneError:
    return SceneError(
        f"The scene '{name}' cannot be used", why, "Correct the scene file or choose a preset."
    )


_EVERYWHERE = 1e4
"""Bound of scenes that surround the camera: no ray misses them."""

_BLENDER = ("chair", "drums", "ficus", "hotdog", "lego", "materials", "mic", "ship")
_BLENDER_RADIUS = 4.031
_LLFF = ("fern", "flower", "fortress", "horns", "leaves", "orchids", "room", "trex")
_LLFF_FOCAL_PX = 407.57
"""Of `fern` at 504x378; the other scenes were taken with the same kind of telephone."""

_DONERF = {
    "barbershop": (0.31855402439832686, 8.704841423034669, True),
    "bulldozer": (0.5999020725488663, 3.6212123036384583, True),
    "classroom": (0.6359080076217651, 8.79825210571289, False),
    "forest": (20.0, 40.0, False),
    "pavillon": (1.1224385499954224, 8.0, False),
    "sanmiguel": (1.3081911981105805, 27.812076473236086, True),
}
"""near, far (`--trial.near`, `--trial.far`), and whether the background is white."""


def _blender(name: str) -> SceneSpec:
    return SceneSpec(
        name=name,
        near=2.0,
        far=6.0,
        bound_radius=2.0,
        origin_radius=_BLENDER_RADIUS,
        min_elevation_deg=0.0,
        view_radius=_BLENDER_RADIUS,
    )


def _llff(name: str) -> SceneSpec:
    """Forward-facing: the mean camera stands at the origin, right is +X and up +Y."""
    return SceneSpec(
        name=name,
        near=0.0,
        far=1.0,
        background_rgb=(0.0, 0.0, 0.0),
        # Through this point passes the axis of the mean camera, which is the first view.
        center=(0.0, 0.0, -1.0),
        bound_radius=_EVERYWHERE,
        camera_angle_x_rad=2.0 * math.atan(504 / 2 / _LLFF_FOCAL_PX),
        width_px=504,
        height_px=378,
        view_radius=1.0,
        home_azimuth_deg=-90.0,
        home_elevation_deg=90.0,
        nerf_ndc=True,
    )


def _donerf(name: str, near: float, far: float, white: bool) -> SceneSpec:
    """Cameras stand amid the scene."""
    return SceneSpec(
        name=name,
        near=near,
        far=far,
        background_rgb=(1.0, 1.0, 1.0) if white else (0.0, 0.0, 0.0),
        bound_radius=_EVERYWHERE,
        view_radius=1.0,
    )


_DEMO_BOUND_RADIUS = 1.4
_DEMO_ORIGIN_RADIUS = 4.0

PRESETS: dict[str, SceneSpec] = {
    "demo": SceneSpec(
        name="demo",
        near=_DEMO_ORIGIN_RADIUS - _DEMO_BOUND_RADIUS,
        far=_DEMO_ORIGIN_RADIUS + _DEMO_BOUND_RADIUS,
        bound_radius=_DEMO_BOUND_RADIUS,
        origin_radius=_DEMO_ORIGIN_RADIUS,
        min_elevation_deg=0.0,
        view_radius=_DEMO_ORIGIN_RADIUS,
        teacher="demo",
    ),
    **{f"blender:{name}": _blender(name) for name in _BLENDER},
    **{f"llff:{name}": _llff(name) for name in _LLFF},
    **{f"donerf:{name}": _donerf(name, *facts) for name, facts in _DONERF.items()},
}
"""By command-line name. Those of the released networks follow the released configurations and
training commands (configs/*.txt, scripts/nerfv3.2_*.sh); docs/conventions.md says what they leave
open."""


def load_scene(name_or_path: str) -> SceneSpec:
    """A preset by name, or a scene JSON file by path. Raises SceneError that names it."""
    if name_or_path in PRESETS:
        return PRESETS[name_or_path]
    path = Path(name_or_path)
    try:
        is_file = path.is_file()
    except (OSError, ValueError):
        is_file = False  # a name no file system takes
    if not is_file:
        raise SceneError(
            f"The scene '{name_or_path}' was not found",
            "it is neither a preset nor a file",
            f"Presets: {', '.join(sorted(PRESETS))}.",
        )
    what = f"The scene file {path} cannot be used"
    values = read_json(path, what, SceneError, "Give an object.")
    if not isinstance(values, dict):
        raise SceneError(what, "it is not a JSON object", "Give an object.")
    try:
        return SceneSpec.from_mapping(values)
    except SceneError as error:
        raise SceneError(what, error.why, error.remedy) from error
