"""A radiance field with its scene: a teacher as it lies in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from r2l_core.geometry.scene import SceneSpec
from r2l_core.model.radiance.field import RadianceField
from r2l_core.types import RayMode


@dataclass(frozen=True, eq=False)
class RadianceTeacher:
    """`scene`: fitted to what the field holds: bounds, near and far, and the sphere on which the
    photographs' cameras stood, if they stood on one. `field`: in evaluation mode; treat as
    read-only. `provenance`: of which photographs, how long, how good. `notes`: what was assumed."""

    name: str
    scene: SceneSpec
    field: RadianceField
    provenance: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""
    notes: tuple[str, ...] = ()
    kind: ClassVar[str] = "radiance grid"
    is_teacher: ClassVar[Literal[True]] = True
    says_scene: ClassVar[bool] = True

    def ray_mode(self, _wish: str = "auto") -> RayMode:
        """A field is asked about rays as the camera makes them."""
        return "plain"

    @property
    def short_name(self) -> str:
        """Such as `radiance grid 180x190x260`."""
        x, y, z = self.field.grid.shape
        return f"radiance grid {x}x{y}x{z}"
