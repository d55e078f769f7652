"""The network layer by layer, for whoever has to see what flows between its layers.

Fast engines fuse these steps. This walk is for calibration, simulation and analysis; what a layer
computes is up to its caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from r2l_core.model.encoding import RayCoordinates, encode
from r2l_core.model.light_field import LightField
from r2l_core.model.module import activate_
from r2l_core.model.network import NetworkConfig
from r2l_core.model.turning import turned

Linear = Callable[[str, Tensor], Tensor]
"""A layer's name, such as `body.3.body.0`, and its inputs (N, in) to its product (N, out)."""


TURN = "turn"


class Layers(NamedTuple):
    """A network's layers as somebody computes them. turn: (width, width), by which the head's
    output is turned on its way into the stream (`model.turning`), or None; where there is one,
    `linear` computes it as the layer TURN."""

    linear: Linear
    turn: Tensor | None = None


class LayerCall(NamedTuple):
    """One layer at work. `inputs` (N, in); `output` (N, out), after its activation.

    `stream`: the residual stream (N, width), maybe turned, that leaves the head or a block's last
    layer, with which the next block begins; None within a block and at the tail.
    """

    name: str
    inputs: Tensor
    output: Tensor
    stream: Tensor | None = None


def walk(network: NetworkConfig, layers: Layers, features: Tensor) -> Iterator[LayerCall]:
    """Every layer from head to tail, whose output is the colours: float32 (N, 3) in [0, 1].

    features: (N, input_size) in the order that the head wants. The residual stream has the type of
    the head's product.
    """
    linear, turn = layers
    hidden = activated(network, "head.0", linear("head.0", features))
    stream = hidden if turn is None else linear(TURN, hidden)
    yield LayerCall("head.0", features, hidden, stream)
    yield from walk_on(network, linear, stream, stream)


def walk_on(
    network: NetworkConfig, linear: Linear, hidden: Tensor, stream: Tensor, first_block: int = 0
) -> Iterator[LayerCall]:
    """The layers from a block on. hidden: the stream out of the head; stream: the block's
    inputs."""
    for k in range(first_block, network.n_blocks):
        *inner, last = network.block_layers(k)
        x = stream
        for name in inner:
            inputs, x = x, activated(network, name, linear(name, x))
            yield LayerCall(name, inputs, x)
        change = linear(last, x)
        stream = activate_(stream + change * network.res_scale, network.outact)
        yield LayerCall(last, x, change, stream)
    if network.use_residual:
        stream = stream + hidden
    yield LayerCall("tail.0", stream, activated(network, "tail.0", linear("tail.0", stream)))


def colors_of(calls: Iterator[LayerCall]) -> Tensor:
    """Walk to the end: float32 (N, 3)."""
    for call in calls:
        last = call
    return last.output


def activated(network: NetworkConfig, name: str, product: Tensor) -> Tensor:
    """A layer's product after the activation that follows it; `product` may be overwritten. A
    block's last layer has none: `outact` comes after the sum."""
    if name == "tail.0":
        return product.float().sigmoid_()
    if name == "head.0":
        return activate_(product, network.act)
    if name == network.block_layers(block_of(name))[-1]:
        return product
    return activate_(product, network.inact)


def block_of(name: str) -> int:
    """The block of a body layer."""
    return int(name.split(".")[1])


def exact_layers(light_field: LightField, turn: Tensor | None = None) -> Layers:
    """The layers in float32: as they are, or behind a turned stream, which changes no colour."""
    tensors = turned(light_field.network, light_field.tensors, turn)
    if turn is not None:
        tensors[f"{TURN}.weight"] = turn
    return Layers(
        lambda name, x: functional.linear(
            x, tensors[f"{name}.weight"], tensors.get(f"{name}.bias")
        ),
        turn,
    )


def features_of(light_field: LightField, origins: Tensor, directions: Tensor) -> Tensor:
    """Encoded rays in the published order: float32 (N, 3) each -> (N, input_size)."""
    network = light_field.network
    coordinates = RayCoordinates(network, light_field.scene)
    return encode(coordinates(origins, directions), network.n_frequencies)
