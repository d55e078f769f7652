"""Eight-bit engines: the integer one against its simulation, and each simulation against integers
and published recipes written out once more in numpy."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from r2l_core.engines import torch_engine as torch_engine_module
from r2l_core.engines.backends import ENGINES, availability
from r2l_core.engines.building import build_engine
from r2l_core.engines.choice import shade_all
from r2l_core.geometry.rays import sample_depths, sample_points
from r2l_core.geometry.scene import SceneSpec
from r2l_core.images.metrics import psnr_db
from r2l_core.model.encoding import encode_reference
from r2l_core.model.light_field import LightField
from r2l_core.model.network import NetworkConfig
from r2l_core.model.quantized import Quantization, body_layers
from r2l_core.model.turning import turned
from r2l_core.quantization.calibration import CalibrationConfig, calibrated
from r2l_core.quantization.dynamic import turn_of
from r2l_core.quantization.mix import quantized_layers
from r2l_core.quantization.recipes import quantized
from r2l_core.types import Precision

pytestmark = pytest.mark.slow

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
INTEGER_ENGINES = [
    pytest.param(
        name,
        device,
        id=f"{name}-{device}",
        marks=[pytest.mark.gpu] if device == "cuda" else [],
    )
    for name in ENGINES
    for device in DEVICES
    if availability(Precision.INT8, name, device).available
] or [
    pytest.param(
        "", "", marks=pytest.mark.skip(reason=availability(Precision.INT8).why_not), id="none"
    )
]

NETWORKS = {
    "deep": {"depth": 22, "width": 64},
    "deep-without-skip": {"depth": 22, "width": 64, "use_residual": False},
    "one-block": {"depth": 4, "width": 64},
    "width-181": {"depth": 6, "width": 181},
    "res-scale": {"depth": 8, "width": 64, "res_scale": 0.3},
    "negative-res-scale": {"depth": 8, "width": 64, "res_scale": -1.5},
}


def agreement_db(colors: torch.Tensor | np.ndarray, other: torch.Tensor | np.ndarray) -> float:
    difference = np.asarray(colors, np.float64) - np.asarray(other, np.float64)
    return psnr_db(float((difference * difference).mean()))


def colors_of(
    light_field: LightField,
    precision: Precision,
    engine: str,
    rays: tuple[torch.Tensor, torch.Tensor],
    device: str = "cpu",
) -> torch.Tensor:
    return shade_all(build_engine(light_field, precision, engine, device), *rays)


def with_tensors(light_field: LightField, **changes: torch.Tensor) -> LightField:
    """Replaced tensors; their names have two underscores for every dot."""
    named = {name.replace("__", "."): tensor for name, tensor in changes.items()}
    assert named.keys() <= light_field.tensors.keys()
    return replace(light_field, tensors={**light_field.tensors, **named})


# --- integers against their simulation ---------------------------------------------------------


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
@pytest.mark.parametrize(("name", "device"), INTEGER_ENGINES)
def test_int8_is_what_its_simulation_says(make_light_field, scene_rays, name, device, network):
    """Closer to the simulated eight bits than to fp32, by far more than chance."""
    light_field, rays = make_light_field(**network), scene_rays(1500)
    int8 = colors_of(light_field, Precision.INT8, name, rays, device)
    simulated = colors_of(light_field, Precision.INT8_SIM, "simulated", rays)
    exact = colors_of(light_field, Precision.FP32, "reference", rays)
    assert exact.std() > 0.02, "otherwise anything would agree"
    assert agreement_db(int8, simulated) >= agreement_db(int8, exact) + 3
    assert agreement_db(int8, simulated) >= 55
    assert agreement_db(int8, exact) < 100, "something was rounded"


@pytest.mark.parametrize(
    "network", [{"depth": 2, "width": 64}, {"width": 1}, {"width": 7}], ids=str
)
@pytest.mark.parametrize(("name", "device"), INTEGER_ENGINES)
def test_int8_of_networks_with_hardly_a_body(make_light_field, scene_rays, name, device, network):
    """Of depth 2, nothing is left to quantise; a single channel is exact in eight bits."""
    light_field, rays = make_light_field(**network), scene_rays(300)
    int8 = colors_of(light_field, Precision.INT8, name, rays, device)
    assert agreement_db(int8, colors_of(light_field, Precision.INT8_SIM, "simulated", rays)) > 75
    if network != {"width": 7}:
        assert agreement_db(int8, colors_of(light_field, Precision.FP32, "reference", rays)) > 100


@pytest.mark.parametrize("zero", ["weight", "weight-and-bias", "rows"])
@pytest.mark.parametrize(("name", "device"), INTEGER_ENGINES)
def test_layers_of_zeros(make_light_field, scene_rays, name, device, zero):
    light_field, rays = make_light_field(width=64, depth=8), scene_rays(300)
    weight = torch.zeros(64, 64)
    if zero == "rows":
        weight[::2] = light_field.tensors["body.1.body.0.weight"][::2]
    changes = {"body__1__body__0__weight": weight, "body__2__body__2__weight": weight}
    if zero == "weight-and-bias":
        changes["body__1__body__0__bias"] = torch.zeros(64)  # the next layer sees zeros alone
    light_field = with_tensors(light_field, **changes)
    int8 = colors_of(light_field, Precision.INT8, name, rays, device)
    assert torch.isfinite(int8).all()
    assert agreement_db(int8, colors_of(light_field, Precision.INT8_SIM, "simulated", rays)) > 60


@pytest.mark.parametrize(("name", "device"), [*INTEGER_ENGINES, ("simulated", "cpu")])
def test_rays_without_any_activation(make_light_field, scene_rays, name, device):
    """A row of zeros has no scale to divide by; its layers give their bias."""
    light_field, rays = make_light_field(width=64, depth=4), scene_rays(300)
    dark = with_tensors(light_field, head__0__bias=torch.full((64,), -1e4))
    precision = Precision.INT8_SIM if name == "simulated" else Precision.INT8
    colors = colors_of(dark, precision, name, rays, device)
    assert torch.isfinite(colors).all()
    assert torch.equal(colors, colors[:1].expand_as(colors))
    expected = colors_of(dark, Precision.FP32, "reference", rays)
    assert agreement_db(colors, expected) > 35


@pytest.mark.parametrize(("name", "device"), [*INTEGER_ENGINES, ("simulated", "cpu")])
def test_dark_rays_beside_bright_ones(make_light_field, scene_rays, name, device):
    light_field, rays = make_light_field(width=64, depth=4), scene_rays(300)
    weight = torch.zeros(64, light_field.network.input_size)
    weight[:, 8] = 3.0  # x of the first sample, which is on either side of the scene
    field = with_tensors(light_field, head__0__weight=weight, head__0__bias=torch.zeros(64))
    x = sample_points(*rays, sample_depths(field.scene, field.network.n_sample))[:, 0]
    dark = x <= 0
    assert 50 < int(dark.sum()) < 250
    precision = Precision.INT8_SIM if name == "simulated" else Precision.INT8
    colors = colors_of(field, precision, name, rays, device)
    expected = colors_of(field, Precision.FP32, "reference", rays)
    assert torch.equal(colors[dark], colors[dark][:1].expand(int(dark.sum()), 3))
    assert agreement_db(colors[dark], expected[dark]) > 35
    assert agreement_db(colors[~dark], expected[~dark]) > 35
    assert expected[~dark].std(0).max() > 0.02


# --- the simulations against integers ----------------------------------------------------------


@pytest.fixture
def exact_head(monkeypatch):
    """A function that makes a light field whose head is exact in float32 in whatever order it is
    summed up, with rays: everything is a small multiple of 1/8, and the encoding has no sines. The
    tail picks three channels. So every rounding is that of the body. The stream's turn is as exact:
    each four channels give halves of their sums and differences."""

    def halves(signs: np.ndarray) -> np.ndarray:
        four = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
        turn = np.eye(len(signs), dtype=np.float32)
        for start in range(0, len(signs) - 3, 4):
            turn[start : start + 4, start : start + 4] = four
        return turn

    for place in ("model.quantized", "quantization.dynamic"):
        monkeypatch.setattr(f"r2l_core.{place}.turn_matrix", halves)

    def make(**network) -> tuple[LightField, tuple[torch.Tensor, torch.Tensor]]:
        config = NetworkConfig(
            **{"depth": 10, "width": 48, "n_sample": 2, "n_frequencies": 0, **network}
        )
        scene = SceneSpec("exact", near=2.0, far=6.0)
        generator = torch.Generator().manual_seed(config.width)

        def eighths(*shape: int) -> torch.Tensor:
            return torch.randint(-16, 17, shape, generator=generator) / 8

        tensors = {
            name: torch.randn(shape, generator=generator) * 0.5 / math.sqrt(config.width)
            for name, shape in config.tensor_shapes().items()
        }
        tensors["head.0.weight"] = eighths(config.width, config.input_size)
        tensors["head.0.bias"] = eighths(config.width)
        tensors["tail.0.weight"] = torch.zeros(3, config.width)
        tensors["tail.0.weight"][:, :3] = torch.eye(3)[:, : config.width] / 32
        tensors["tail.0.bias"] = torch.zeros(3)
        return LightField("exact", config, scene, tensors), (eighths(300, 3), eighths(300, 3))

    return make


def body_in_integers(
    light_field: LightField,
    rays: tuple[torch.Tensor, torch.Tensor],
    static: Quantization | None = None,
    in_float: tuple[str, ...] = (),
) -> np.ndarray:
    """Colours with an int64 body: weights per row, activations per ray or by fixed ranges."""
    network = light_field.network
    dynamic = quantized_layers(light_field, Precision.INT8_SIM)
    tensors = {name: tensor.numpy() for name, tensor in light_field.tensors.items()}
    turn = np.eye(network.width, dtype=np.float32)
    if static is None:
        turn = turn_of(network).numpy()
        tensors = turned(network, tensors, turn)
    f32 = np.float32

    def to_levels(x: np.ndarray, amax: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scale = (amax / f32(127)).astype(f32)
        levels = np.rint(x / np.where(scale == 0, f32(1), scale)).astype(np.int64)
        return np.clip(levels, -127, 127), scale

    def linear(name: str, x: np.ndarray) -> np.ndarray:
        weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        if name in in_float:
            return (x.astype(np.float64) @ weight.T.astype(np.float64) + bias).astype(f32)
        if static is None:
            layer = dynamic[name]
            weight_levels = layer.weight.values.numpy().astype(np.int64)
            weight_scale = layer.weight.scale.numpy()
            center = np.zeros(x.shape[1], f32) if layer.center is None else layer.center.numpy()
            own = bias if layer.bias is None else layer.bias.numpy()
            bias = own + (weight_levels * weight_scale.astype(np.float64)) @ center
            x, bias = x - center, bias.astype(f32)
            amax = np.abs(x).max(1, keepdims=True)
        else:
            layer = static.layers[name]
            amax = np.full((len(x), 1), layer.input_amax, f32)
            if layer.smooth is not None:
                x, weight = x / layer.smooth.numpy(), weight * layer.smooth.numpy()
            weight_levels, weight_scale = to_levels(weight, np.abs(weight).max(1, keepdims=True))
        levels, scale = to_levels(x, amax)
        sums = levels @ weight_levels.T
        assert np.abs(sums).max(initial=0) < 2**24
        return sums.astype(f32) * (scale * weight_scale.T) + bias

    points = sample_points(*rays, sample_depths(light_field.scene, network.n_sample)).double()
    hidden = points.numpy() @ tensors["head.0.weight"].T.astype(np.float64) + tensors["head.0.bias"]
    hidden = np.maximum(hidden, 0).astype(f32) @ turn.T
    x = hidden
    for k in range(network.n_blocks):
        inner = np.maximum(linear(f"body.{k}.body.0", x), 0)
        x = x + linear(f"body.{k}.body.2", inner) * f32(network.res_scale)
    if network.use_residual:
        x = x + hidden
    logits = x @ tensors["tail.0.weight"].T
    return 1 / (1 + np.exp(-logits.astype(np.float64)))


EXACT = [
    {},
    {"depth": 4},
    {"width": 181},
    {"res_scale": 0.3},
    {"use_residual": False},
    {"width": 1},
]


@pytest.mark.parametrize("network", EXACT, ids=str)
def test_int8_sim_is_integer_arithmetic(exact_head, network):
    light_field, rays = exact_head(**network)
    expected = body_in_integers(light_field, rays)
    simulated = colors_of(light_field, Precision.INT8_SIM, "simulated", rays)
    assert expected.std() > 0.02
    np.testing.assert_allclose(simulated.numpy(), expected, atol=3e-7)
    if light_field.network.width > 1:
        fp32 = colors_of(light_field, Precision.FP32, "reference", rays)
        assert np.abs(fp32.numpy() - expected).max() > 1e-4, "rounding shows"


@pytest.mark.parametrize("alpha", [None, 0.5])
@pytest.mark.parametrize("network", [{}, {"res_scale": 0.3}], ids=str)
def test_int8_static_sim_is_integer_arithmetic(exact_head, network, alpha):
    light_field, rays = exact_head(**network)
    # Of few rays, so that the values of others are clipped.
    ranges = calibrated(light_field, CalibrationConfig(smooth_alpha=alpha, n_rays=16))
    expected = body_in_integers(light_field, rays, ranges)
    static = replace(light_field, quantization=ranges)
    simulated = colors_of(static, Precision.INT8_STATIC_SIM, "simulated", rays)
    np.testing.assert_allclose(simulated.numpy(), expected, atol=3e-7)


# --- layers in different precisions ------------------------------------------------------------


@pytest.mark.parametrize("recipe", ["int8", "int8-static"])
def test_a_mix_of_fp32_alone_is_the_fp32_picture(make_light_field, scene_rays, recipe):
    light_field, rays = make_light_field(width=64, depth=12), scene_rays(600)
    mix = dict.fromkeys(body_layers(light_field.network), "fp32")
    mixed = quantized(light_field, recipe, CalibrationConfig(n_rays=64), mix)
    fp32 = colors_of(light_field, Precision.FP32, "reference", rays)
    simulation = Precision.INT8_SIM if recipe == "int8" else Precision.INT8_STATIC_SIM
    engine = build_engine(mixed, simulation, "simulated")
    assert (shade_all(engine, *rays) - fp32).abs().max() < 1e-5
    assert (engine.info.weight_type, engine.info.arithmetic) == ("float32", "float32")


@pytest.mark.parametrize(("name", "device"), INTEGER_ENGINES)
def test_integer_engines_keep_to_a_mix_of_fp32_alone(make_light_field, scene_rays, name, device):
    light_field, rays = make_light_field(width=64, depth=12), scene_rays(600)
    mix = dict.fromkeys(body_layers(light_field.network), "fp32")
    engine = build_engine(quantized(light_field, "int8", mix=mix), Precision.INT8, name, device)
    fp32 = colors_of(light_field, Precision.FP32, "reference", rays)
    assert (shade_all(engine, *rays) - fp32).abs().max() < 1e-5
    assert "int8" not in engine.info.weight_type + engine.info.arithmetic


def test_a_mix_says_which_layers_are_rounded(exact_head):
    light_field, rays = exact_head(depth=8)
    names = body_layers(light_field.network)
    in_float = (*names[1:3], names[4])
    mixed = quantized(light_field, "int8", mix=dict.fromkeys(in_float, "fp32"))
    engine = build_engine(mixed, Precision.INT8_SIM, "simulated")
    colors = shade_all(engine, *rays)
    expected = body_in_integers(light_field, rays, in_float=in_float)
    everything = body_in_integers(light_field, rays)
    assert agreement_db(colors, expected) > agreement_db(colors, everything) + 15
    assert "3 of 6 body layers in float32" in engine.info.arithmetic


@pytest.mark.parametrize("rounded", ["body.0.body.0", "body.0.body.2"])
def test_a_single_rounded_layer(exact_head, rounded):
    light_field, rays = exact_head(depth=4)
    (other,) = set(body_layers(light_field.network)) - {rounded}
    mixed = quantized(light_field, "int8", mix={other: "fp32", rounded: "int8"})
    colors = colors_of(mixed, Precision.INT8_SIM, "simulated", rays)
    expected = body_in_integers(light_field, rays, in_float=(other,))
    both = body_in_integers(light_field, rays)
    neither = colors_of(light_field, Precision.FP32, "reference", rays)
    assert agreement_db(colors, expected) > agreement_db(colors, both) + 15
    assert agreement_db(colors, expected) > agreement_db(colors, neither) + 15


@pytest.mark.parametrize(("name", "device"), INTEGER_ENGINES)
def test_integer_engines_keep_to_a_mix(make_light_field, scene_rays, name, device):
    light_field, rays = make_light_field(width=64, depth=12), scene_rays(600)
    names = body_layers(light_field.network)
    mixed = quantized(light_field, "int8", mix=dict.fromkeys(names[:7], "fp32"))
    engine = build_engine(mixed, Precision.INT8, name, device)
    int8 = shade_all(engine, *rays)
    twin = colors_of(mixed, Precision.INT8_SIM, "simulated", rays)
    unmixed = colors_of(light_field, Precision.INT8_SIM, "simulated", rays)
    fp32 = colors_of(light_field, Precision.FP32, "reference", rays)
    assert agreement_db(int8, twin) > max(agreement_db(int8, unmixed), agreement_db(int8, fp32)) + 3
    assert agreement_db(int8, fp32) > agreement_db(unmixed, fp32)
    assert "7 of 10 body layers in float32" in engine.info.arithmetic


# --- published recipes, and halves -------------------------------------------------------------


def bfloat16_bits(values: np.ndarray) -> np.ndarray:
    """Nearest bfloat16, ties to even, by the bits of float32."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return rounded.view(np.float32)


def own_largest(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """255 levels of the largest magnitude of the whole tensor, or along an axis."""
    amax = np.abs(values).max(axis=axis, keepdims=axis is not None)
    scale = np.float32(127) / amax
    return np.rint(values * scale) / scale


WEIGHT_ONLY = {
    Precision.WEIGHTS_BF16: bfloat16_bits,
    Precision.WEIGHTS_INT8_FAKE: own_largest,
    Precision.FP16: lambda values: values.astype(np.float16).astype(np.float32),
}


@pytest.mark.parametrize("precision", WEIGHT_ONLY)
def test_weight_only_roundings(make_light_field, scene_rays, monkeypatch, precision):
    """The fp32 picture of the rounded weights, biases included."""
    monkeypatch.setattr(torch_engine_module, "_fp16_arithmetic", lambda: False)
    light_field, rays = make_light_field(width=64, depth=12, res_scale=0.7), scene_rays(600)
    tensors = {
        name: torch.from_numpy(WEIGHT_ONLY[precision](tensor.numpy()))
        for name, tensor in light_field.tensors.items()
    }
    assert all(not torch.equal(tensors[name], light_field.tensors[name]) for name in tensors)
    expected = colors_of(replace(light_field, tensors=tensors), Precision.FP32, "reference", rays)
    engine = build_engine(light_field, precision, "torch", "cpu")
    colors = shade_all(engine, *rays)
    assert (colors - expected).abs().max() < 1e-5
    fp32 = colors_of(light_field, Precision.FP32, "reference", rays)
    assert (fp32 - expected).abs().max() > 1e-4
    assert engine.info.arithmetic == "float32"
    assert "values in float32" in engine.info.weight_type


def test_dynamic_int8_fake(make_light_field, scene_rays):
    """Every layer, head and tail too: inputs in the range of the batch, weights per row."""
    light_field = make_light_field(width=64, depth=12, res_scale=0.7)
    network = light_field.network
    engine = build_engine(light_field, Precision.DYNAMIC_INT8_FAKE, "simulated", "cpu")
    rays = scene_rays(engine.tile_rays)
    points = sample_points(*rays, sample_depths(light_field.scene, network.n_sample))
    features = encode_reference(points, network.n_frequencies).numpy()

    def linear(name: str, x: np.ndarray) -> np.ndarray:
        weight = own_largest(light_field.tensors[f"{name}.weight"].numpy(), axis=1)
        return own_largest(x) @ weight.T + light_field.tensors[f"{name}.bias"].numpy()

    hidden = np.maximum(linear("head.0", features), 0)
    x = hidden
    for k in range(network.n_blocks):
        inner = np.maximum(linear(f"body.{k}.body.0", x), 0)
        x = x + linear(f"body.{k}.body.2", inner) * network.res_scale
    expected = 1 / (1 + np.exp(-linear("tail.0", x + hidden)))
    colors = engine.shade(*rays).colors
    fp32 = colors_of(light_field, Precision.FP32, "reference", rays)
    assert agreement_db(colors, expected) > agreement_db(colors, fp32) + 10


def test_dynamic_int8_fake_depends_on_the_batch(make_light_field, scene_rays):
    """As published, and so the account says."""
    light_field = make_light_field(width=64, depth=6)
    engine = build_engine(light_field, Precision.DYNAMIC_INT8_FAKE, "simulated", "cpu")
    origins, directions = scene_rays(engine.tile_rays)
    alone = engine.shade(origins, directions).colors
    far = origins.clone()
    far[-1] *= 50  # one wild ray widens everybody's range
    together = engine.shade(far, directions).colors
    assert not torch.equal(alone[:-1], together[:-1])
    assert "depends on the rays rendered with it" in engine.info.emulated


# --- what the engines say ----------------------------------------------------------------------

ACCOUNTS = [
    pytest.param(name, precision, id=f"{name}-{precision}")
    for name in ("torch", "openvino", "simulated", "reference")
    for precision in Precision
    if availability(precision, name, "cpu").available
]


@pytest.mark.parametrize(("name", "precision"), ACCOUNTS)
def test_the_account_is_honest(make_light_field, name, precision):
    light_field = make_light_field(width=64, depth=6)
    info = build_engine(light_field, precision, name, "cpu").info
    assert (info.engine, info.precision, info.device) == (name, precision, "cpu")
    sizes = {tensor: math.prod(s) for tensor, s in light_field.network.tensor_shapes().items()}
    parameters = sum(sizes.values())
    integer_weights = sum(sizes[f"{layer}.weight"] for layer in body_layers(light_field.network))
    native_fp16 = precision is Precision.FP16 and torch_engine_module._fp16_arithmetic()
    native = precision in (Precision.FP32, Precision.BF16, Precision.INT8) or native_fp16
    assert (info.emulated is None) is native
    if native:
        expected = {
            Precision.FP32: ("float32", 4 * parameters),
            Precision.BF16: ("bfloat16", 2 * parameters),
            Precision.FP16: ("float16", 2 * parameters),
            # With the matrix that turns the stream.
            Precision.INT8: ("int8", 4 * (parameters + 64 * 64) - 3 * integer_weights),
        }[precision]
        assert (info.weight_type, info.weight_bytes) == expected
        assert {"int8": "int8 x int8"}.get(info.weight_type, info.weight_type) in info.arithmetic
    else:
        assert len(info.emulated) > 10
        assert info.weight_type.endswith(" values in float32")
        assert info.weight_bytes == 4 * parameters
        assert "float32" in info.arithmetic
        assert "int8 x int8" not in info.arithmetic


@pytest.mark.parametrize("recipe_precision", [Precision.INT8_SIM, Precision.INT8_STATIC_SIM])
def test_a_network_without_a_body_is_not_called_int8(make_light_field, recipe_precision):
    info = build_engine(make_light_field(depth=2), recipe_precision, "simulated").info
    assert info.weight_type == "float32"
