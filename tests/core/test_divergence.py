"""The walk through the network, the precisions' layers, and what a probe reports of them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from r2l_core.engines.backends import availability
from r2l_core.engines.building import build_engine
from r2l_core.engines.choice import shade_all
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.rays import canonicalise, image_rays
from r2l_core.images.metrics import psnr_db
from r2l_core.model.module import activate_
from r2l_core.model.quantized import body_layers
from r2l_core.quantization.divergence import probe_pixel, probe_rays
from r2l_core.quantization.simulation import layers_in
from r2l_core.quantization.walk import colors_of, exact_layers, features_of, walk, walk_on
from r2l_core.types import Precision

pytestmark = pytest.mark.slow

NETWORKS = [
    {"depth": 8, "width": 32},
    {"depth": 8, "width": 32, "use_residual": False, "res_scale": 0.4},
    {"depth": 2},
    {"depth": 11, "n_learnable": 3, "act": "lrelu", "inact": "lrelu", "outact": "lrelu"},
    {"depth": 6, "n_learnable": 1, "outact": "relu", "res_scale": 0.5},
    {"depth": 8, "act": "none", "inact": "none"},
    {"depth": 8, "plucker": True},
]
LIKE_ENGINES = {
    Precision.FP32: 90,
    Precision.BF16: 45,
    Precision.WEIGHTS_BF16: 90,
    Precision.WEIGHTS_INT8_FAKE: 90,
    Precision.INT8_SIM: 60,
    Precision.INT8_STATIC_SIM: 60,
    Precision.INT8: 55,
}
"""Least agreement with the engine that really runs, in dB: rounding goes either way on a tie."""


# --- the walk ----------------------------------------------------------------------------------


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_the_walk_is_the_network(make_light_field, scene_rays, network):
    field, rays = make_light_field(**network), scene_rays(64)
    config = field.network
    features = features_of(field, *rays)
    calls = list(walk(field.network, exact_layers(field), features))
    names = ["head.0", *body_layers(field.network), "tail.0"]
    assert [call.name for call in calls] == names
    torch.testing.assert_close(calls[-1].output, field.module()(features))
    torch.testing.assert_close(
        calls[-1].output, shade_all(build_engine(field, Precision.FP32, "reference"), *rays)
    )
    for call in calls[:-1]:
        weight, bias = field.tensors[f"{call.name}.weight"], field.tensors[f"{call.name}.bias"]
        product = functional.linear(call.inputs, weight, bias)
        last_of_block = call.name != "head.0" and call.stream is not None
        act = config.act if call.name == "head.0" else config.inact
        expected = product if last_of_block else activate_(product, act)
        torch.testing.assert_close(call.output, expected)


def test_the_stream_is_what_the_next_block_begins_with(make_light_field, scene_rays):
    field = make_light_field(depth=11, n_learnable=3, outact="relu", use_residual=False)
    features = features_of(field, *scene_rays(64))
    calls = {call.name: call for call in walk(field.network, exact_layers(field), features)}
    kept = [name for name, call in calls.items() if call.stream is not None]
    assert kept == ["head.0", *(f"body.{k}.body.4" for k in range(3))]
    for name, following in zip(
        kept, ["body.0.body.0", "body.1.body.0", "body.2.body.0"], strict=False
    ):
        assert torch.equal(calls[name].stream, calls[following].inputs)
    assert torch.equal(calls[kept[-1]].stream, calls["tail.0"].inputs)


def test_walking_on_from_a_block(make_light_field, scene_rays):
    field = make_light_field(depth=8)
    layers, features = exact_layers(field), features_of(field, *scene_rays(64))
    calls = list(walk(field.network, layers, features))
    stream = next(call.inputs for call in calls if call.name == "body.2.body.0")
    rest = list(walk_on(field.network, layers.linear, calls[0].output, stream, 2))
    assert [call.name for call in rest] == ["body.2.body.0", "body.2.body.2", "tail.0"]
    assert torch.equal(rest[-1].output, calls[-1].output)


@pytest.mark.parametrize("network", [NETWORKS[0], NETWORKS[3]], ids=["published", "variant"])
@pytest.mark.parametrize("precision", LIKE_ENGINES)
def test_layers_are_those_of_the_engines(make_light_field, scene_rays, precision, network):
    if not (answer := availability(precision)).available:
        pytest.skip(answer.why_not)
    field, rays = make_light_field(**network), scene_rays(256)
    layers = layers_in(field, precision)
    colors = colors_of(walk(field.network, layers, features_of(field, *rays)))
    expected = shade_all(build_engine(field, precision, device="cpu"), *rays)
    assert psnr_db(float((colors - expected).square().mean())) > LIKE_ENGINES[precision]


def test_the_published_batch_is_the_one_given(make_light_field, scene_rays):
    field = make_light_field()
    engine = build_engine(field, Precision.DYNAMIC_INT8_FAKE)
    rays = scene_rays(engine.tile_rays)
    layers = layers_in(field, Precision.DYNAMIC_INT8_FAKE)
    colors = colors_of(walk(field.network, layers, features_of(field, *rays)))
    assert psnr_db(float((colors - shade_all(engine, *rays)).square().mean())) > 55


# --- the probe ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def field(make_light_field):
    return make_light_field(depth=8, width=32)


@pytest.mark.parametrize("precision", list(Precision))
def test_a_table_of_every_precision(field, scene_rays, precision):
    rays = scene_rays(4)
    table = probe_rays(field, precision, *rays)
    assert table.precision is precision
    names = ["head.0", *body_layers(field.network), "tail.0"]
    assert [layer.name for layer in table.layers] == names
    exact = shade_all(build_engine(field, Precision.FP32, "reference"), *rays)
    torch.testing.assert_close(torch.tensor(table.colors_fp32), exact)
    for layer in table.layers:
        assert layer.fp32_rms > 0
        has_stream = layer.name == "head.0" or layer.name.endswith(".body.2")
        assert (layer.stream_relative_error is not None) == has_stream
        if precision is Precision.FP32:
            assert layer.relative_error == 0
        elif layer.name.startswith("body."):
            assert 0 < layer.relative_error < 0.5
    if precision is Precision.FP32:
        assert table.colors == table.colors_fp32


def test_errors_by_hand(field, scene_rays):
    """The second layer's inputs, its product and the sum, written out once more."""
    rays = scene_rays(3)
    table = {layer.name: layer for layer in probe_rays(field, Precision.WEIGHTS_BF16, *rays).layers}
    ours = dict(field.tensors)
    theirs = {name: t.to(torch.bfloat16).float() for name, t in ours.items()}

    def outputs(tensors):
        def linear(name, x):
            return functional.linear(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"])

        hidden = linear("head.0", features_of(field, *rays)).relu()
        inner = linear("body.0.body.0", hidden).relu()
        change = linear("body.0.body.2", inner)
        return hidden, inner, change, hidden + change

    exact, other = outputs(ours), outputs(theirs)
    errors = [float((o - e).norm() / e.norm()) for e, o in zip(exact, other, strict=True)]
    first, second = table["body.0.body.0"], table["body.0.body.2"]
    head = table["head.0"]
    assert head.relative_error == head.stream_relative_error == pytest.approx(errors[0])
    assert first.relative_error == pytest.approx(errors[1])
    assert second.relative_error == pytest.approx(errors[2])
    assert second.stream_relative_error == pytest.approx(errors[3])
    assert second.fp32_rms == pytest.approx(float(exact[2].square().mean().sqrt()))


def test_int8_is_probed_as_its_twin(field, scene_rays):
    rays = scene_rays(3)
    integer = probe_rays(field, Precision.INT8, *rays)
    twin = probe_rays(field, Precision.INT8_SIM, *rays)
    assert (integer.layers, integer.colors) == (twin.layers, twin.colors)


def test_layers_without_output(field, scene_rays):
    """Nothing rounded is no error; something out of nothing is an infinite one."""
    zeros = {
        name: torch.zeros_like(t) for name, t in field.tensors.items() if "body.1.body.2" in name
    }
    still = probe_rays(
        replace(field, tensors={**field.tensors, **zeros}), Precision.INT8_SIM, *scene_rays(2)
    )
    layer = next(layer for layer in still.layers if layer.name == "body.1.body.2")
    assert (layer.fp32_rms, layer.relative_error) == (0, 0)
    assert layer.stream_relative_error > 0

    # Weights that cancel for the fp32 activations, but not for rounded ones.
    tensors = {name: torch.zeros_like(t) for name, t in field.tensors.items()}
    tensors["head.0.bias"][:3] = torch.tensor([127.0, 0.625, 0.625])
    tensors["body.0.body.0.weight"][0, :3] = torch.tensor([-0.625, 63.5, 63.5])
    odd_field = replace(field, tensors=tensors)
    odd = probe_rays(odd_field, Precision.DYNAMIC_INT8_FAKE, *scene_rays(1))
    layer = next(layer for layer in odd.layers if layer.name == "body.0.body.0")
    assert layer.fp32_rms == 0
    assert layer.relative_error == math.inf


@pytest.mark.parametrize("ray_mode", ["plain", "canonical"])
def test_a_pixel_is_its_ray(field, ray_mode):
    camera = Orbit(20.0, 30.0, 3.5, field.scene.center).camera(12, 10, 14.0)
    origins, directions = (x[7 * 12 + 5][None] for x in image_rays(camera))
    if ray_mode == "canonical":
        origins, directions = canonicalise(origins, directions, field.scene)
    expected = probe_rays(field, Precision.INT8_SIM, origins, directions)
    assert probe_pixel(field, Precision.INT8_SIM, camera, 5, 7, ray_mode) == expected
    other = "plain" if ray_mode == "canonical" else "canonical"
    assert probe_pixel(field, Precision.INT8_SIM, camera, 5, 7, other) != expected


@pytest.mark.parametrize("pixel", [(-1, 0), (12, 0), (0, 10), (0, -1)])
def test_pixels_outside_the_picture(field, pixel):
    camera = Orbit(20.0, 30.0, 3.5).camera(12, 10, 14.0)
    with pytest.raises(ValueError, match="outside 12 x 10"):
        probe_pixel(field, Precision.INT8_SIM, camera, *pixel)
