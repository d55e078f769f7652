"""What the int8 recipe does about its losses: roundings that cancel, and a centred stream."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from r2l_core.model.arithmetic import quantize_rows
from r2l_core.model.light_field import LightField
from r2l_core.model.quantized import QuantizedLinear, body_layers
from r2l_core.model.turning import turned
from r2l_core.quantization.dynamic import quantize_dynamic, rounded_rows, turn_of
from r2l_core.quantization.folding import folded
from r2l_core.quantization.mix import with_mix
from r2l_core.quantization.simulation import simulated_layer
from r2l_core.quantization.walk import Layers, colors_of, exact_layers, features_of, walk
from r2l_core.types import Precision


@pytest.fixture
def quantised(make_light_field):
    light_field = make_light_field(width=24, depth=8)
    return light_field, quantize_dynamic(light_field, body_layers(light_field.network), 256)


def behind_turn(light_field: LightField) -> dict[str, torch.Tensor]:
    """The light field's tensors as `int8` rounds them."""
    return turned(light_field.network, light_field.tensors, turn_of(light_field.network))


def inputs_of(n: int, width: int) -> torch.Tensor:
    """float64 inputs that are far from independent of one another."""
    random = torch.Generator().manual_seed(3)
    few = torch.randn(n, 4, generator=random, dtype=torch.float64)
    mixed = few @ torch.randn(4, width, generator=random, dtype=torch.float64)
    return mixed + 0.1 * torch.randn(n, width, generator=random, dtype=torch.float64)


def test_the_second_column_makes_up_for_the_first():
    """Both inputs are the same, so only the sum of a row's weights matters: 0.4 + 0.4 levels are 1,
    and not 0 + 0."""
    weight = torch.tensor([[0.4, 0.4, 127.0]])
    gram = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    rows = rounded_rows(weight, gram)
    assert sorted(rows.values[0, :2].tolist()) == [0, 1]
    assert rows.values[0, 2] == 127
    assert quantize_rows(weight).values.tolist() == [[0, 0, 127]]


@pytest.mark.parametrize("width", [12, 32, 100])
def test_products_of_typical_inputs_change_less(width):
    """By more than 3 dB; scales stay, and no level is beyond 127."""
    x = inputs_of(400, width)
    weight = torch.randn(7, width, generator=torch.Generator().manual_seed(0))
    nearest, rows = quantize_rows(weight), rounded_rows(weight, x.T @ x / len(x))
    lost = [
        (x @ (weight - each.dequantized()).double().T).square().mean() for each in (nearest, rows)
    ]
    assert lost[1] < 0.5 * lost[0]
    assert torch.equal(rows.scale, nearest.scale)
    assert rows.values.dtype == torch.int8
    assert rows.values.abs().max() <= 127


def test_independent_inputs_are_rounded_to_the_nearest():
    weight = torch.randn(7, 40, generator=torch.Generator().manual_seed(0))
    for gram in (torch.eye(40).double(), torch.zeros(40, 40).double()):
        assert torch.equal(rounded_rows(weight, gram).values, quantize_rows(weight).values)


def test_rows_of_zeros_stay_zero():
    weight = torch.zeros(2, 8)
    weight[0] = torch.linspace(-1, 1, 8)
    x = inputs_of(50, 8)
    rows = rounded_rows(weight, x.T @ x)
    assert not rows.values[1].any()
    assert rows.scale[1] == 0


def test_the_same_integers_every_time(quantised):
    light_field, layers = quantised
    again = quantize_dynamic(light_field, body_layers(light_field.network), 256)
    for name, layer in layers.items():
        assert torch.equal(again[name].weight.values, layer.weight.values)
        assert torch.equal(again[name].bias, layer.bias)


def test_streams_that_enter_a_later_block_are_centred(quantised, make_light_field):
    _, layers = quantised
    centred = {name for name, layer in layers.items() if layer.center is not None}
    assert centred == {"body.1.body.0", "body.2.body.0"}
    behind = make_light_field(width=24, depth=8, outact="relu")
    behind_layers = quantize_dynamic(behind, body_layers(behind.network), 256)
    assert all(layer.center is None for layer in behind_layers.values())


def test_rays_with_a_long_stream_weigh_little():
    """Two rays, one ten times as long: it counts a hundredth, in mean and in roundings."""
    from r2l_core.quantization.dynamic import _counts

    assert _counts(torch.tensor([[1.0, -2.0], [20.0, 3.0], [0.0, 0.0]]))[:, 0].tolist() == (
        pytest.approx([1 / 4, 1 / 400, 0.0])
    )


def test_the_bias_takes_back_what_rounding_changes_at_the_mean(quantised, scene_rays):
    """Of the very inputs the layer was rounded for, the mean product stays as it was."""
    light_field, _ = quantised
    layers = quantize_dynamic(light_field, ["body.1.body.0"], 256)
    layer = layers["body.1.body.0"]
    weight, bias = (behind_turn(light_field)[f"body.1.body.0.{x}"] for x in ("weight", "bias"))
    exact = functional.linear(layer.center, weight, bias)
    rounded = functional.linear(layer.center, layer.effective_weight(), layer.bias)
    torch.testing.assert_close(rounded, exact, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(layer.bias, bias, atol=1e-6)


@pytest.mark.parametrize(
    "network",
    [{}, {"res_scale": 0.5}, {"use_residual": False}, {"n_learnable": 1}, {"n_learnable": 3}],
    ids=str,
)
@pytest.mark.parametrize("kept", [(), ("body.1.body.0",)], ids=["all", "mix"])
def test_folded_biases_change_no_colour(make_light_field, scene_rays, network, kept):
    """A network whose stream is shifted by its biases alone, without rounding of activations,
    against layers that subtract their centre themselves."""
    light_field = make_light_field(width=24, depth=11, **network)
    names = body_layers(light_field.network)
    mixed = with_mix(light_field, kept)
    numbers = folded(mixed, Precision.INT8)
    quantized, biases = numbers.integers, numbers.biases
    assert set(names) - set(quantized) == set(kept)
    exact = exact_layers(light_field, numbers.turn).linear
    tensors = behind_turn(light_field)
    last = {light_field.network.block_layers(k)[-1] for k in range(light_field.network.n_blocks)}

    def unrounded(name, x):
        layer = quantized.get(name)
        if layer is None:
            return exact(name, x)
        values = layer.weight.values.float()
        bias = tensors[f"{name}.bias"]
        return simulated_layer(layer, bias, lambda x: x @ values.T, rounding=False)(x)

    def shifted(name, x):
        if name not in biases:
            return exact(name, x)
        layer = quantized.get(name)
        weight = tensors[f"{name}.weight"] if layer is None else layer.effective_weight()
        scale = light_field.network.res_scale if name in last else 1.0
        # `walk` multiplies by res_scale itself.
        return (x @ weight.T * scale + biases[name]) / scale

    features = features_of(light_field, *scene_rays(100))
    colors = [
        colors_of(walk(light_field.network, Layers(linear, numbers.turn), features))
        for linear in (unrounded, shifted)
    ]
    torch.testing.assert_close(*colors, rtol=0, atol=2e-6)
    assert any(layer.center is not None for layer in quantized.values())


def test_without_centres_biases_are_the_light_fields_own(make_light_field):
    light_field = make_light_field(res_scale=0.5)
    biases = folded(light_field, Precision.FP32).biases
    assert torch.equal(biases["body.0.body.0"], light_field.tensors["body.0.body.0.bias"])
    assert torch.equal(biases["body.0.body.2"], 0.5 * light_field.tensors["body.0.body.2.bias"])


def test_int8_loses_less_than_rounding_to_the_nearest(make_light_field, scene_rays):
    """Squared errors of the colours, activations rounded in both: by a third and more."""
    light_field = make_light_field(width=64, depth=12)
    names = body_layers(light_field.network)
    features = features_of(light_field, *scene_rays(500, seed=5))
    exact = colors_of(walk(light_field.network, exact_layers(light_field), features))

    def lost(layers, turn=None):
        linear = {}
        for name, layer in layers.items():
            values, bias = layer.weight.values.float(), light_field.tensors[f"{name}.bias"]
            linear[name] = simulated_layer(layer, bias, lambda x, v=values: x @ v.T)
        other = exact_layers(light_field, turn).linear
        rounded = Layers(
            lambda name, x: linear[name](x) if name in linear else other(name, x), turn
        )
        colors = colors_of(walk(light_field.network, rounded, features))
        return (colors - exact).square().mean()

    weights = {name: light_field.tensors[f"{name}.weight"] for name in names}
    nearest = {name: QuantizedLinear(quantize_rows(weight)) for name, weight in weights.items()}
    turn = turn_of(light_field.network)
    assert lost(quantize_dynamic(light_field, names), turn) < 0.67 * lost(nearest)


def test_networks_that_are_not_finite_are_rounded_to_the_nearest(make_light_field):
    light_field = make_light_field()
    tensors = dict(light_field.tensors)
    tensors["head.0.bias"] = torch.full_like(tensors["head.0.bias"], 3e38)
    layers = quantize_dynamic(replace(light_field, tensors=tensors), ["body.1.body.0"], 64)
    layer = layers["body.1.body.0"]
    assert layer.center is None
    assert torch.equal(layer.bias, tensors["body.1.body.0.bias"])
    nearest = quantize_rows(behind_turn(light_field)["body.1.body.0.weight"])
    assert torch.equal(layer.weight.values, nearest.values)


def test_a_layer_that_stays_in_fp32_changes_no_other(make_light_field):
    light_field = make_light_field(depth=8)
    mixed = with_mix(light_field, ["body.0.body.0"])
    names = body_layers(light_field.network)
    one, all_layers = quantize_dynamic(mixed, names[1:], 64), quantize_dynamic(mixed, names, 64)
    for name, layer in one.items():
        assert torch.equal(layer.weight.values, all_layers[name].weight.values)


def test_networks_that_see_the_same_in_every_ray_are_rounded_to_the_nearest(make_light_field):
    """So that two networks which differ only below what eight bits tell apart stay the same."""
    light_field = make_light_field(width=16, depth=8)
    tensors = dict(light_field.tensors)
    tensors["head.0.weight"] = torch.zeros_like(light_field.tensors["head.0.weight"])
    constant = replace(light_field, tensors=tensors)
    for name, layer in quantize_dynamic(constant, body_layers(constant.network), 64).items():
        nearest = quantize_rows(behind_turn(constant)[f"{name}.weight"])
        assert torch.equal(layer.weight.values, nearest.values)
        assert layer.center is None
        assert torch.equal(layer.bias, behind_turn(constant)[f"{name}.bias"])
