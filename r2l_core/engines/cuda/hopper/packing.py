"""Weights in the order and with the swizzle that the kernels read them in."""

from __future__ import annotations

import torch
from torch import Tensor

WIDTH = 256
_CHUNK = 128
"""Hidden channels at a time of half_blocks.cu, and half of the outputs of int8_blocks.cu."""
_ROW_BYTES = 128
"""A row of an operand in shared memory: 64 inputs in 16 bits, or 128 in 8."""


def pack_halves(weights: Tensor) -> Tensor:
    """Weights (2 * n_blocks, 256, 256), out by in, in 16 bits -> uint8, stage by stage.

    Of a residual block, for each chunk of 128 hidden channels: two stages of the first layer, 128
    outputs by 128 inputs each, and two of the second, 256 outputs by 64 inputs each.
    """
    columns = _ROW_BYTES // 2
    parts = []
    for first, second in zip(weights[::2], weights[1::2], strict=True):
        for start in range(0, WIDTH, _CHUNK):
            hidden = slice(start, start + _CHUNK)
            parts += [_swizzled(tile) for tile in first[hidden].split(columns, 1)]
            parts += [_swizzled(tile) for tile in second[:, hidden].split(columns, 1)]
    return torch.cat(parts)


def pack_integers(weights: Tensor) -> Tensor:
    """int8 weights (2 * n_blocks, 256, 256), out by in -> uint8, stage by stage.

    Of a layer, for each half of the outputs: two stages of 128 inputs each, in the order of
    `integer_columns`.
    """
    columns = integer_columns().to(weights.device)
    parts = []
    for weight in weights[:, :, columns]:
        for half in weight.split(_CHUNK):
            parts += [_swizzled(tile) for tile in half.split(_ROW_BYTES, 1)]
    return torch.cat(parts)


def pack_parameters(biases: Tensor, scales: Tensor) -> Tensor:
    """What 8-bit sums are scaled with and what is added: float32 (2 * n_blocks, 256) each to
    (2 * n_blocks, 128, 4), of two channels at a time both biases and both scales."""
    return torch.cat([one.view(-1, WIDTH // 2, 2) for one in (biases, scales)], 2)


def integer_columns() -> Tensor:
    """Which input stands at each place of an 8-bit weight: int64 (256,).

    A thread's sums are, of eight channels, 2 q and 2 q + 1; its operand's bytes are, of sixteen,
    4 q to 4 q + 3 (q: thread modulo 4). With inputs in this order the ones are the others.
    """
    place = torch.arange(WIDTH)
    sixteen, within = place // 16, place % 16
    q, byte = within // 4, within % 4
    return sixteen * 16 + byte // 2 * 8 + 2 * q + byte % 2


def _swizzled(tile: Tensor) -> Tensor:
    """Rows of 128 bytes, each with its pieces of 16 bytes in the order that depends on the row."""
    rows = tile.contiguous().view(torch.uint8).view(-1, _ROW_BYTES)
    row = torch.arange(len(rows), device=rows.device)[:, None]
    column = torch.arange(_ROW_BYTES, device=rows.device)[None, :]
    return rows.gather(1, column ^ ((row & 7) << 4)).view(-1)
