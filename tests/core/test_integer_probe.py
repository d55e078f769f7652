"""Whoever says int8 calculates in integers, and the probe that finds out can tell."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import pytest
import torch

from r2l_core.engines import integer_probe as probe
from r2l_core.engines import openvino_engine
from r2l_core.engines.backends import ENGINES, availability
from r2l_core.engines.building import build_engine
from r2l_core.engines.integer_probe import runs_integers
from r2l_core.engines.processor import this_processor
from r2l_core.engines.simulated import SimulatedEngine
from r2l_core.errors import EngineUnavailable
from r2l_core.types import Precision

pytestmark = pytest.mark.slow

WIDTHS = [64, 128, 181, 256, 512]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(autouse=True)
def _ask_again():
    """What was found out before says nothing here, and what is pretended here nothing later."""
    openvino_engine._runs_integers.cache_clear()
    yield
    openvino_engine._runs_integers.cache_clear()


def combinations(*precisions: Precision) -> list:
    """(engine, precision, device) of everything that can run here, as test parameters."""
    able = [
        pytest.param(name, precision, device, id=f"{name}-{precision}-{device}")
        for name in ENGINES
        for precision in precisions
        for device in DEVICES
        if availability(precision, name, device).available
    ]
    why_not = "; ".join(availability(precision).why_not for precision in precisions)
    nothing = pytest.param("", precisions[0], "", marks=pytest.mark.skip(reason=why_not), id="none")
    return able or [nothing]


def builder(name: str, precision: Precision, device: str):
    return lambda light_field: ENGINES[name].build(light_field, precision, device)


def test_a_processor_with_dot_products_runs_int8():
    """So that the tests below are skipped for a reason."""
    vnni = this_processor().has_any("avx512_vnni", "avx_vnni")
    if importlib.util.find_spec("openvino") is None or not vnni:
        pytest.skip("needs OpenVINO and VNNI")
    assert availability(Precision.INT8, "openvino", "cpu").available


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("name", "precision", "device"), combinations(Precision.INT8))
def test_int8_runs_integers(name, precision, device, width):
    try:
        integers = runs_integers(builder(name, precision, device), width)
    except EngineUnavailable as refusal:
        assert device == "cuda", "a processor takes any width"
        pytest.skip(str(refusal))
    assert integers


@pytest.mark.parametrize("width", WIDTHS)
def test_the_simulation_rounds_like_integers(width):
    assert runs_integers(builder("simulated", Precision.INT8_SIM, "cpu"), width)


@pytest.mark.parametrize("width", [16, *WIDTHS])
def test_unrounded_activations_are_found_out(width):
    def unrounded(light_field):
        return SimulatedEngine(light_field, Precision.INT8_SIM, rounding=False)

    assert not runs_integers(unrounded, width)


@pytest.mark.parametrize("width", [16, *WIDTHS])
@pytest.mark.parametrize(
    ("name", "precision", "device"), combinations(Precision.FP32, Precision.BF16, Precision.FP16)
)
def test_floating_point_is_found_out(name, precision, device, width):
    assert not runs_integers(builder(name, precision, device), width)


@pytest.mark.parametrize("width", [1, 2, 15])
def test_a_width_that_proves_nothing(width):
    with pytest.raises(ValueError, match="too few"):
        runs_integers(builder("simulated", Precision.INT8_SIM, "cpu"), width)


def test_every_channel_of_the_quiet_pattern_has_its_say():
    """The two patterns differ in all channels but the first, and all of them reach the colour."""
    patterns = []

    def build(light_field):
        patterns.append(light_field.tensors["head.0.bias"])
        weight = light_field.tensors["body.0.body.0.weight"]
        assert (weight > 0).all()
        return builder("reference", Precision.FP32, "cpu")(light_field)

    assert not runs_integers(build, 64)
    assert (patterns[0] != patterns[1]).tolist() == [False] + [True] * 63


# --- what fails the probe is refused -----------------------------------------------------------

needs_openvino_int8 = pytest.mark.skipif(
    not availability(Precision.INT8, "openvino", "cpu").available,
    reason=availability(Precision.INT8, "openvino", "cpu").why_not,
)


def compile_with(monkeypatch, **changes) -> list[int]:
    """Make OpenVINO compile every graph with these settings changed; returns the group sizes that
    were asked for."""
    openvino = pytest.importorskip("openvino")
    core, asked = openvino.Core(), []

    def compile_model(model, device, config):
        asked.append(config["DYNAMIC_QUANTIZATION_GROUP_SIZE"])
        return core.compile_model(model, device, {**config, **changes})

    fake = SimpleNamespace(compile_model=compile_model)
    monkeypatch.setattr(openvino, "Core", lambda: fake)
    return asked


@needs_openvino_int8
@pytest.mark.parametrize("width", [64, 181, 256])
def test_group_size_zero_is_refused(make_light_field, monkeypatch, width):
    """The same graph, which then reports int8 layers and runs floats."""
    light_field = make_light_field(width=width)
    asked = compile_with(monkeypatch, DYNAMIC_QUANTIZATION_GROUP_SIZE=0)
    with pytest.raises(EngineUnavailable, match="would not be true") as caught:
        build_engine(light_field, Precision.INT8, "openvino", "cpu")
    assert str(width) in str(caught.value)
    assert set(asked) == {width + -width % 16}


@needs_openvino_int8
def test_several_scales_per_ray_are_refused(make_light_field, monkeypatch):
    compile_with(monkeypatch, DYNAMIC_QUANTIZATION_GROUP_SIZE=64)
    with pytest.raises(EngineUnavailable):
        build_engine(make_light_field(width=256), Precision.INT8, "openvino", "cpu")


@needs_openvino_int8
@pytest.mark.parametrize("width", [1, 2, 7, 16, 64])
def test_a_failed_probe_is_refused_at_any_width(make_light_field, monkeypatch, width):
    probed = []

    def fails(build, probed_width: int) -> bool:
        probed.append(probed_width)
        return False

    monkeypatch.setattr(probe, "runs_integers", fails)
    light_field = make_light_field(width=width)
    with pytest.raises(EngineUnavailable) as caught:
        build_engine(light_field, Precision.INT8, "openvino", "cpu")
    assert "int8" in str(caught.value)
    assert probed == [max(width, 16)]


@needs_openvino_int8
def test_floating_precisions_need_no_probe(light_field, monkeypatch):
    monkeypatch.setattr(probe, "runs_integers", lambda *_: False)
    assert build_engine(light_field, Precision.FP32, "openvino", "cpu").info.engine == "openvino"
