"""The residual stream in turned coordinates: the same network, written down differently.

Between the head's activation and the body an orthogonal matrix may turn the stream without changing
a colour, if what reads the stream is multiplied by its inverse, and what adds to it by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from r2l_core.model.network import NetworkConfig

TURN_SIGNS = "turn_signs"
"""The tensor int8 (width,) from which `turn_matrix` makes the turn of a file in `int8`."""


def turn_matrix(signs: NDArray[np.int8]) -> NDArray[np.float32]:
    """Channels with these signs (-1 or 1) through the cosine transform, which spreads each of them
    over all: float32 (width, width), orthogonal."""
    n = len(signs)
    rows, columns = np.arange(n)[:, None], np.arange(n)[None, :]
    cosines = np.cos(np.pi / (2 * n) * rows * (2 * columns + 1)) * np.sqrt(2 / n)
    cosines[0] /= np.sqrt(2)
    turn: NDArray[np.float32] = (cosines * signs).astype(np.float32)
    return turn


def are_turn_signs(values: NDArray[np.int8], network: NetworkConfig) -> bool:
    """Whether values from a file turn this network's stream, and change no colour where they do."""
    fit = network.outact == "none" and values.shape == (network.width,)
    return fit and bool((np.abs(values) == 1).all())


def turned(
    network: NetworkConfig,
    tensors: Mapping[str, Any],
    turn: Any,
    layers: Collection[str] | None = None,
) -> dict[str, Any]:
    """`tensors` (float32, of torch or numpy, by state-dict name), with all layers, or these alone,
    as they are behind a turned stream.

    turn: float32 (width, width), orthogonal: turn @ x is the turned stream, and its transpose turns
    back. None leaves everything as it is. layers: names such as `body.0.body.0` or `tail.0`.
    """
    result = dict(tensors)
    if turn is None:
        return result
    for block in range(network.n_blocks):
        *_, last = names = network.block_layers(block)
        if layers is None or names[0] in layers:
            result[f"{names[0]}.weight"] = result[f"{names[0]}.weight"] @ turn.T
        if layers is None or last in layers:
            for kind in ("weight", "bias"):
                result[f"{last}.{kind}"] = turn @ result[f"{last}.{kind}"]
    if layers is None or "tail.0" in layers:
        result["tail.0.weight"] = result["tail.0.weight"] @ turn.T
    return result
