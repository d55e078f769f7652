"""A network that becomes deeper while it learns.

The published network is 88 layers deep; a shallow one learns faster per second. So training
starts shallow and doubles the depth by inserting residual blocks whose last layer is zero: the
network's function does not change at that moment.
"""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from r2l_core.model.module import R2LNetwork, ResidualBlock
from r2l_core.model.network import NetworkConfig


def grown(network: R2LNetwork, blocks: int) -> R2LNetwork:
    """The same function with more residual blocks, spread evenly; old parameters are reused.

    New blocks end in a zero layer, so they pass their input through until trained.
    """
    old = list(network.body)
    device = next(network.parameters()).device
    result = R2LNetwork(replace(network.config, depth=2 * blocks + 2)).to(device)
    result.head, result.tail = network.head, network.tail
    # Block k of the old network goes to the first slot of its share of the new one.
    places = {round(k * blocks / len(old)): block for k, block in enumerate(old)}
    body: list[nn.Module] = []
    for slot in range(blocks):
        fresh = result.body[slot]
        assert isinstance(fresh, ResidualBlock)
        _zero_last(fresh)
        body.append(places.get(slot, fresh))
    result.body = nn.Sequential(*body)
    return result


def start_network(final: NetworkConfig, blocks: int) -> R2LNetwork:
    """A fresh network of `blocks` blocks that pass their input through."""
    network = R2LNetwork(replace(final, depth=2 * blocks + 2))
    for block in network.body:
        assert isinstance(block, ResidualBlock)
        _zero_last(block)
    return network


def _zero_last(block: ResidualBlock) -> None:
    last = block.body[2]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
