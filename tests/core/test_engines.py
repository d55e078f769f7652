"""Every engine in every precision this machine has, against the readable one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from r2l_core.engines import backends, choice
from r2l_core.engines import torch_engine as torch_engine_module
from r2l_core.engines.backends import ENGINES, availability, candidates, devices
from r2l_core.engines.base import Engine, Shaded
from r2l_core.engines.building import build_engine
from r2l_core.engines.faithful import default_precision
from r2l_core.engines.integer_probe import runs_integers
from r2l_core.engines.processor import this_processor
from r2l_core.engines.reference import ReferenceEngine
from r2l_core.engines.simulated import SimulatedEngine
from r2l_core.engines.torch_engine import TorchEngine
from r2l_core.errors import EngineError, EngineUnavailable
from r2l_core.geometry.rays import sample_depths, sample_points
from r2l_core.images.metrics import mse, psnr_db
from r2l_core.model.encoding import FeatureEncoder, encode_reference
from r2l_core.model.light_field import LightField
from r2l_core.model.module import R2LNetwork
from r2l_core.model.turning import turned
from r2l_core.quantization.calibration import CalibrationConfig
from r2l_core.quantization.dynamic import turn_of
from r2l_core.quantization.mix import quantized_layers
from r2l_core.quantization.recipes import quantized
from r2l_core.types import Availability, EngineInfo, Precision

pytestmark = pytest.mark.slow

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
COMBINATIONS = [
    (engine, precision, device)
    for engine in ENGINES
    for precision in Precision
    for device in DEVICES
]
AVAILABLE = [c for c in COMBINATIONS if availability(c[1], c[0], c[2]).available]
UNAVAILABLE = [c for c in COMBINATIONS if c not in AVAILABLE]
ON_THE_PROCESSOR = list(dict.fromkeys(name for name, _, device in AVAILABLE if device == "cpu"))

LEAST_PSNR_DB = {
    Precision.FP32: 80.0,
    Precision.FP16: 50.0,
    Precision.BF16: 35.0,
    Precision.WEIGHTS_BF16: 38.0,
    Precision.INT8: 34.0,
    Precision.INT8_SIM: 34.0,
    Precision.WEIGHTS_INT8_FAKE: 26.0,
    Precision.INT8_STATIC_SIM: 24.0,
    Precision.DYNAMIC_INT8_FAKE: 20.0,
}
"""Least agreement with the reference engine on a random network; 80 dB is an error of 1e-4. The
exact effect of each rounding is checked by itself below."""

NETWORKS = {
    "plain": {},
    "published-encoding": {"n_sample": 16, "n_frequencies": 10, "depth": 4},
    "deep": {"depth": 32, "width": 32, "res_scale": 0.5},
    "width-181": {"width": 181},
    "width-7": {"width": 7},
    "width-1": {"width": 1},
    "depth-2": {"depth": 2},
    "odd-depth-no-frequencies": {"depth": 9, "n_frequencies": 0},
    "negative-res-scale-no-skip": {"res_scale": -1.5, "use_residual": False, "n_sample": 2},
}
FULL_PRECISION = {Precision.FP32, Precision.FP16, Precision.BF16, Precision.WEIGHTS_BF16}
NARROW = {"width-7", "width-1"}
"""A scale for so few random numbers says nothing about eight bits."""


def _ids(combination: tuple) -> str:
    return "-".join(str(part) for part in combination)


def _marked(combination: tuple):
    """Those on a GPU are selected by the marker of all such tests."""
    return (
        pytest.param(combination, marks=pytest.mark.gpu) if "cuda" in combination else combination
    )


@pytest.fixture(params=[_marked(c) for c in AVAILABLE], ids=_ids)
def combination(request):
    """(engine, precision, device) that can run here."""
    return request.param


@pytest.fixture
def build(combination):
    """A function that builds the engine under test for a light field."""
    name, precision, device = combination

    def build_it(light_field) -> Engine:
        if precision is Precision.INT8_STATIC_SIM:
            # Its own calibration takes seconds.
            light_field = quantized(light_field, "int8-static", CalibrationConfig(n_rays=512))
        try:
            return build_engine(light_field, precision, name, device)
        except EngineUnavailable as error:
            if device == "cpu":
                raise
            # Kernels for a GPU need not take every width, if they say so.
            pytest.skip(str(error))

    return build_it


@pytest.fixture(scope="session")
def reference_colors(make_light_field, scene_rays):
    """A function that gives the reference engine's colours of the first rays of a network."""
    known: dict[str, Tensor] = {}

    def colors(network: str, n_rays: int) -> Tensor:
        if network not in known:
            engine = ReferenceEngine(make_light_field(**NETWORKS[network]))
            known[network] = shade_all(engine, *scene_rays(2048))
        return known[network][:n_rays]

    return colors


def shade_all(engine: Engine, origins: Tensor, directions: Tensor) -> Tensor:
    """Colours of any number of rays, tile by padded tile."""
    colors = []
    for first in range(0, len(origins), engine.tile_rays):
        o, d = (x[first : first + engine.tile_rays] for x in (origins, directions))
        missing = engine.tile_rays - len(o)
        tile = [torch.cat([x, x[-1:].expand(missing, 3)]) for x in (o, d)]
        colors.append(engine.shade(*tile).colors[: len(o)])
    return torch.cat(colors)


def features_of(light_field: LightField, origins: Tensor, directions: Tensor) -> Tensor:
    """The reference features."""
    depths = sample_depths(light_field.scene, light_field.network.n_sample)
    points = sample_points(origins, directions, depths)
    return encode_reference(points, light_field.network.n_frequencies)


# --- colours -----------------------------------------------------------------------------------


def test_something_can_be_tested():
    assert {("torch", Precision.FP32, "cpu"), ("reference", Precision.FP32, "cpu")} <= {*AVAILABLE}
    assert {("simulated", Precision.INT8_SIM, "cpu")} <= {*AVAILABLE}


@pytest.mark.parametrize("network", NETWORKS)
def test_colours_agree_with_the_reference_engine(
    combination, build, make_light_field, scene_rays, reference_colors, network
):
    precision = combination[1]
    engine = build(make_light_field(**NETWORKS[network]))
    n_rays = min(engine.tile_rays, 2048)
    expected = reference_colors(network, n_rays)
    colors = shade_all(engine, *scene_rays(n_rays))
    assert expected.std() > 0.02, "otherwise anything would agree"
    agreement_db = psnr_db(mse(colors.numpy(), expected.numpy()))
    if precision in FULL_PRECISION or network not in NARROW:
        assert agreement_db >= LEAST_PSNR_DB[precision]
    if precision is Precision.FP32:
        assert (colors - expected).abs().max() <= 1e-4


def test_the_reference_engine_against_numpy(light_field, scene_rays):
    """From ray to colour in float64, with nothing of r2l_core but the weights."""
    network, scene = light_field.network, light_field.scene
    origins, directions = (x.double().numpy() for x in scene_rays(64))
    weights = {name: tensor.double().numpy() for name, tensor in light_field.tensors.items()}
    features = []
    for origin, direction in zip(origins, directions, strict=True):
        row = []
        for t in np.linspace(0, 1, network.n_sample):
            for x in origin + direction * (scene.near * (1 - t) + scene.far * t):
                angles = x * 2.0 ** np.arange(network.n_frequencies)
                row += [*np.sin(angles), *np.cos(angles), x]
        features.append(row)

    def linear(name: str, x: np.ndarray) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    head = x = np.maximum(linear("head.0", np.array(features)), 0)
    for block in range((network.depth - 2) // 2):
        x = x + linear(f"body.{block}.body.2", np.maximum(linear(f"body.{block}.body.0", x), 0))
    expected = 1 / (1 + np.exp(-linear("tail.0", x + head)))
    colors = shade_all(ReferenceEngine(light_field), *scene_rays(64))
    np.testing.assert_allclose(colors.numpy(), expected, atol=1e-4)


# --- what each rounding does, exactly ----------------------------------------------------------


def _levels(x: np.ndarray, amax: np.ndarray | float) -> np.ndarray:
    """`x` on the 255 levels of a symmetric 8-bit range, float64."""
    return np.clip(np.rint(x / amax * 127), -127, 127) * amax / 127


def _eight_bit_colors(
    light_field: LightField, features: np.ndarray, rounded_layers: str, per_ray: bool
) -> np.ndarray:
    """The network with 8-bit inputs and weights in layers whose name starts as given; float64."""
    network = light_field.network
    turn = turn_of(network) if per_ray else torch.eye(network.width)
    weights: Mapping[str, np.ndarray] = {
        name: tensor.double().numpy()
        for name, tensor in turned(network, light_field.tensors, turn).items()
    }
    layers = quantized_layers(light_field, Precision.INT8_SIM) if per_ray else {}

    def linear(name: str, x: np.ndarray) -> np.ndarray:
        weight = weights[f"{name}.weight"]
        if name.startswith(rounded_layers) and name in layers:
            layer = layers[name]
            center = 0.0 if layer.center is None else layer.center.double().numpy()
            amax = np.abs(x - center).max(1, keepdims=True)
            x = center + _levels(x - center, np.where(amax == 0, 1.0, amax))
            return x @ layer.weight.dequantized().double().numpy().T + layer.bias.double().numpy()
        if name.startswith(rounded_layers):
            weight = _levels(weight, np.abs(weight).max(1, keepdims=True))
            amax = np.abs(x).max(1, keepdims=True) if per_ray else np.abs(x).max()
            x = _levels(x, np.where(amax == 0, 1.0, amax))
        return x @ weight.T + weights[f"{name}.bias"]

    head = x = np.maximum(linear("head.0", features), 0) @ turn.double().numpy().T
    for block in range(network.n_blocks):
        inner = np.maximum(linear(f"body.{block}.body.0", x), 0)
        x = x + linear(f"body.{block}.body.2", inner) * network.res_scale
    return 1 / (1 + np.exp(-linear("tail.0", x + head)))


@pytest.mark.parametrize(
    ("engine", "precision", "rounded_layers", "per_ray"),
    [
        ("simulated", Precision.INT8_SIM, "body", True),
        ("openvino", Precision.INT8, "body", True),
        ("simulated", Precision.DYNAMIC_INT8_FAKE, "", False),
    ],
)
@pytest.mark.parametrize("width", [16, 181, 64])
def test_eight_bits_are_rounded_as_the_recipe_says(
    make_light_field, scene_rays, engine, precision, rounded_layers, per_ray, width
):
    if not availability(precision, engine, "cpu").available:
        pytest.skip(f"no {engine} {precision} here")
    light_field = make_light_field(width=width, res_scale=0.5)
    built = build_engine(light_field, precision, engine, "cpu")
    rays = scene_rays(built.tile_rays)
    features = features_of(light_field, *rays).double().numpy()
    expected = _eight_bit_colors(light_field, features, rounded_layers, per_ray)
    unrounded = _eight_bit_colors(light_field, features, "none", per_ray)
    colors = built.shade(*rays).colors.double().numpy()
    # A value close to the middle of two levels may fall to either side; the rest is equal.
    agreement_db, without_db = psnr_db(mse(colors, expected)), psnr_db(mse(colors, unrounded))
    assert agreement_db > 50
    assert agreement_db > without_db + 10


def _rounded(precision: Precision, tensor: Tensor) -> Tensor:
    if precision is Precision.WEIGHTS_INT8_FAKE:
        values = tensor.double().numpy()
        return torch.from_numpy(_levels(values, np.abs(values).max())).float()
    if precision is Precision.WEIGHTS_BF16:
        # Round to nearest, ties to even, on the upper 16 bits.
        bits = tensor.numpy().view(np.uint32).astype(np.uint64)
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
        return torch.from_numpy(bits.astype(np.uint32).view(np.float32))
    return torch.from_numpy(tensor.numpy().astype(np.float16).astype(np.float32))


@pytest.mark.parametrize(
    "precision", [Precision.WEIGHTS_BF16, Precision.WEIGHTS_INT8_FAKE, Precision.FP16]
)
def test_rounded_weights_run_in_float32(light_field, scene_rays, precision):
    engine = build_engine(light_field, precision, "torch", "cpu")
    if engine.info.emulated is None:
        pytest.skip(f"this processor calculates in {precision}")
    tensors = {name: _rounded(precision, t.contiguous()) for name, t in light_field.tensors.items()}
    expected = shade_all(ReferenceEngine(replace(light_field, tensors=tensors)), *scene_rays(1024))
    colors = shade_all(engine, *scene_rays(1024))
    torch.testing.assert_close(colors, expected, atol=2e-5, rtol=0)


def test_bf16_is_calculated_in_bf16(make_light_field, scene_rays):
    """Rounding the weights alone would come much closer to the reference."""
    light_field = make_light_field(depth=12, width=64)
    rays = scene_rays(1024)
    expected = shade_all(ReferenceEngine(light_field), *rays)
    for name in candidates(Precision.FP32, "auto", "cpu")[1]:
        colors = shade_all(build_engine(light_field, Precision.FP32, name, "cpu"), *rays)
        assert (colors - expected).abs().max() < 5e-5
    for name in ENGINES:
        if availability(Precision.BF16, name, "cpu").available:
            colors = shade_all(build_engine(light_field, Precision.BF16, name, "cpu"), *rays)
            assert (colors - expected).abs().max() > 1e-3


def test_the_integer_probe_tells_integers_from_floats():
    assert runs_integers(lambda field: SimulatedEngine(field, Precision.INT8_SIM), 32)
    unrounded = {"rounding": False}
    assert not runs_integers(
        lambda field: SimulatedEngine(field, Precision.INT8_SIM, **unrounded), 32
    )
    assert not runs_integers(lambda field: TorchEngine(field, Precision.FP32), 32)


def assert_same(colors, expected, combination) -> None:
    """Bit for bit; to rounding for the reference, which is no fast path."""
    if combination[0] == "reference":
        torch.testing.assert_close(colors, expected, atol=1e-6, rtol=0)
    else:
        assert torch.equal(colors, expected)


# --- the contract ------------------------------------------------------------------------------


def test_shaded_tiles_are_float32_on_the_cpu(build, light_field, scene_rays):
    engine = build(light_field)
    shaded = engine.shade(*scene_rays(engine.tile_rays))
    assert shaded.colors.shape == (engine.tile_rays, 3)
    assert shaded.colors.dtype == torch.float32
    assert shaded.colors.device.type == "cpu"
    assert shaded.colors.min() >= 0
    assert shaded.colors.max() <= 1
    assert shaded.encode_ms > 0
    assert shaded.network_ms > 0


@pytest.mark.parametrize("width", [16, 181, 7])
def test_a_colour_does_not_depend_on_the_place_in_the_tile(
    combination, build, make_light_field, scene_rays, width
):
    engine = build(make_light_field(width=width))
    origins, directions = scene_rays(engine.tile_rays)
    expected = engine.shade(origins, directions).colors
    places = torch.arange(engine.tile_rays)
    shuffled = torch.randperm(engine.tile_rays, generator=torch.Generator().manual_seed(11))
    for order in (shuffled, places.flip(0), places.roll(1)):
        colors = engine.shade(origins[order], directions[order]).colors
        assert_same(colors, expected[order], combination)


@pytest.mark.parametrize("name", ON_THE_PROCESSOR)
def test_nor_on_the_thread_that_computes_it(light_field, scene_rays, name):
    precision = next(p for p in Precision if availability(p, name, "cpu").available)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        engine = build_engine(light_field, precision, name, "cpu")
        origins, directions = scene_rays(engine.tile_rays)
        half = engine.tile_rays // 2
        expected = engine.shade(origins, directions).colors
        colors = engine.shade(origins.roll(half, 0), directions.roll(half, 0)).colors
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(colors, expected.roll(half, 0))


@pytest.mark.parametrize("width", [16, 181])
def test_a_colour_does_not_depend_on_the_neighbours(
    combination, build, make_light_field, scene_rays, width
):
    engine = build(make_light_field(width=width))
    origins, directions = (x.clone() for x in scene_rays(engine.tile_rays))
    expected = engine.shade(origins, directions).colors
    other = torch.rand(engine.tile_rays, generator=torch.Generator().manual_seed(12)) < 0.5
    origins[other] *= 2.0
    directions[other] += 3.0
    colors = engine.shade(origins, directions).colors
    assert not torch.equal(colors[other], expected[other])
    if combination[1] is Precision.DYNAMIC_INT8_FAKE:
        # The one exception, and it says so.
        assert "depends on the rays rendered with it" in engine.info.emulated
        assert not torch.equal(colors[~other], expected[~other])
        return
    assert_same(colors[~other], expected[~other], combination)
    # One ray alone, among copies of itself.
    one = int((~other).nonzero()[0])
    alone = (x[one].expand(engine.tile_rays, 3).contiguous() for x in (origins, directions))
    copies = expected[one].expand(engine.tile_rays, 3)
    assert_same(engine.shade(*alone).colors, copies, combination)


def test_calls_leave_nothing_behind(build, light_field, scene_rays):
    tensors = {name: tensor.clone() for name, tensor in light_field.tensors.items()}
    engine, another = build(light_field), build(light_field)
    origins, directions = scene_rays(engine.tile_rays)
    before = origins.clone(), directions.clone()
    first = engine.shade(origins, directions).colors
    kept = first.clone()
    engine.shade(origins * 0.9, directions + 1.0)
    another.shade(origins * 0.5, directions)
    assert torch.equal(first, kept), "earlier colours are not overwritten"
    assert torch.equal(engine.shade(origins, directions).colors, kept)
    assert torch.equal(origins, before[0])
    assert torch.equal(directions, before[1])
    for name, tensor in tensors.items():
        assert torch.equal(light_field.tensors[name], tensor), f"{name} was written to"


# The fused engine's own code has nothing that could raise: it allocates nothing and calls nobody.
@pytest.mark.parametrize("name", [name for name in ON_THE_PROCESSOR if name != "fused"])
def test_a_failing_backend_is_an_engine_error(light_field, scene_rays, monkeypatch, name):
    precision = next(p for p in Precision if availability(p, name, "cpu").available)
    engine = build_engine(light_field, precision, name, "cpu")

    def fail(*_arguments) -> None:
        raise RuntimeError("out of memory\nat some address")

    if name == "openvino":
        openvino = pytest.importorskip("openvino")
        monkeypatch.setattr(openvino.InferRequest, "infer", fail)
    monkeypatch.setattr(
        FeatureEncoder, "encode", FeatureEncoder.encode if name == "openvino" else fail
    )
    monkeypatch.setattr(R2LNetwork, "forward", fail)
    with pytest.raises(EngineError, match="out of memory") as caught:
        engine.shade(*scene_rays(engine.tile_rays))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16, Precision.WEIGHTS_BF16])
def test_torch_without_onednn(make_light_field, scene_rays, monkeypatch, precision):
    monkeypatch.setattr(torch_engine_module, "_onednn", lambda: False)
    light_field = make_light_field(res_scale=0.5)
    engine = TorchEngine(light_field, precision)
    assert "oneDNN" not in engine.info.kernel
    rays = scene_rays(1024)
    expected = shade_all(ReferenceEngine(light_field), *rays)
    colors = shade_all(engine, *rays)
    assert psnr_db(mse(colors.numpy(), expected.numpy())) >= LEAST_PSNR_DB[precision]


# --- what an engine says about itself ----------------------------------------------------------

WEIGHT_TYPES = {
    Precision.FP32: "float32",
    Precision.BF16: "bfloat16",
    Precision.FP16: "float16",
    Precision.WEIGHTS_BF16: "bfloat16",
    Precision.WEIGHTS_INT8_FAKE: "int8",
    Precision.DYNAMIC_INT8_FAKE: "int8",
    Precision.INT8: "int8",
    Precision.INT8_SIM: "int8",
    Precision.INT8_STATIC_SIM: "int8",
}
NATIVE = {Precision.FP32, Precision.BF16, Precision.INT8}
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}


def test_the_account_of_an_engine_is_true(combination, build, light_field):
    name, precision, device = combination
    info = build(light_field).info
    assert isinstance(info, EngineInfo)
    assert (info.engine, info.precision) == (name, precision)
    assert info.device == ("cpu" if device == "cpu" else torch.cuda.get_device_name())
    assert any(x in info.kernel for x in (torch.__version__, "OpenVINO 20", "fused, "))
    assert info.weight_type.split()[0] == WEIGHT_TYPES[precision]
    if precision is Precision.BF16 and device == "cpu":
        has_bf16 = this_processor().has_any("avx512_bf16", "amx_bf16", "bf16")
        assert (info.emulated is None) == has_bf16
    elif precision is not Precision.FP16:
        assert (info.emulated is None) == (precision in NATIVE)
    assert (info.emulated is not None) == availability(precision, name, device).emulated
    if info.emulated:
        assert "float32" in info.arithmetic
        held = "float32"
    else:
        assert WEIGHT_TYPES[precision] in info.arithmetic
        held = info.weight_type
    body, rest = (held, "float32") if held == "int8" else (held, held)
    narrow = ("body",)
    if name == "fused":
        narrow, rest = ("body", "head") if held == "bfloat16" else ("body",), "float32"
    turn = 4 * light_field.network.width**2 if precision is Precision.INT8 else 0
    assert info.weight_bytes == turn + sum(
        math.prod(shape)
        * BYTES[body if layer.startswith(narrow) and layer.endswith("weight") else rest]
        for layer, shape in light_field.network.tensor_shapes().items()
    )


def test_networks_without_a_body_have_nothing_in_eight_bits(combination, build, make_light_field):
    _, precision, _ = combination
    info = build(make_light_field(depth=2)).info
    if precision in (Precision.INT8, Precision.INT8_SIM, Precision.INT8_STATIC_SIM):
        assert (info.weight_type, info.arithmetic) == ("float32", "float32")
    else:
        assert info.weight_type.split()[0] == WEIGHT_TYPES[precision]


# --- what cannot run ---------------------------------------------------------------------------


@pytest.mark.parametrize("combination", UNAVAILABLE, ids=_ids)
def test_what_cannot_run_says_why(light_field, combination):
    name, precision, device = combination
    answer = availability(precision, name, device)
    assert not answer.available
    assert len(answer.why_not) > 10
    assert not answer.why_not.endswith(".")
    with pytest.raises(EngineUnavailable) as caught:
        build_engine(light_field, precision, name, device)
    text = str(caught.value)
    assert answer.why_not in text
    assert precision in text
    assert f"'{name}'" in text


def test_without_a_gpu_everything_runs_on_the_processor(light_field, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices("auto") == ["cpu"]
    for precision in Precision:
        answer = availability(precision, "auto", "cuda")
        assert not answer.available
        assert answer.why_not
    with pytest.raises(EngineUnavailable, match="'cuda'"):
        build_engine(light_field, Precision.FP32, "auto", "cuda")


def test_unknown_engines_list_the_known_ones(light_field):
    answer = availability(Precision.FP32, "magic", "cpu")
    assert not answer.available
    assert all(name in answer.why_not for name in ENGINES)
    with pytest.raises(EngineUnavailable, match="'magic'"):
        build_engine(light_field, Precision.FP32, "magic", "cpu")


def test_a_plain_old_processor(light_field, monkeypatch, pretend):
    pretend("avx2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for precision, reason in (
        (Precision.BF16, "this processor has no bf16 arithmetic"),
        (Precision.INT8, "this processor has no 8-bit dot products"),
    ):
        assert reason in availability(precision, "openvino").why_not
        with pytest.raises(EngineUnavailable, match=reason):
            build_engine(light_field, precision, "openvino")
    assert {p for p in Precision if not availability(p).available} == set()
    for precision in (Precision.BF16, Precision.FP16):
        assert availability(precision).emulated
        assert build_engine(light_field, precision).info.emulated
    assert not availability(Precision.INT8).emulated
    assert build_engine(light_field, Precision.INT8).info.emulated is None
    assert default_precision() is Precision.FP32


def test_the_default_precision_can_run():
    for device in ("auto", *DEVICES):
        assert availability(default_precision(device=device), "auto", device).available


# --- what `auto` takes -------------------------------------------------------------------------


class FakeEngine:
    """Shades with the reference after some time of a fake clock; colours may be wrong."""

    tile_rays = 64
    small_tiles = ()
    any_rays = False

    def __init__(self, light_field, precision, clock, seconds: float, error: float) -> None:
        self._reference = ReferenceEngine(light_field)
        self._clock, self._seconds, self._error = clock, seconds, error
        self.info = replace(self._reference.info, engine="fake", precision=precision)

    def shade(self, origins: Tensor, directions: Tensor) -> Shaded:
        self._clock.now += self._seconds
        shaded = self._reference.shade(origins, directions)
        return replace(shaded, colors=shaded.colors + self._error)


class FakeFactory:
    """Counts what it builds."""

    def __init__(
        self,
        clock,
        seconds: float = 1.0,
        error: float = 0.0,
        failure: Exception | None = None,
        precisions: set[Precision] | None = None,
        device: str = "cpu",
    ) -> None:
        self._engine = (clock, seconds, error)
        self._failure = failure
        self._precisions = set(Precision) if precisions is None else precisions
        self._device = device
        self.built: list[Engine] = []

    def available(self, precision, device) -> Availability:
        able = precision in self._precisions and device == self._device
        return Availability(able, "" if able else f"it never can on {device}")

    def build(self, light_field, precision, device) -> Engine:
        if self._failure is not None:
            raise self._failure
        self.built.append(FakeEngine(light_field, precision, *self._engine))
        return self.built[-1]


@pytest.fixture
def opened(light_field):
    """A light field as from a file, whose hash choices are remembered by."""
    return replace(light_field, sha256="0123456789abcdef" * 4)


@pytest.fixture
def fakes(monkeypatch, fake_clock):
    """A function that makes fake factories the only engines, beside the real reference."""
    clock = fake_clock(choice)

    def install(**factories: dict) -> dict[str, FakeFactory]:
        made = {name: FakeFactory(clock, **values) for name, values in factories.items()}
        monkeypatch.setattr(backends, "ENGINES", {**made, "reference": ENGINES["reference"]})
        return made

    return install


def test_auto_takes_the_fastest_and_remembers_it(fakes, opened):
    made = fakes(slow={"seconds": 3.0}, fast={"seconds": 1.0}, medium={"seconds": 2.0})
    assert build_engine(opened, Precision.FP32, device="cpu") in made["fast"].built
    assert [len(factory.built) for factory in made.values()] == [1, 1, 1]
    assert build_engine(opened, Precision.FP32, device="cpu") in made["fast"].built
    assert [len(factory.built) for factory in made.values()] == [1, 2, 1], "not tried again"


def test_auto_does_not_take_a_wrong_engine_however_fast(fakes, opened):
    made = fakes(wrong={"seconds": 0.01, "error": 0.01}, right={"seconds": 5.0})
    assert build_engine(opened, Precision.FP32, device="cpu") in made["right"].built


@pytest.mark.parametrize("failure", [RuntimeError("no"), EngineError("It failed", "no")])
def test_auto_passes_over_engines_that_fail(fakes, opened, failure):
    made = fakes(broken={"failure": failure}, right={"seconds": 5.0})
    assert build_engine(opened, Precision.FP32, device="cpu") in made["right"].built


def test_auto_says_why_nothing_is_right(fakes, opened):
    fakes(wrong={"error": 0.5}, worse={"error": 0.7})
    with pytest.raises(EngineError, match=r"refused for fp32: its picture is only \d+"):
        build_engine(opened, Precision.FP32, device="cpu")


def test_auto_gives_the_reasons_of_all(fakes, opened):
    fakes(one={"precisions": {Precision.FP16}}, two={"device": "cuda"})
    assert availability(Precision.BF16, device="cpu").why_not == "it never can on cpu"
    with pytest.raises(EngineUnavailable, match="it never can on cpu"):
        build_engine(opened, Precision.BF16, device="cpu")


def test_auto_prefers_a_gpu_and_falls_back_to_the_processor(fakes, light_field, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU")
    made = fakes(
        gpu={"device": "cuda", "precisions": {Precision.FP16}, "seconds": 9.0},
        processor={"seconds": 1.0},
    )
    assert devices("auto") == ["cuda", "cpu"]
    assert build_engine(light_field, Precision.FP16) in made["gpu"].built
    assert build_engine(light_field, Precision.FP32) in made["processor"].built
    assert build_engine(light_field, Precision.FP16, device="cpu") in made["processor"].built
    with pytest.raises(EngineUnavailable, match="it never can on cuda"):
        build_engine(light_field, Precision.FP32, device="cuda")


def test_a_choice_is_kept_per_light_field_and_precision(fakes, opened):
    made = fakes(slow={"seconds": 3.0}, fast={"seconds": 1.0})
    for light_field, precision in (
        (opened, Precision.FP32),
        (opened, Precision.FP16),
        (replace(opened, sha256="f" * 64), Precision.FP32),
    ):
        build_engine(light_field, precision, device="cpu")
    assert len(made["slow"].built) == 3, "each of them was tried"


def test_light_fields_without_a_file_are_not_remembered(fakes, light_field, make_light_field):
    made = fakes(slow={"seconds": 3.0}, fast={"seconds": 1.0})
    build_engine(light_field, Precision.FP32, device="cpu")
    build_engine(make_light_field(seed=5), Precision.FP32, device="cpu")
    assert len(made["slow"].built) == 2


@pytest.mark.parametrize("text", ["nonsense", "[]", "", '{"a": 1}', "[" * 50_000])
def test_a_damaged_memory_is_forgotten(fakes, opened, user_dirs, text):
    path = user_dirs / "cache" / "r2l-viewer" / "engine-choices.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    made = fakes(slow={"seconds": 3.0}, fast={"seconds": 1.0})
    assert build_engine(opened, Precision.FP32, device="cpu") in made["fast"].built


def test_a_memory_that_cannot_be_kept_is_no_error(fakes, opened, user_dirs):
    (user_dirs / "cache" / "r2l-viewer").write_text("a file in the way")
    made = fakes(slow={"seconds": 3.0}, fast={"seconds": 1.0})
    assert build_engine(opened, Precision.FP32, device="cpu") in made["fast"].built


def test_a_remembered_engine_that_fails_now_is_replaced(fakes, opened):
    fakes(slow={"seconds": 3.0}, fast={"seconds": 1.0})
    build_engine(opened, Precision.FP32, device="cpu")
    made = fakes(slow={"seconds": 3.0}, fast={"failure": RuntimeError("not any more")})
    assert build_engine(opened, Precision.FP32, device="cpu") in made["slow"].built


@pytest.mark.parametrize(
    "failure", [RuntimeError("no room\nstack"), MemoryError(), OSError(12, "x")], ids=repr
)
def test_a_failing_build_is_an_engine_error(fakes, opened, failure):
    fakes(broken={"failure": failure})
    with pytest.raises(EngineError) as caught:
        build_engine(opened, Precision.FP32, device="cpu")
    assert not isinstance(caught.value, EngineUnavailable)
    assert "broken" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_real_auto_finds_an_engine(light_field, scene_rays):
    engine = build_engine(light_field, Precision.FP32)
    assert engine.info.engine != "reference"
    expected = shade_all(ReferenceEngine(light_field), *scene_rays(256))
    torch.testing.assert_close(shade_all(engine, *scene_rays(256)), expected, atol=1e-4, rtol=0)
