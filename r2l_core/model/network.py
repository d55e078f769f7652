"""The R2L residual MLP (Wang et al., "R2L: Distilling Neural Radiance Field to Neural Light Field
for Efficient Novel View Synthesis", ECCV 2022; public code snap-research/R2L,
model/nerf_raybased.py, class NeRF_v3_2): its hyper-parameters. `module` computes it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from r2l_core import limits

Activation = Literal["none", "relu", "lrelu"]
LEAKY_SLOPE = 0.01
"""Of `lrelu`, as `nn.LeakyReLU` has it."""


@dataclass(frozen=True)
class NetworkConfig:
    """Hyper-parameters, named after the paper and the released options: W256 D88 is width 256,
    depth 88.

    n_sample: points per ray. n_frequencies: octaves of the positional encoding (L). The body has
    (depth - 2) // n_learnable residual blocks of n_learnable layers each, so an odd depth means
    the even one below it. act, inact, outact: the activations after the head, between the layers of
    a block and after its sum. plucker: the ray enters as its six Plücker coordinates instead of
    points, and n_sample has no meaning.
    """

    depth: int = 88
    width: int = 256
    n_sample: int = 16
    n_frequencies: int = 10
    res_scale: float = 1.0
    use_residual: bool = True
    n_learnable: int = 2
    act: Activation = "relu"
    inact: Activation = "relu"
    outact: Activation = "none"
    plucker: bool = False

    def __post_init__(self) -> None:
        if not math.isfinite(self.res_scale):
            raise ValueError(f"res_scale must be finite, not {self.res_scale}")
        if self.depth < 2:
            raise ValueError(f"depth must be at least 2 (head and tail), not {self.depth}")
        if self.width < 1 or self.n_sample < 2 or self.n_frequencies < 0 or self.n_learnable < 1:
            raise ValueError(
                "width and n_learnable must be at least 1, n_sample at least 2 and n_frequencies "
                f"at least 0, not {self.width}, {self.n_learnable}, {self.n_sample}, "
                f"{self.n_frequencies}"
            )
        for name, value, most in (
            ("depth", self.depth, limits.DEPTH),
            ("width", self.width, limits.WIDTH),
            ("n_frequencies", self.n_frequencies, limits.OCTAVES),
            ("the number of features of a ray", self.input_size, limits.RAY_FEATURES),
        ):
            if value > most:
                raise ValueError(f"{name} is more than {most}")
        for activation in (self.act, self.inact, self.outact):
            if activation not in get_args(Activation):
                raise ValueError(f"there is no activation '{activation}'")

    @property
    def n_blocks(self) -> int:
        """Residual blocks in the body."""
        return (self.depth - 2) // self.n_learnable

    @property
    def n_coordinates(self) -> int:
        """Numbers per ray before they are encoded."""
        return 6 if self.plucker else 3 * self.n_sample

    @property
    def ray_form(self) -> str:
        """How a ray enters, in words: `16 samples` or `Plücker coordinates`."""
        return "Plücker coordinates" if self.plucker else f"{self.n_sample} samples"

    @property
    def input_size(self) -> int:
        """Encoded features per ray."""
        return self.n_coordinates * (2 * self.n_frequencies + 1)

    def block_layers(self, block: int) -> list[str]:
        """Names of the linear layers of a block, such as `body.3.body.0`."""
        # Activations between them count as well, where there are any.
        step = 1 if self.inact == "none" else 2
        return [f"body.{block}.body.{step * i}" for i in range(self.n_learnable)]

    @property
    def standard_blocks(self) -> bool:
        """Whether the blocks are as published: two layers, a ReLU between, none after the sum."""
        return (self.n_learnable, self.inact, self.outact) == (2, "relu", "none")

    @property
    def flop_per_ray(self) -> int:
        """Multiplications and additions of the linear layers for one ray."""
        body = self.n_blocks * self.n_learnable * self.width * self.width
        return 2 * (self.input_size * self.width + body + self.width * 3)

    @property
    def short_name(self) -> str:
        """Such as `W256 D88`."""
        return f"W{self.width} D{self.depth}"

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor in the state dict, without building the network."""
        width = self.width
        shapes: dict[str, tuple[int, ...]] = {
            "head.0.weight": (width, self.input_size),
            "head.0.bias": (width,),
        }
        for block in range(self.n_blocks):
            for layer in self.block_layers(block):
                shapes[f"{layer}.weight"] = (width, width)
                shapes[f"{layer}.bias"] = (width,)
        shapes["tail.0.weight"] = (3, width)
        shapes["tail.0.bias"] = (3,)
        return shapes

    def to_dict(self) -> dict[str, int | float | bool | str]:
        """Plain values for a file header."""
        return asdict(self)

    @staticmethod
    def from_mapping(values: Mapping[str, Any]) -> NetworkConfig:
        """Build from a parsed header. Raises ValueError, TypeError or KeyError where it is none."""
        known = {field.name for field in fields(NetworkConfig)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"the network has the unknown entry '{unknown[0]}'")
        return NetworkConfig(
            depth=int(values["depth"]),
            width=int(values["width"]),
            n_sample=int(values["n_sample"]),
            n_frequencies=int(values["n_frequencies"]),
            res_scale=float(values["res_scale"]),
            use_residual=_truth(values, "use_residual"),
            n_learnable=int(values.get("n_learnable", 2)),
            act=values.get("act", "relu"),
            inact=values.get("inact", "relu"),
            outact=values.get("outact", "none"),
            plucker="plucker" in values and _truth(values, "plucker"),
        )


def _truth(values: Mapping[str, Any], name: str) -> bool:
    if not isinstance(values[name], bool):
        raise TypeError(f"{name} must be true or false, not {values[name]!r}")
    return bool(values[name])
