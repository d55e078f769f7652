"""A light field's weights as the fused kernel reads them: padded, permuted and in panels.

A panel holds `level.panel` outputs of all inputs, or `level.dot_panel` in 16 and 8 bits:
[inputs][panel] in float32, [inputs / 2][panel][2] in bfloat16, [inputs / 4][panel][4] in bytes.
docs/cpu.md draws them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from r2l_core.engines.fused import library
from r2l_core.engines.fused.integer_packing import balanced_order, packed_bytes, panels
from r2l_core.engines.fused.library import Array, Level
from r2l_core.model.network import NetworkConfig
from r2l_core.types import Precision

MAX_WIDTH = 512


class Kind(IntEnum):
    """How a layer multiplies: see `Kind` in source/products.h."""

    FLOAT = 0
    FLOAT_BF16 = 1
    FLOAT_FP16 = 2
    BF16 = 3
    BYTES = 4
    SPLIT = 5


_WIDTH_MULTIPLE = 64
_COORDINATE_MULTIPLE = 16
_INPUT_MULTIPLE = 32


def why_not(network: NetworkConfig) -> str:
    """Why the kernel cannot run a network, as a clause; empty where it can."""
    if network.width > MAX_WIDTH:
        return f"it is {network.width} wide, and the kernel's tiles hold up to {MAX_WIDTH} channels"
    if not network.standard_blocks or network.act != "relu":
        return "its blocks are not as published (two layers, a ReLU after the first and the head)"
    return ""


@dataclass(frozen=True, eq=False)
class IntegerLayer:
    """A body layer in eight bits. values: int8 (out, in). scale: float32 (out,)."""

    values: Array
    scale: Array


@dataclass(frozen=True, eq=False)
class Weights:
    """A network's numbers, of which the kernel needs no more.

    tensors: float32, by state-dict name. depths: float32 (n_sample,), where rays are sampled; of no
    meaning for Plücker coordinates. integers: the layers in eight bits, by name. biases: of the
    body's layers, float32 (out,), where they are others than in `tensors`. turn: float32 (width,
    width), by which the head's output is multiplied, or None.
    """

    network: NetworkConfig
    tensors: Mapping[str, Array]
    depths: Array
    integers: Mapping[str, IntegerLayer] = field(default_factory=dict)
    biases: Mapping[str, Array] = field(default_factory=dict)
    turn: Array | None = None


class PackedNetwork:
    """Weights in the kernel's order, and the structure that points to them.

    What `precision` asks for is emulated in float32 where the level has no such arithmetic.
    """

    def __init__(self, weights: Weights, precision: Precision, level: Level) -> None:
        network = weights.network
        self._level = level
        self._kept: list[Array] = []
        self.width = -(-network.width // _WIDTH_MULTIPLE) * _WIDTH_MULTIPLE
        self._tensors = weights.tensors
        self._biases = weights.biases
        self._integers = weights.integers
        kind = _float_kind(precision, level)
        head_kind = Kind.SPLIT if weights.integers and level.amx else kind
        layers = (library.Layer * max(2 * network.n_blocks, 1))()
        for k in range(network.n_blocks):
            layers[2 * k], layers[2 * k + 1] = self._block(network, k, kind)
        self._layers = layers
        points = 0 if network.plucker else network.n_sample
        depths = weights.depths if points else np.zeros(1, "f4")
        self.structure = library.Network(
            width=self.width,
            n_blocks=network.n_blocks,
            n_sample=points,
            n_coordinates=_coordinates(network),
            n_frequencies=network.n_frequencies,
            use_residual=network.use_residual,
            depths=self._keep(depths),
            head=self._head(network, head_kind),
            turn=self._turn(weights.turn, head_kind),
            tail_weight=self._keep(self._padded(self._tensors["tail.0.weight"], rows=3)),
            tail_bias=self._keep(self._tensors["tail.0.bias"]),
            layers=ctypes.addressof(layers),
        )

    def _keep(self, array: Array) -> int:
        """The address of an aligned copy that lives as long as this."""
        memory = np.zeros(array.nbytes + 64, np.uint8)
        start = -memory.ctypes.data % 64
        copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
        copy[...] = array
        self._kept.append(copy)
        return int(copy.ctypes.data)

    def _padded(self, array: Array, rows: int | None = None) -> Array:
        """(out, in) or (out,) filled up with zeros to the kernel's width."""
        rows = self.width if rows is None else rows
        shape = (rows, self.width)[: array.ndim]
        result = np.zeros(shape, array.dtype)
        result[tuple(slice(n) for n in array.shape)] = array
        return result

    def _head(self, network: NetworkConfig, kind: Kind) -> library.Layer:
        """Columns from the published order to the kernel's: see `encode` in source/network.c."""
        slots, points = 2 * network.n_frequencies + 1, network.n_coordinates
        weight = self._tensors["head.0.weight"].reshape(network.width, points, slots)
        ordered = np.zeros((self.width, slots, _coordinates(network)), np.float32)
        ordered[: network.width, :, :points] = weight.transpose(0, 2, 1)
        columns = np.zeros((self.width, _inputs(network)), np.float32)
        columns[:, : ordered[0].size] = ordered.reshape(self.width, -1)
        return self._float_layer(kind, columns, self._padded(self._tensors["head.0.bias"]))

    def _turn(self, turn: Array | None, kind: Kind) -> library.Layer:
        """Without weights where there is none."""
        if turn is None:
            return library.Layer()
        return self._float_layer(kind, self._padded(turn), np.zeros(self.width, np.float32))

    def _block(
        self, network: NetworkConfig, block: int, kind: Kind
    ) -> tuple[library.Layer, library.Layer]:
        first, last = network.block_layers(block)
        order = np.arange(self.width)
        if last in self._integers and not self._level.dot4:
            order = balanced_order(self._padded(self._integers[last].values))
        return (
            self._layer(first, kind, order),
            self._layer(last, kind, order, second=True, scale=network.res_scale),
        )

    def _layer(
        self,
        name: str,
        kind: Kind,
        order: NDArray[np.intp],
        second: bool = False,
        scale: float = 1.0,
    ) -> library.Layer:
        """One of a block's two layers, its hidden channels in this order."""

        def ordered(array: Array) -> Array:
            # Hidden channels are the first layer's outputs and the second's inputs.
            if second:
                return array[:, order] if array.ndim == 2 else array
            return array[order]

        own_bias = (self._tensors[f"{name}.bias"].astype(np.float64) * scale).astype(np.float32)
        bias = ordered(self._padded(self._biases.get(name, own_bias)))
        if name not in self._integers:
            weight = self._padded(self._tensors[f"{name}.weight"] * scale)
            return self._float_layer(kind, ordered(weight), bias)
        integers = self._integers[name]
        values = ordered(self._padded(integers.values))
        packed, start, modes = packed_bytes(values, self._level, second)
        return library.Layer(
            kind=Kind.BYTES,
            inputs=values.shape[1],
            weights=self._keep(packed),
            bias=self._keep(bias),
            scale=self._keep(ordered(self._padded(integers.scale * scale))),
            start=self._keep(start),
            modes=self._keep(modes),
        )

    def _float_layer(self, kind: Kind, weight: Array, bias: Array) -> library.Layer:
        matrix: Array = np.ascontiguousarray(weight, np.float32)
        if kind in (Kind.BF16, Kind.SPLIT):
            high = _bfloat16(matrix)
            parts = [high] if kind == Kind.BF16 else [high, _bfloat16(matrix - _float32(high))]
            packed: Array = np.stack(
                [panels(part, self._level.dot_panel, 2) for part in parts], axis=1
            )
        else:
            if kind == Kind.FLOAT_BF16:
                matrix = _float32(_bfloat16(matrix))
            elif kind == Kind.FLOAT_FP16:
                matrix = matrix.astype(np.float16).astype(np.float32)
            packed = panels(matrix, self._level.panel, 1)
        return library.Layer(
            kind=kind,
            inputs=matrix.shape[1],
            weights=self._keep(packed),
            bias=self._keep(bias),
        )


def _bfloat16(matrix: Array) -> Array:
    """Finite float32 rounded to the nearest bfloat16, ties to even: its bits, uint16."""
    bits = matrix.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def _float32(bfloat16: Array) -> Array:
    """What these bits stand for."""
    return (bfloat16.astype(np.uint32) << 16).view(np.float32)


def _float_kind(precision: Precision, level: Level) -> Kind:
    if precision is Precision.BF16:
        return Kind.BF16 if level.bf16 else Kind.FLOAT_BF16
    return Kind.FLOAT_FP16 if precision is Precision.FP16 else Kind.FLOAT


def _coordinates(network: NetworkConfig) -> int:
    return -(-network.n_coordinates // _COORDINATE_MULTIPLE) * _COORDINATE_MULTIPLE


def _inputs(network: NetworkConfig) -> int:
    features = _coordinates(network) * (2 * network.n_frequencies + 1)
    return -(-features // _INPUT_MULTIPLE) * _INPUT_MULTIPLE
