"""Exported weights add up right where sums of two products saturate at 16 bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from r2l_core.export.onnx import onnx_model
from r2l_core.export.saturation import (
    PAIR_LIMIT,
    largest_pair_sum,
    pair_sums,
    without_saturation,
)
from r2l_core.model.quantized import body_layers
from r2l_core.quantization.calibration import CalibrationConfig, ImportedRange
from r2l_core.quantization.mix import quantized_layers, with_mix
from r2l_core.quantization.recipes import quantized
from r2l_core.types import Precision

STATIC = Precision.INT8_STATIC_SIM
SIXTEEN_BITS = np.iinfo(np.int16)


def saturating_product(levels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Signed levels (n, in) times integers (out, in), as processors without 8-bit dot products do:
    levels shifted to unsigned, neighbouring products added in 16 bits (`vpmaddubsw`), the rest
    in 32, and the shift taken out again."""
    odd = levels.shape[1] % 2
    shifted = np.pad(levels.astype(np.int32) + 128, ((0, 0), (0, odd)))
    wide = np.pad(weights.astype(np.int32), ((0, 0), (0, odd)))
    products = shifted[:, None, :] * wide[None]
    pairs = products[..., ::2] + products[..., 1::2]
    sums = np.clip(pairs, SIXTEEN_BITS.min, SIXTEEN_BITS.max).sum(2)
    return sums - 128 * wide.sum(1)


def exact_product(levels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return levels.astype(np.int32) @ weights.astype(np.int32).T


def static_layers(light_field):
    return quantized_layers(light_field, STATIC)


def test_the_largest_pair_of_every_row():
    values = torch.tensor([[127, -127, 0, 0], [1, 100, -100, 2], [0, -128, 0, 0]], dtype=torch.int8)
    assert pair_sums(values).tolist() == [[254], [102], [128]]
    assert pair_sums(values[:, :3]).tolist() == [[254], [101], [128]]


@pytest.mark.parametrize("network", [{}, {"width": 9, "depth": 7}, {"width": 64}], ids=str)
def test_no_levels_can_saturate(make_light_field, network):
    light_field = make_light_field(**network)
    random = np.random.default_rng(0)
    before, after = map(static_layers, (light_field, without_saturation(light_field)))
    saturated = 0
    for name in before:
        eight, reduced = (layers[name].weight.values.numpy() for layers in (before, after))
        levels = random.choice([-128, -127, 127], (64, eight.shape[1]))
        saturated += (saturating_product(levels, eight) != exact_product(levels, eight)).sum()
        np.testing.assert_array_equal(
            saturating_product(levels, reduced), exact_product(levels, reduced)
        )
    assert saturated, "the arithmetic would show it"


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(0, 3), st.floats(0.3, 4.0))
def test_rows_keep_to_the_limit_and_to_their_weights(make_light_field, seed, width, silent, tail):
    light_field = make_light_field(width=width, depth=4)
    generator = torch.Generator().manual_seed(seed)
    # From nearly equal magnitudes to a few large ones.
    weight = torch.randn(width, width, generator=generator)
    weight = weight.sign() * weight.abs() ** tail
    weight[:silent] = 0.0
    tensors = {**light_field.tensors, "body.0.body.0.weight": weight}
    light_field = quantized(
        replace(light_field, tensors=tensors), "int8-static", CalibrationConfig(n_rays=64)
    )
    before, after = map(static_layers, (light_field, without_saturation(light_field)))
    for name, layer in after.items():
        rows, was = layer.weight, before[name].weight
        assert (pair_sums(rows.values) <= PAIR_LIMIT).all()
        kept = (pair_sums(was.values) <= PAIR_LIMIT).flatten()
        assert torch.equal(rows.values[kept], was.values[kept])
        assert torch.equal(rows.scale[kept], was.scale[kept])
        # Seven bits at worst, and rounded once more.
        assert (rows.scale <= was.scale * 2.05).all()
        assert (rows.scale[~kept] > was.scale[~kept]).all()
        error = (rows.dequantized() - was.dequantized()).abs()
        assert (error <= rows.scale * 0.501).all()


def test_it_is_done_once(light_field):
    once = without_saturation(light_field)
    again = without_saturation(once)
    for name, layer in static_layers(once).items():
        assert torch.equal(static_layers(again)[name].weight.values, layer.weight.values)


def test_smoothed_weights_stay_smoothed(make_light_field):
    light_field = quantized(
        make_light_field(), "int8-static", CalibrationConfig(n_rays=64, smooth_alpha=0.5)
    )
    before, after = map(static_layers, (light_field, without_saturation(light_field)))
    for name, layer in after.items():
        assert layer.smooth is before[name].smooth
        assert layer.input_amax == before[name].input_amax
        error = (layer.weight.dequantized() - before[name].weight.dequantized()).abs()
        assert (error <= layer.weight.scale * 0.501).all()


def test_weights_that_an_imported_range_clips_stay_clipped(make_light_field):
    light_field = make_light_field()
    name = "body.0.body.0"
    tight = float(light_field.tensors[f"{name}.weight"].abs().median())
    imported = {name: ImportedRange(3.0, torch.tensor(tight))}
    light_field = quantized(light_field, "int8-static", imported=imported)
    before, after = (
        static_layers(f)[name].weight for f in (light_field, without_saturation(light_field))
    )
    assert pair_sums(before.values).max() == 254
    assert (after.dequantized().abs() <= tight * 1.01).all()
    assert ((after.dequantized() - before.dequantized()).abs() <= after.scale * 0.501).all()


def test_layers_in_float32_stay_so(make_light_field):
    light_field = make_light_field(depth=8)
    mixed = with_mix(light_field, body_layers(light_field.network)[1:4])
    assert static_layers(without_saturation(mixed)).keys() == static_layers(mixed).keys()


def test_a_file_tells_its_largest_pair(light_field):
    model = onnx_model(light_field, STATIC)
    assert 0 < largest_pair_sum(model) <= PAIR_LIMIT
    for tensor in model.graph.initializer:
        if tensor.name == "body.1.body.0.weight_levels":
            levels = onnx.numpy_helper.to_array(tensor).copy()
            # Stored (in, out): inputs 4 and 5 are neighbours.
            levels[4:6, 3] = 127, -100
            tensor.CopyFrom(onnx.numpy_helper.from_array(levels, tensor.name))
    assert largest_pair_sum(model) == 227
    assert largest_pair_sum(onnx_model(light_field, Precision.FP32)) == 0
