"""The residual stream turned for eight bits: no other colours, and more of the levels used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from r2l_core.engines.backends import ENGINES
from r2l_core.engines.choice import shade_all
from r2l_core.images.metrics import mse, psnr_db
from r2l_core.model.quantized import body_layers
from r2l_core.model.turning import are_turn_signs, turn_matrix, turned
from r2l_core.quantization import dynamic
from r2l_core.quantization.dynamic import turn_of, turn_signs
from r2l_core.quantization.folding import folded
from r2l_core.quantization.mix import stream_turn, with_mix
from r2l_core.quantization.recipes import quantized
from r2l_core.quantization.simulation import layers_in
from r2l_core.quantization.walk import colors_of, exact_layers, features_of, walk
from r2l_core.types import Precision

NETWORKS = [
    {},
    {"width": 7},
    {"res_scale": 0.5, "act": "lrelu"},
    {"use_residual": False},
    {"n_learnable": 1},
    {"n_learnable": 3},
]


@pytest.fixture
def with_outliers(make_light_field):
    """A light field with three channels of the stream that are sixteen times as large."""
    light_field = make_light_field(width=64, depth=12)
    tensors = {name: tensor.clone() for name, tensor in light_field.tensors.items()}
    large = torch.tensor([3, 17, 40])
    for name in ("head.0.weight", "head.0.bias"):
        tensors[name][large] *= 16.0
    for name in body_layers(light_field.network):
        if name.endswith(".0"):
            tensors[f"{name}.weight"][:, large] /= 16.0
        else:
            for kind in ("weight", "bias"):
                tensors[f"{name}.{kind}"][large] *= 16.0
    tensors["tail.0.weight"][:, large] /= 16.0
    return replace(light_field, tensors=tensors)


@pytest.mark.parametrize("width", [1, 7, 24, 256])
def test_a_turn_is_orthogonal_and_reaches_every_channel(make_light_field, width):
    turn = turn_of(make_light_field(width=width, depth=2).network).numpy()
    assert np.abs(turn @ turn.T - np.eye(width)).max() < 1e-5
    # No channel keeps more than twice its share.
    assert np.square(turn).max() <= 2.0 / width + 1e-6


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_a_turned_stream_changes_no_colour(make_light_field, scene_rays, network):
    light_field = make_light_field(depth=8, **network)
    turn, features = turn_of(light_field.network), features_of(light_field, *scene_rays(200))
    plain, other = (
        colors_of(walk(light_field.network, exact_layers(light_field, one), features))
        for one in (None, turn)
    )
    torch.testing.assert_close(plain, other, rtol=0, atol=2e-6)


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_turning_back_gives_the_same_numbers(make_light_field, network):
    light_field = make_light_field(depth=8, **network)
    turn = turn_of(light_field.network)
    there = turned(light_field.network, light_field.tensors, turn)
    back = turned(light_field.network, there, turn.T)
    for name, tensor in light_field.tensors.items():
        torch.testing.assert_close(back[name], tensor, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(there["tail.0.weight"], light_field.tensors["tail.0.weight"])


def test_large_channels_cost_a_turned_stream_nothing(with_outliers, scene_rays, monkeypatch):
    """At least 6 dB, half the error, on a network whose scales are those of three channels."""
    features = features_of(with_outliers, *scene_rays(500, seed=5))

    def int8_db() -> float:
        light_field = replace(with_outliers)  # nothing found before is remembered
        layers = layers_in(light_field, Precision.INT8)
        exact = colors_of(walk(light_field.network, exact_layers(light_field), features))
        return psnr_db(
            mse(colors_of(walk(light_field.network, layers, features)).numpy(), exact.numpy())
        )

    as_it_is = int8_db()
    monkeypatch.setattr(dynamic, "turn_of", lambda _: None)
    monkeypatch.setattr("r2l_core.quantization.mix.turn_of", lambda _: None)
    assert as_it_is > int8_db() + 6


@pytest.mark.parametrize("engine", ["fused", "openvino", "simulated"])
def test_engines_turn_the_stream_alike(engine, with_outliers, scene_rays):
    """Against layers in float32 with the same integers; without the turn it would be noise."""
    precision = Precision.INT8_SIM if engine == "simulated" else Precision.INT8
    if not (answer := ENGINES[engine].available(precision, "cpu")).available:
        pytest.skip(answer.why_not)
    rays = scene_rays(300)
    colors = shade_all(ENGINES[engine].build(with_outliers, precision, "cpu"), *rays)
    layers = layers_in(with_outliers, precision)
    expected = colors_of(walk(with_outliers.network, layers, features_of(with_outliers, *rays)))
    assert psnr_db(mse(colors.numpy(), expected.numpy())) > 60


def test_nothing_is_turned_without_need(make_light_field):
    light_field = make_light_field(depth=8)
    names = body_layers(light_field.network)
    assert stream_turn(light_field, Precision.INT8) is not None
    for precision in (Precision.FP32, Precision.INT8_STATIC_SIM, Precision.DYNAMIC_INT8_FAKE):
        assert stream_turn(light_field, precision) is None
        assert folded(light_field, precision).turn is None
    assert stream_turn(with_mix(light_field, names), Precision.INT8) is None
    behind = make_light_field(depth=8, outact="relu")
    assert turn_signs(behind.network) is None
    assert stream_turn(behind, Precision.INT8) is None


def test_a_mix_in_a_turned_stream_keeps_its_layers_exact(make_light_field, scene_rays):
    """All but one layer in float32 behind the turn: what is left is that layer's error alone."""
    light_field, rays = make_light_field(width=64, depth=8), scene_rays(200)
    names = body_layers(light_field.network)
    features = features_of(light_field, *rays)
    exact = colors_of(walk(light_field.network, exact_layers(light_field), features))
    errors = [
        mse(
            colors_of(
                walk(
                    light_field.network,
                    layers_in(with_mix(light_field, kept), Precision.INT8),
                    features,
                )
            ).numpy(),
            exact.numpy(),
        )
        for kept in (names[1:], ())
    ]
    assert 0 < errors[0] < 0.7 * errors[1]


def test_what_a_quantised_file_stands_for_is_turned_back(make_light_field):
    light_field = make_light_field(width=64, depth=8)
    field = quantized(light_field, "int8")
    for name in body_layers(light_field.network):
        weight, rounded = (f.tensors[f"{name}.weight"] for f in (light_field, field))
        assert not torch.equal(weight, rounded)
        assert (weight - rounded).norm() < 0.02 * weight.norm()


@pytest.mark.parametrize(
    "values", [np.ones(23, np.int8), np.zeros(24, np.int8), np.full(24, -128, np.int8)], ids=str
)
def test_other_values_are_no_signs(make_light_field, values):
    network = make_light_field(width=24).network
    assert are_turn_signs(np.ones(24, np.int8), network)
    assert not are_turn_signs(values, network)
    assert turn_matrix(np.ones(24, np.int8)).dtype == np.float32
