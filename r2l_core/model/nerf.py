"""NeRFs (Mildenhall et al. 2020) as the teachers of light fields: what one file says. No file I/O.

The network is that of the released code (model/nerf_raybased.py, class NeRF), which is the usual
one: `pts_linears` with a skip, then density from `alpha_linear` and colour from `feature_linear`,
`views_linears` and `rgb_linear`, or both from `output_linear` where directions are not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from r2l_core.geometry.scene import SceneSpec


@dataclass(frozen=True, eq=False)
class NerfNetwork:
    """One network. `tensors`: float32 on the CPU, by state-dict name.

    depth: layers of `pts_linears`; `skips`: those of them that see the encoded point again.
    n_frequencies, n_view_frequencies: octaves of point and direction; None without directions.
    """

    tensors: Mapping[str, Tensor]
    depth: int
    width: int
    skips: frozenset[int]
    n_frequencies: int
    n_view_frequencies: int | None

    @property
    def short_name(self) -> str:
        """Such as `NeRF W256 D8`."""
        return f"NeRF W{self.width} D{self.depth}"


@dataclass(frozen=True, eq=False)
class NerfTeacher:
    """A NeRF that can be rendered: a coarse network, mostly a fine one, and its scene.

    n_coarse: evenly spaced samples a ray. n_fine: more of them where the coarse network sees
    something; 0 without a fine network. `notes`: what the file did not say and was assumed.
    """

    name: str
    scene: SceneSpec
    coarse: NerfNetwork
    fine: NerfNetwork | None
    n_coarse: int
    n_fine: int
    sha256: str = ""
    notes: tuple[str, ...] = ()
    kind = "NeRF"
