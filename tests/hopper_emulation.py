"""The Hopper kernels' arithmetic of addresses, in torch: what every thread reads, holds and stores.

Follows half_blocks.cu and int8_blocks.cu expression by expression, for all warpgroups at once.
Threads
go in step here, so nothing of their order, barriers and copies is emulated.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

LANE, WARP = torch.arange(32), torch.arange(4)
ROW = WARP[:, None] * 16 + (LANE >> 2)
COLUMN = 2 * (LANE & 3)
ROUNDING = 1.5 * 2.0**23
LEVEL_ORDER = torch.tensor([0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15])
"""In which a thread packs its values of sixteen channels into four registers."""


@functools.cache
def places(n: int) -> tuple[Tensor, Tensor]:
    """Row and column of a thread's accumulators of 64 x n sums: (4, 32, n / 2) each."""
    at = torch.arange(n // 2)
    rows = ROW[..., None] + 8 * (at % 4 >> 1)
    columns = (8 * (at // 4) + (at & 1)) + COLUMN[None, :, None] + torch.zeros_like(rows)
    return rows, columns


def to_threads(matrix: Tensor) -> Tensor:
    """(groups, 64, n) -> (groups, 4, 32, n / 2)"""
    return matrix[:, *places(matrix.shape[-1])]


def from_threads(values: Tensor) -> Tensor:
    matrix = values.new_zeros(len(values), 64, 2 * values.shape[-1])
    matrix[:, *places(matrix.shape[-1])] = values
    return matrix


def operand(memory: Tensor, start: int, n_rows: int) -> Tensor:
    """What a product reads from `start` on: 32 bytes of each row, uint8 (..., n_rows, 32)."""
    return memory[..., _read_addresses(start, n_rows)]


@functools.cache
def _read_addresses(start: int, n_rows: int) -> Tensor:
    address = start + torch.arange(n_rows)[:, None] * 128 + torch.arange(32)
    return address ^ ((address >> 7 & 7) << 4)


def fragment(registers: Tensor) -> Tensor:
    """Four registers a thread, (groups, 4, 32, 4, values in one), to the operand: 64 rows of
    (values * 4) columns twice, as the tensor core takes them."""
    n = registers.shape[-1]
    matrix = registers.new_zeros(len(registers), 64, 8 * n)
    matrix[:, *_fragment_places(n)] = registers
    return matrix


@functools.cache
def _fragment_places(n: int) -> tuple[Tensor, Tensor]:
    """Row and column of each value: (4, 32, 4, n) each."""
    register, value = torch.arange(4)[:, None], torch.arange(n)
    rows = ROW[..., None, None] + 8 * (register & 1) + 0 * value
    columns = (LANE & 3)[:, None, None] * n + value + 4 * n * (register >> 1)
    return rows, columns.expand_as(rows)


@functools.cache
def _stored_addresses() -> Tensor:
    """Where each byte of a thread's 128 inputs is stored: (4, 32, 256)."""
    stored_row = WARP[:, None] * 16 + (LANE & 15)
    addresses = torch.empty(4, 32, 16, 4, 4, dtype=torch.int64)
    for k in range(16):
        place = ((k & 3) * 2 + (LANE >> 4)) ^ (stored_row & 7)
        address = stored_row * 128 + (k >> 2) * 8192 + (place << 4)
        for register in range(4):
            # Of eight rows of a small matrix, the thread's, and in it its four bytes.
            row = address[:, 8 * register + (LANE >> 2)] + 4 * (LANE & 3)
            addresses[:, :, k, register] = row[..., None] + torch.arange(4)
    return addresses.flatten(2)


class HalfKernel:
    """half_blocks.cu; see blocks.Launch."""

    n_processors = 5

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def __call__(self, n_programs, x, weights, parameters, n_blocks, n_tiles) -> None:
        assert n_programs % 2 == 0 < n_programs
        assert n_tiles % 2 == 0
        assert x.shape == (n_tiles * 128, 256)
        values = to_threads(x.view(-1, 64, 256))
        stages, biases = iter(weights.view(-1, 32768)), parameters.view(-1, 512)
        for block in range(n_blocks):
            values = self._block(values, [next(stages) for _ in range(8)], biases[block])
        x.copy_(from_threads(values).view_as(x))

    def _block(self, x: Tensor, stages: list[Tensor], bias: Tensor) -> Tensor:
        memory = self._stored(x)
        _, columns = places(256)
        x = x + bias[256 + columns]
        for chunk in range(2):
            _, columns = places(128)
            sums = from_threads(bias[chunk * 128 + columns].expand(len(x), -1, -1, -1))
            for s in range(2):
                stage = stages.pop(0)
                for k in range(8):
                    part, within = 2 * s + (k >> 2), (k & 3) * 32
                    a = operand(memory, part * 8192 + within, 64).view(self.dtype)
                    b = operand(stage, (k >> 2) * 128 * 128 + within, 128).view(self.dtype)
                    sums = sums + a.float() @ b.float().T
            hidden = to_threads(sums).relu().to(self.dtype)
            for s in range(2):
                stage = stages.pop(0)
                for k in range(4):
                    registers = hidden[..., 8 * (4 * s + k) :][..., :8]
                    a = fragment(registers.unflatten(-1, (4, 2)))
                    b = operand(stage, k * 32, 256).view(self.dtype)
                    x = x + to_threads(a.float() @ b.float().T)
        return x

    def _stored(self, x: Tensor) -> Tensor:
        """The inputs in shared memory: uint8 (groups, 32768)."""
        memory = torch.full((len(x), 32768), 255, dtype=torch.uint8)
        memory[:, _stored_addresses()] = x.to(self.dtype).contiguous().view(torch.uint8)
        return memory


class IntegerKernel:
    """int8_blocks.cu; see blocks.Launch."""

    n_processors = 5

    def __call__(self, n_programs, x, weights, parameters, n_blocks, n_tiles) -> None:
        residual = to_threads(x.view(-1, 64, 256))
        values, stages = residual, iter(weights.view(-1, 16384))
        parameters = parameters.view(-1, 2, 128, 2, 2).transpose(2, 3).flatten(3)
        for block in range(n_blocks):
            for layer in range(2):
                # Of the residual by size; of hidden values, negative ones become zero.
                sized = values.abs() if layer == 0 else values.clamp_min(0.0)
                levels, scale = self._quantised(values, sized, relu=layer == 1)
                sums = self.sums(levels, [next(stages) for _ in range(4)])
                _, columns = places(256)
                bias, weight = parameters[block, layer]
                values = to_threads(sums).float() * (scale * weight[columns]) + bias[columns]
            values = residual = residual + values
        x.copy_(from_threads(residual).view_as(x))

    def _quantised(self, values: Tensor, sized: Tensor, relu: bool) -> tuple[Tensor, Tensor]:
        upper_or_lower = torch.arange(values.shape[-1]) % 4 >> 1
        top = torch.stack([sized[..., upper_or_lower == one].amax(-1) for one in (0, 1)], -1)
        # The four threads of a row.
        top = top.unflatten(2, (8, 4)).amax(3, keepdim=True).expand(-1, -1, -1, 4, -1).flatten(2, 3)
        top = top[..., upper_or_lower]
        empty = top <= 2.0**-24
        inverse = torch.where(empty, 0.0, (1.0 if relu else 127.0) / torch.where(empty, 1.0, top))
        shares = values * inverse
        rounded = (shares.clamp(0.0, 1.0) * 127.0 if relu else shares) + ROUNDING
        return (rounded - ROUNDING).to(torch.int8), torch.where(empty, 0.0, top / 127.0)

    @staticmethod
    def sums(levels: Tensor, stages: list[Tensor]) -> Tensor:
        """Levels in the order of a thread's values, times a layer: int32 (groups, 64, 256)."""
        halves = []
        for _ in range(2):
            sums = torch.zeros(len(levels), 64, 128, dtype=torch.int32)
            for s in range(2):
                stage = stages.pop(0)
                for k in range(4):
                    sixteen = levels[..., 16 * (4 * s + k) :][..., :16][..., LEVEL_ORDER]
                    a = fragment(sixteen.unflatten(-1, (4, 4)))
                    b = operand(stage, k * 32, 128).view(torch.int8)
                    sums += (a.float() @ b.float().T).to(torch.int32)
            halves.append(sums)
        return torch.cat(halves, -1)
