"""The R2L residual MLP as a torch module, and its activations. `network` describes it."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from r2l_core.model.network import LEAKY_SLOPE, Activation, NetworkConfig


def activate_(x: Tensor, activation: Activation) -> Tensor:
    """`x` after its activation, in place."""
    if activation == "relu":
        return x.relu_()
    if activation == "lrelu":
        return functional.leaky_relu_(x, LEAKY_SLOPE)
    return x


def _module(activation: Activation) -> list[nn.Module]:
    """The activation as published, or nothing."""
    modules: dict[Activation, list[nn.Module]] = {
        "none": [],
        "relu": [nn.ReLU()],
        "lrelu": [nn.LeakyReLU(LEAKY_SLOPE)],
    }
    return modules[activation]


class ResidualBlock(nn.Module):
    """`outact(x + res_scale * Linear(inact(Linear(x))))` for the usual two layers."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width = config.width
        layers: list[nn.Module] = [nn.Linear(width, width)]
        for _ in range(config.n_learnable - 1):
            layers += [*_module(config.inact), nn.Linear(width, width)]
        self.body = nn.Sequential(*layers)
        self.outact = nn.Sequential(*_module(config.outact))
        self.res_scale = config.res_scale

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.outact(x + self.body(x) * self.res_scale)
        return result


class R2LNetwork(nn.Module):
    """Encoded rays to colours, float (N, input_size) -> (N, 3) in [0, 1].

    State-dict names are the released ones: `head.0.*`, `body.{k}.body.{0,2}.*`, `tail.0.*`.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.head = nn.Sequential(nn.Linear(config.input_size, config.width), *_module(config.act))
        self.body = nn.Sequential(*(ResidualBlock(config) for _ in range(config.n_blocks)))
        self.tail = nn.Sequential(nn.Linear(config.width, 3), nn.Sigmoid())

    def forward(self, features: Tensor) -> Tensor:
        hidden = self.head(features)
        body = self.body(hidden)
        colour: Tensor = self.tail(body + hidden if self.config.use_residual else body)
        return colour
