"""The fused engine's integers are numpy's, all of them, in every way it has of multiplying."""

from __future__ import annotations

import ctypes
from dataclasses import replace

import numpy as np
import pytest
import torch

from r2l_core.engines.fused import library
from r2l_core.engines.fused.engine import weights_of
from r2l_core.engines.fused.integer_packing import balanced_order, longest_window
from r2l_core.engines.fused.library import Level
from r2l_core.engines.fused.packing import PackedNetwork
from r2l_core.engines.processor import this_processor
from r2l_core.model.arithmetic import QuantizedRows, quantize_rows
from r2l_core.model.quantized import Quantization, QuantizedLinear
from r2l_core.quantization.folding import folded
from r2l_core.types import Precision

pytestmark = pytest.mark.slow

LEVELS = [
    library.level_of(library.load(library.library_path()), name)
    for name in library.levels_for(this_processor())
]
each_level = pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name)

RAYS = 96
SHIFT = 2.0**23
"""Keeps every sum above zero, where a ReLU leaves it alone, and within what float32 holds."""


class Body:
    """One block with given integers, whose layers can be run alone."""

    def __init__(self, make_light_field, level: Level, first, second, bias: float = 0.0) -> None:
        width = len(first)
        light_field = make_light_field(width=width, depth=4)
        ones = torch.ones(width, 1)
        layers = {
            f"body.0.body.{2 * i}": QuantizedLinear(
                QuantizedRows(torch.from_numpy(values), ones),
                bias=torch.full((width,), 0.0 if i else bias),
            )
            for i, values in enumerate((first, second))
        }
        self._level = level
        # As a file brings them, whose stream is not turned.
        given = replace(light_field, quantization=Quantization("int8", layers))
        weights = weights_of(given, folded(given, Precision.INT8))
        self._packed = PackedNetwork(weights, Precision.INT8, level)
        self._address = ctypes.addressof(self._packed.structure)
        n_bytes = level.scratch_bytes(self._address, level.tile)
        self._memory = np.zeros(n_bytes + 64, np.uint8)
        self.order = np.arange(width) if level.dot4 else balanced_order(second)

    def run(self, index: int, inputs: np.ndarray) -> np.ndarray:
        """float32 (RAYS, width) to (RAYS, width)."""
        inputs = np.ascontiguousarray(inputs, np.float32)
        result = np.zeros_like(inputs)
        start = self._memory.ctypes.data
        self._level.one_layer(
            self._address,
            index,
            RAYS,
            self._level.tile,
            inputs.ctypes.data,
            result.ctypes.data,
            start + -start % 64,
        )
        return result


def weights(random: np.random.Generator, width: int, spread: float) -> np.ndarray:
    """int8 (width, width); a narrow spread lets long windows fit, a wide one none."""
    values = np.clip(np.rint(random.normal(0, spread, (width, width))), -127, 127)
    return values.astype(np.int8)


def levels(random: np.random.Generator, width: int, matrix: np.ndarray, case: int) -> np.ndarray:
    """Integers (RAYS, width) whose rows reach 127: any, extreme, or chosen against the weights."""
    if case == 0:
        rows = random.integers(-127, 128, (RAYS, width))
    elif case == 1:
        rows = random.choice([-127, 127], (RAYS, width))
    else:
        rows = 127 * np.sign(matrix[random.integers(0, width, RAYS)].astype(np.int64))
    rows[:, 0] = 127
    return rows


@each_level
@pytest.mark.parametrize("width", [64, 256, 512])
def test_sums_of_products_are_those_of_numpy(level, make_light_field, width):
    """Of a million and more, none differs."""
    random = np.random.default_rng(width)
    count = 0
    for spread in (8, 20, 45, 300):
        first, second = (weights(random, width, spread) for _ in range(2))
        body = Body(make_light_field, level, first, second, SHIFT)
        for case in (0, 1, 2):
            rows = levels(random, width, first, case)
            expected = (rows @ first.astype(np.int64).T + int(SHIFT))[:, body.order]
            assert np.array_equal(body.run(0, rows).astype(np.int64), expected)
            hidden = np.maximum(levels(random, width, second, case), 0)
            expected = hidden @ second.astype(np.int64).T
            assert np.array_equal(body.run(1, hidden[:, body.order]).astype(np.int64), expected)
            count += 2 * expected.size
    assert count >= RAYS * width * 24


@each_level
def test_levels_are_those_of_a_division(level, make_light_field):
    """`quantize_rows` divides; the kernel multiplies and corrects. Of 1.2 million none differs."""
    width = 256
    identity = np.eye(width, dtype=np.int8)
    body = Body(make_light_field, level, identity, identity)
    random = np.random.default_rng(7)
    for exponent in range(25):
        rows = (random.normal(size=(RAYS, width)) * 10.0 ** (exponent % 13 - 6)).astype(np.float32)
        if exponent >= 13:  # next to the middle of two levels
            scale = np.abs(rows).max(1, keepdims=True) / np.float32(127)
            middle = (np.rint(rows / scale) + np.float32(0.5)) * scale
            rows[:, 1:] = np.nextafter(middle, np.float32(np.inf) * (-1) ** exponent)[:, 1:]
            rows[:, 0] = np.abs(rows).max(1)
        for signed in (rows, -rows):
            expected = quantize_rows(torch.from_numpy(signed))
            scale = expected.scale.numpy()
            result = body.run(0, signed) / np.where(scale == 0, 1, scale)
            wanted = np.maximum(expected.values.numpy(), 0)[:, body.order]
            assert np.array_equal(np.rint(result), wanted)


def test_a_row_of_zeros_has_no_levels(make_light_field):
    identity = np.eye(64, dtype=np.int8)
    for level in LEVELS:
        body = Body(make_light_field, level, identity, identity)
        assert not body.run(0, np.full((RAYS, 64), 2.0**-25)).any()


def test_the_proof_of_windows():
    """The longest window whose 16-bit sums hold for the worst levels, and not one step more."""
    assert longest_window(np.full((16, 64), 127, np.int8)) == 1
    assert longest_window(np.full((16, 64), 64, np.int8)) == 2
    assert longest_window(np.full((16, 64), -32, np.int8)) == 4
    assert longest_window(np.full((16, 64), 16, np.int8)) == 8
    values = np.full((16, 64), 16, np.int8)
    values[3, 0] = 19  # 127 * (15 * 16 + 19) = 32,893
    assert longest_window(values) == 4
    values[3, 0] = 18
    assert longest_window(values) == 8


def test_the_balanced_order_is_an_order_and_lengthens_windows():
    random = np.random.default_rng(3)
    values = weights(random, 256, 20)
    order = balanced_order(values)
    assert sorted(order) == list(range(256))

    def windows(matrix: np.ndarray) -> list[int]:
        return [longest_window(part) for part in matrix.reshape(16, 16, 256)]

    assert np.mean(windows(values[:, order])) > np.mean(windows(values))
