"""The R2L residual MLP (Wang et al., "R2L: Distilling Neural Radiance Field to Neural Light Field
for Efficient Novel View Synthesis", ECCV 2022; public code snap-research/R2L,
model/nerf_raybased.py, class NeRF_v3_2). No file I/O here."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from torch import Tensor, nn

from r2l_core.encoding import encoded_size


@dataclass(frozen=True)
class NetworkConfig:
    """Hyper-parameters, named after the paper: W256 D88 is width 256, depth 88.

    n_sample: points per ray. n_frequencies: octaves of the positional encoding (L). As in the
    released code the body has (depth - 2) // 2 residual blocks, so an odd depth means the even one
    below it.
    """

    depth: int = 88
    width: int = 256
    n_sample: int = 16
    n_frequencies: int = 10
    res_scale: float = 1.0
    use_residual: bool = True

    def __post_init__(self) -> None:
        if not math.isfinite(self.res_scale):
            raise ValueError(f"res_scale must be finite, not {self.res_scale}")
        if self.depth < 2:
            raise ValueError(f"depth must be at least 2 (head and tail), not {self.depth}")
        if self.width < 1 or self.n_sample < 2 or self.n_frequencies < 0:
            raise ValueError(
                "width must be at least 1, n_sample at least 2 and n_frequencies at least 0, not "
                f"{self.width}, {self.n_sample}, {self.n_frequencies}"
            )

    @property
    def n_blocks(self) -> int:
        """Residual blocks in the body."""
        return (self.depth - 2) // 2

    @property
    def input_size(self) -> int:
        """Encoded features per ray."""
        return encoded_size(self.n_sample, self.n_frequencies)

    @property
    def flop_per_ray(self) -> int:
        """Multiplications and additions of the linear layers for one ray."""
        body = self.n_blocks * 2 * self.width * self.width
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
            for layer in (0, 2):
                shapes[f"body.{block}.body.{layer}.weight"] = (width, width)
                shapes[f"body.{block}.body.{layer}.bias"] = (width,)
        shapes["tail.0.weight"] = (3, width)
        shapes["tail.0.bias"] = (3,)
        return shapes

    def to_dict(self) -> dict[str, int | float | bool]:
        """Plain values for a file header."""
        return asdict(self)


class ResidualBlock(nn.Module):
    """`x + res_scale * Linear(ReLU(Linear(x)))`, with no activation after the sum."""

    def __init__(self, width: int, res_scale: float) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        self.res_scale = res_scale

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.body(x) * self.res_scale
        return result


class R2LNetwork(nn.Module):
    """Encoded rays to colours, float (N, input_size) -> (N, 3) in [0, 1].

    State-dict names are the released ones: `head.0.*`, `body.{k}.body.{0,2}.*`, `tail.0.*`.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.head = nn.Sequential(nn.Linear(config.input_size, config.width), nn.ReLU())
        self.body = nn.Sequential(
            *(ResidualBlock(config.width, config.res_scale) for _ in range(config.n_blocks))
        )
        self.tail = nn.Sequential(nn.Linear(config.width, 3), nn.Sigmoid())

    def forward(self, features: Tensor) -> Tensor:
        hidden = self.head(features)
        body = self.body(hidden)
        colour: Tensor = self.tail(body + hidden if self.config.use_residual else body)
        return colour
