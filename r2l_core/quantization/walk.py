"""The network layer by layer, for whoever has to see what flows between its layers.

Fast engines fuse these steps. This walk is for calibration, simulation and analysis; what a layer
computes is up to its caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from r2l_core.checkpoint import LightField
from r2l_core.encoding import encode
from r2l_core.network import NetworkConfig
from r2l_core.rays import sample_depths, sample_points

Linear = Callable[[str, Tensor], Tensor]
"""A layer's name, such as `body.3.body.0`, and its inputs (N, in) to its product (N, out)."""


class LayerCall(NamedTuple):
    """One layer at work. `inputs` (N, in); `output` (N, out), after its activation.

    A block's first layer has the residual stream as inputs, and so has the tail.
    """

    name: str
    inputs: Tensor
    output: Tensor


def walk(network: NetworkConfig, linear: Linear, features: Tensor) -> Iterator[LayerCall]:
    """Every layer from head to tail, whose output is the colours: float32 (N, 3) in [0, 1].

    features: (N, input_size) in the order that `linear` wants. The residual stream has the type of
    the head's product.
    """
    hidden = activated("head.0", linear("head.0", features))
    yield LayerCall("head.0", features, hidden)
    yield from walk_on(network, linear, hidden, hidden)


def walk_on(
    network: NetworkConfig, linear: Linear, hidden: Tensor, stream: Tensor, first_block: int = 0
) -> Iterator[LayerCall]:
    """The layers from a block on. hidden: the head's output; stream: the block's inputs."""
    for k in range(first_block, network.n_blocks):
        first, second = f"body.{k}.body.0", f"body.{k}.body.2"
        inner = activated(first, linear(first, stream))
        yield LayerCall(first, stream, inner)
        change = linear(second, inner)
        yield LayerCall(second, inner, change)
        stream = stream + change * network.res_scale
    if network.use_residual:
        stream = stream + hidden
    yield LayerCall("tail.0", stream, activated("tail.0", linear("tail.0", stream)))


def colors_of(calls: Iterator[LayerCall]) -> Tensor:
    """Walk to the end: float32 (N, 3)."""
    for call in calls:
        last = call
    return last.output


def activated(name: str, product: Tensor) -> Tensor:
    """A layer's product after the activation that follows it; `product` may be overwritten."""
    if name == "tail.0":
        return product.float().sigmoid_()
    return product if name.endswith(".body.2") else product.relu_()


def exact_linear(light_field: LightField) -> Linear:
    """The layers as they are, in float32."""
    tensors = light_field.tensors
    return lambda name, x: functional.linear(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"])


def features_of(light_field: LightField, origins: Tensor, directions: Tensor) -> Tensor:
    """Encoded rays in the published order: float32 (N, 3) each -> (N, input_size)."""
    network = light_field.network
    depths = sample_depths(light_field.scene, network.n_sample)
    return encode(sample_points(origins, directions, depths), network.n_frequencies)
