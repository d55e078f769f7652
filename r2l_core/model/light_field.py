"""A light field in memory: its weights, its scene and where they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from r2l_core.errors import plain
from r2l_core.geometry.scene import SceneSpec
from r2l_core.model.network import NetworkConfig
from r2l_core.model.quantized import Quantization
from r2l_core.types import RayMode

if TYPE_CHECKING:
    from torch import Tensor

    from r2l_core.model.module import R2LNetwork


@dataclass(frozen=True, eq=False)
class LightField:
    """An opened light field. `tensors`: float32 on the CPU, by state-dict name; treat as read-only.

    `quantization`: scales the file brings along; `tensors` then holds what its integers stand for.
    `layers_in_fp32`: body layers that eight-bit engines leave alone (`quantization.mix`); a way to
    run it, which no file keeps.
    `stored_dtype`: the type the file holds, such as "float32". `sha256`: of the whole file, or
    empty for one that was never on disk. `plain_rays`: whether the sphere of its training origins
    is known only roughly, so that rays are not re-based unless asked (released checkpoints).
    `says_scene`: whether the file itself says where its scene lies. `notes`: sentences on what the
    file did not say and was assumed.
    """

    name: str
    network: NetworkConfig
    scene: SceneSpec
    tensors: Mapping[str, Tensor]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    quantization: Quantization | None = None
    stored_dtype: str = "float32"
    sha256: str = ""
    layers_in_fp32: frozenset[str] = frozenset()
    plain_rays: bool = False
    says_scene: bool = True
    notes: tuple[str, ...] = ()
    is_teacher: ClassVar[Literal[False]] = False

    def __post_init__(self) -> None:
        # Both are shown, and come from files and their names.
        object.__setattr__(self, "name", plain(self.name))
        object.__setattr__(self, "notes", tuple(map(plain, self.notes)))

    def ray_mode(self, wish: str = "auto") -> RayMode:
        """`auto` is canonical where the scene names its origin sphere, unless `plain_rays`.

        Raises SceneError for `canonical` where there is no such sphere.
        """
        return self.scene.ray_mode("plain" if wish == "auto" and self.plain_rays else wish)

    def module(self) -> R2LNetwork:
        """A fresh float32 torch module with these weights, in evaluation mode."""
        import torch

        from r2l_core.model.module import R2LNetwork

        with torch.device("meta"):
            network = R2LNetwork(self.network)
        network.load_state_dict(dict(self.tensors), assign=True)
        return network.eval().requires_grad_(False)
