"""Choosing per layer while a light field is open: every eight-bit engine listens, and goes back."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import pytest
import torch

from r2l_core.engines.backends import availability
from r2l_core.engines.building import build_engine
from r2l_core.engines.choice import shade_all
from r2l_core.errors import QuantizationError
from r2l_core.model.light_field import LightField
from r2l_core.model.quantized import body_layers
from r2l_core.quantization import mix as mix_module
from r2l_core.quantization.mix import quantized_layers, with_mix
from r2l_core.quantization.recipes import quantized
from r2l_core.types import Precision

pytestmark = pytest.mark.slow

SIMULATED = [Precision.INT8_SIM, Precision.INT8_STATIC_SIM]
EIGHT_BITS = [
    pytest.param(
        precision,
        marks=pytest.mark.skipif(
            not availability(precision).available, reason=availability(precision).why_not
        ),
    )
    for precision in (*SIMULATED, Precision.INT8)
]
KEPT = ["body.0.body.2", "body.2.body.0"]


def colors(light_field: LightField, precision: Precision, rays) -> torch.Tensor:
    return shade_all(build_engine(light_field, precision), *rays)


@pytest.fixture(scope="module")
def field(make_light_field):
    return make_light_field(width=32, depth=8)


@pytest.mark.parametrize("precision", EIGHT_BITS)
def test_there_and_back_bit_by_bit(field, scene_rays, precision):
    rays = scene_rays(300)
    before = colors(field, precision, rays)
    mixed = with_mix(field, KEPT)
    engine = build_engine(mixed, precision)
    assert "2 of 6 body layers in float32" in engine.info.arithmetic
    assert not torch.equal(shade_all(engine, *rays), before)
    assert torch.equal(colors(with_mix(mixed, []), precision, rays), before)
    assert torch.equal(colors(field, precision, rays), before), "the original is as it was"


@pytest.mark.parametrize("precision", EIGHT_BITS)
def test_all_layers_kept_is_fp32(field, scene_rays, precision):
    rays = scene_rays(300)
    mixed = with_mix(field, body_layers(field.network))
    exact = colors(field, Precision.FP32, rays)
    assert (colors(mixed, precision, rays) - exact).abs().max() < 1e-5
    assert (colors(field, precision, rays) - exact).abs().max() > 1e-4


@pytest.mark.parametrize("precision", EIGHT_BITS)
def test_a_mix_renders_as_the_file_quantised_with_it(field, scene_rays, precision):
    recipe = "int8-static" if precision is Precision.INT8_STATIC_SIM else "int8"
    rays = scene_rays(300)
    file = quantized(field, recipe, mix=dict.fromkeys(KEPT, "fp32"))
    expected = colors(file, precision, rays)
    assert torch.equal(colors(with_mix(field, KEPT), precision, rays), expected)


@pytest.mark.parametrize("recipe", ["int8", "int8-static"])
def test_files_with_their_own_scales_can_be_mixed(field, scene_rays, recipe):
    precision = Precision.INT8_SIM if recipe == "int8" else Precision.INT8_STATIC_SIM
    file = quantized(field, recipe, mix={KEPT[0]: "fp32"})
    mixed = with_mix(file, KEPT[1:])
    own = file.quantization.layers
    assert quantized_layers(mixed, precision) == {n: own[n] for n in own if n != KEPT[1]}
    rays = scene_rays(300)
    expected = colors(file, precision, rays)
    assert not torch.equal(colors(mixed, precision, rays), expected)
    assert torch.equal(colors(with_mix(mixed, []), precision, rays), expected)


@pytest.mark.parametrize(
    "precision", [p for p in Precision if p not in (*SIMULATED, Precision.INT8)]
)
def test_other_precisions_have_no_eight_bit_layers(field, precision):
    assert quantized_layers(field, precision) == {}


def test_nothing_is_rounded_or_calibrated_twice(make_light_field, monkeypatch):
    calls = []
    for name in ("quantize_dynamic", "calibrated"):
        find = getattr(mix_module, name)
        monkeypatch.setattr(
            mix_module,
            name,
            lambda *arguments, name=name, find=find: calls.append(name) or find(*arguments),
        )
    field = make_light_field(depth=4)
    mixed = with_mix(field, ["body.0.body.0"])
    again = with_mix(mixed, ["body.0.body.2"])
    for precision in (*SIMULATED, Precision.INT8):
        layers = [quantized_layers(each, precision) for each in (again, field, mixed)]
        assert layers[0]["body.0.body.0"] is layers[1]["body.0.body.0"]
        assert [sorted(found) for found in layers] == [
            ["body.0.body.0"],
            ["body.0.body.0", "body.0.body.2"],
            ["body.0.body.2"],
        ]
    assert sorted(calls) == ["calibrated", "quantize_dynamic"]


def test_other_weights_are_rounded_anew(field):
    changed = replace(field, tensors={name: t + 1 for name, t in field.tensors.items()})
    before = quantized_layers(field, Precision.INT8_SIM)["body.0.body.0"]
    after = quantized_layers(changed, Precision.INT8_SIM)["body.0.body.0"]
    assert not torch.equal(before.weight.values, after.weight.values)


def test_what_was_found_goes_with_its_light_field(make_light_field):
    field = make_light_field(depth=4)
    mixed = with_mix(field, ["body.0.body.0"])
    layer = weakref.ref(quantized_layers(mixed, Precision.INT8_SIM)["body.0.body.2"])
    del field
    gc.collect()
    assert layer() is not None, "the mix still needs it"
    del mixed
    gc.collect()
    assert layer() is None


@pytest.mark.parametrize("name", ["head.0", "tail.0", "body.3.body.0", "body.0.body.1", ""])
def test_names_that_are_no_body_layer(field, name):
    with pytest.raises(QuantizationError) as caught:
        with_mix(field, ["body.0.body.0", name])
    assert f"'{name}'" in str(caught.value)
