"""What each layer costs, measured again through whole engines and by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from r2l_core.engines.building import build_engine
from r2l_core.engines.choice import shade_all
from r2l_core.errors import QuantizationError
from r2l_core.evaluation import sensitivity as sensitivity_module
from r2l_core.evaluation.sensitivity import analyse, find_worst, mix_psnr_db
from r2l_core.images.metrics import psnr_db
from r2l_core.model.quantized import body_layers
from r2l_core.quantization.calibration import calibration_rays
from r2l_core.quantization.mix import quantized_layers, stream_turn, with_mix
from r2l_core.quantization.recipes import load_mix, quantized, save_mix
from r2l_core.quantization.walk import exact_layers, features_of, walk
from r2l_core.types import Precision

pytestmark = pytest.mark.slow

RAYS = 200
SIMULATED = [Precision.INT8_SIM, Precision.INT8_STATIC_SIM]


@pytest.fixture(scope="module")
def field(make_light_field):
    """The second layer of the last block is a hundred times too coarse in eight bits: an outlier in
    every row takes the scale."""
    field = make_light_field(width=32, depth=10)
    weight = field.tensors["body.3.body.2.weight"].clone()
    weight[:, 0] += 20.0
    return replace(field, tensors={**field.tensors, "body.3.body.2.weight": weight})


@pytest.fixture(scope="module")
def measured(field):
    return {precision: analyse(field, precision, RAYS) for precision in SIMULATED}


def through_engines(field, precision) -> float:
    """PSNR to fp32 of the colours of the very same rays."""
    rays = calibration_rays(field.scene, RAYS, sensitivity_module._SEED)
    exact = shade_all(build_engine(field, Precision.FP32, "reference"), *rays)
    colors = shade_all(build_engine(field, precision, "simulated"), *rays)
    return psnr_db(float((colors - exact).double().square().mean()))


@pytest.mark.parametrize("precision", SIMULATED)
def test_colours_are_those_of_the_engines(field, measured, precision):
    result = measured[precision]
    names = body_layers(field.network)
    assert (result.precision, result.n_rays) == (precision, RAYS)
    assert [layer.name for layer in result.layers] == names
    assert result.all_db == pytest.approx(through_engines(field, precision), abs=0.2)
    for name in (names[0], names[3], names[6]):
        layer = next(layer for layer in result.layers if layer.name == name)
        kept = with_mix(field, [name])
        only = with_mix(field, [other for other in names if other != name])
        assert layer.kept_db == pytest.approx(through_engines(kept, precision), abs=0.2)
        assert layer.only_db == pytest.approx(through_engines(only, precision), abs=0.2)


@pytest.mark.parametrize("n_learnable", [1, 3])
def test_variants_are_weighed_as_the_engines_run_them(make_light_field, n_learnable):
    field = make_light_field(depth=8, n_learnable=n_learnable, inact="lrelu", outact="relu")
    result = analyse(field, Precision.INT8_SIM, RAYS)
    names = body_layers(field.network)
    assert [layer.name for layer in result.layers] == names
    assert result.all_db == pytest.approx(through_engines(field, Precision.INT8_SIM), abs=0.2)
    for layer in result.layers:
        kept = with_mix(field, [layer.name])
        only = with_mix(field, [name for name in names if name != layer.name])
        for mix, db in ((kept, layer.kept_db), (only, layer.only_db)):
            assert db == pytest.approx(through_engines(mix, Precision.INT8_SIM), abs=0.2)


def test_rays_of_released_files_stay_plain(field):
    plain = replace(field, plain_rays=True)
    batches = [list(sensitivity_module._batches(f, 8)) for f in (field, plain)]
    expected = calibration_rays(field.scene, 8, sensitivity_module._SEED, "plain")
    assert not torch.equal(batches[0][0][0], batches[1][0][0])
    assert torch.equal(batches[1][0][0], expected[0])
    assert torch.equal(batches[1][0][1], expected[1])


def test_signal_to_noise_by_hand(field, measured):
    features = features_of(field, *calibration_rays(field.scene, RAYS, sensitivity_module._SEED))
    exact_network = exact_layers(field, stream_turn(field, Precision.INT8_SIM))
    calls = {call.name: call for call in walk(field.network, exact_network, features)}
    layers = quantized_layers(field, Precision.INT8_SIM)
    for name in ("body.1.body.0", "body.1.body.2"):
        x = calls[name].inputs
        layer = layers[name]
        center = 0 if layer.center is None else layer.center
        scale = (x - center).abs().amax(1, keepdim=True) / 127
        rounded = ((x - center) / scale).round() * scale + center
        noisy = functional.linear(rounded, layer.effective_weight(), layer.bias)
        if name.endswith(".0"):
            noisy = noisy.relu()
        exact = calls[name].output
        expected = 10 * math.log10(exact.square().sum() / (noisy - exact).square().sum())
        layer = next(layer for layer in measured[Precision.INT8_SIM].layers if layer.name == name)
        assert layer.sqnr_db == pytest.approx(expected, abs=0.1)
        assert layer.accumulated_sqnr_db < layer.sqnr_db


@pytest.mark.parametrize("precision", SIMULATED)
def test_the_coarse_layer_is_found(measured, precision):
    result = measured[precision]
    order = result.worst_first()
    assert order[0] == "body.3.body.2"
    assert sorted(order) == sorted(layer.name for layer in result.layers)
    by_name = {layer.name: layer for layer in result.layers}
    assert by_name[order[0]].sqnr_db == min(layer.sqnr_db for layer in result.layers)
    assert by_name[order[0]].kept_db > result.all_db + 3
    costs = [by_name[name].only_db for name in order]
    assert costs == sorted(costs)


def test_int8_is_weighed_as_its_twin(field, measured):
    result = analyse(field, Precision.INT8, RAYS)
    assert result.precision is Precision.INT8
    assert replace(result, precision=Precision.INT8_SIM) == measured[Precision.INT8_SIM]


def test_batches_change_nothing_but_the_last_digits(field, measured, monkeypatch):
    monkeypatch.setattr(sensitivity_module, "_KEPT_VALUES", 32 * 4 * 70)
    result = analyse(field, Precision.INT8_SIM, RAYS)
    expected = measured[Precision.INT8_SIM]
    assert result.all_db == pytest.approx(expected.all_db, abs=0.1)
    for layer, other in zip(result.layers, expected.layers, strict=True):
        assert layer.sqnr_db == pytest.approx(other.sqnr_db, abs=0.1)
        assert layer.only_db == pytest.approx(other.only_db, abs=0.1)
        assert layer.kept_db == pytest.approx(other.kept_db, abs=0.1)


def test_layers_a_mix_has_taken_are_left_out(field):
    mixed = with_mix(field, ["body.3.body.0", "body.0.body.2"])
    result = analyse(mixed, Precision.INT8_SIM, RAYS)
    assert {layer.name for layer in result.layers} == set(body_layers(field.network)) - {
        "body.3.body.0",
        "body.0.body.2",
    }
    assert result.all_db == pytest.approx(through_engines(mixed, Precision.INT8_SIM), abs=0.2)
    kept = find_worst(mixed, result, n=1)
    assert kept.psnr_db > result.all_db, "what the mix keeps already is kept"


def test_a_network_without_a_body_loses_nothing(make_light_field):
    field = make_light_field(depth=2)
    result = analyse(field, Precision.INT8_SIM, 16)
    assert (result.all_db, result.layers) == (math.inf, ())
    assert find_worst(field, result, target_db=50).layers == ()


# --- choosing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 3, 8, 100])
def test_the_costliest_layers_are_kept(field, measured, n):
    result = measured[Precision.INT8_SIM]
    kept = find_worst(field, result, n=n)
    assert list(kept.layers) == result.worst_first()[:n]
    mixed = with_mix(field, kept.layers)
    if n < 8:
        assert kept.psnr_db == pytest.approx(through_engines(mixed, Precision.INT8_SIM), abs=0.2)
        assert kept.psnr_db > result.all_db
    else:
        assert kept.psnr_db == math.inf


@pytest.mark.parametrize("more_db", [-5, 0.5, 6, 15, 1000])
def test_as_few_layers_as_reach_the_target(field, measured, more_db):
    result = measured[Precision.INT8_SIM]
    target_db = result.all_db + more_db
    kept = find_worst(field, result, target_db=target_db)
    assert list(kept.layers) == result.worst_first()[: len(kept.layers)]
    assert kept.psnr_db >= target_db
    if kept.layers:
        fewer = mix_psnr_db(field, Precision.INT8_SIM, kept.layers[:-1], RAYS)
        assert fewer < target_db
    assert bool(kept.layers) == (more_db > 0)
    again = mix_psnr_db(field, Precision.INT8_SIM, kept.layers, RAYS)
    assert kept.psnr_db == again


def test_either_a_number_or_a_target(field, measured):
    for arguments in ({}, {"n": 1, "target_db": 40.0}):
        with pytest.raises(ValueError, match="either"):
            find_worst(field, measured[Precision.INT8_SIM], **arguments)


def test_a_saved_mix_is_what_was_chosen(field, measured, tmp_path):
    kept = find_worst(field, measured[Precision.INT8_SIM], n=2)
    path = tmp_path / "deep" / "mix.json"
    save_mix(path, dict.fromkeys(kept.layers, "fp32"))
    file = quantized(field, "int8", mix=load_mix(path))
    assert set(file.quantization.layers) == set(body_layers(field.network)) - set(kept.layers)


# --- being watched and stopped -----------------------------------------------------------------


def test_progress_counts_every_layer(field, monkeypatch):
    monkeypatch.setattr(sensitivity_module, "_BATCH", 16)
    seen = []
    analyse(field, Precision.INT8_SIM, 40, progress=lambda *step: seen.append(step))
    total = 3 * len(body_layers(field.network))
    assert seen == [(done + 1, total) for done in range(total)]


@pytest.mark.parametrize("looks", [0, 3, 15])
def test_stopping_midway(field, looks):
    answers = iter([False] * looks)
    seen = []
    result = analyse(
        field,
        Precision.INT8_SIM,
        40,
        progress=lambda *step: seen.append(step),
        cancelled=lambda: next(answers, True),
    )
    assert result is None
    assert len(seen) < 8


# --- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", [p for p in Precision if not p.startswith("int8")], ids=str)
def test_precisions_without_a_choice(field, precision):
    with pytest.raises(QuantizationError) as caught:
        analyse(field, precision, 16)
    assert precision in str(caught.value)


def test_rounded_files_cannot_be_weighed(field):
    with pytest.raises(QuantizationError, match="random"):
        analyse(quantized(field, "int8"), Precision.INT8_SIM, 16)


def test_outputs_of_zero(field):
    """A layer that says nothing loses nothing; its ratio is infinite, not a division by zero."""
    silent = {
        name: torch.zeros_like(tensor)
        for name, tensor in field.tensors.items()
        if name.startswith("body.1.body.2")
    }
    result = analyse(replace(field, tensors={**field.tensors, **silent}), Precision.INT8_SIM, 16)
    layer = next(layer for layer in result.layers if layer.name == "body.1.body.2")
    assert layer.sqnr_db == layer.accumulated_sqnr_db == layer.only_db == math.inf
    assert layer.kept_db == result.all_db
