"""Static ranges: found by brute force as well, smoothed without changing the network, and imported
from other libraries' files."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from r2l_core.errors import QuantizationError
from r2l_core.geometry.rays import sample_depths, sample_points
from r2l_core.model.arithmetic import quantize_rows
from r2l_core.model.encoding import encode_reference
from r2l_core.model.light_field import LightField
from r2l_core.model.quantized import Quantization, body_layers
from r2l_core.quantization.calibration import (
    CALIBRATORS,
    CalibrationConfig,
    ImportedRange,
    calibrated,
    calibration_rays,
    layer_inputs,
)
from r2l_core.quantization.recipes import load_ranges, quantized

pytestmark = pytest.mark.slow

N_RAYS = 300


def brute_force_inputs(light_field: LightField, n_rays: int, seed: int = 0) -> dict:
    """What every body layer sees, float32 (n_rays, width), taken from the nn.Module itself."""
    origins, directions = calibration_rays(light_field.scene, n_rays, seed)
    network = light_field.network
    points = sample_points(origins, directions, sample_depths(light_field.scene, network.n_sample))
    module, seen = light_field.module(), {}
    for name, part in module.named_modules():
        if isinstance(part, nn.Linear) and name.startswith("body."):
            part.register_forward_pre_hook(
                lambda _part, inputs, name=name: seen.update({name: inputs[0].clone()})
            )
    module(encode_reference(points, network.n_frequencies))
    assert list(seen) == body_layers(network)
    return seen


def ranges_of(quantization: Quantization) -> dict[str, float]:
    return {name: layer.input_amax for name, layer in quantization.layers.items()}


@pytest.fixture(scope="module")
def field(make_light_field):
    """W24 D8."""
    return make_light_field(width=24, depth=8)


@pytest.fixture(scope="module")
def inputs(field):
    """What the layers of `field` see of the calibration rays."""
    return brute_force_inputs(field, N_RAYS)


# --- the rays ----------------------------------------------------------------------------------


@pytest.mark.parametrize("n_rays", [1, 511, 512, 513])
def test_rays_are_such_as_the_scene_was_photographed_with(scene, n_rays):
    origins, directions = calibration_rays(scene, n_rays, seed=1)
    assert origins.shape == directions.shape == (n_rays, 3)
    from_center = origins - torch.tensor(scene.center)
    np.testing.assert_allclose(from_center.norm(dim=-1), scene.origin_radius, rtol=1e-5)
    assert ((from_center * directions).sum(-1) < 0).all(), "they look inwards"


def test_rays_come_from_several_cameras(scene):
    plain = replace(scene, origin_radius=None)
    origins, _ = calibration_rays(plain, 2000, seed=0)
    assert len(origins.unique(dim=0)) == 4
    assert (origins[:, 2] >= scene.center[2] - 1e-5).all()


def test_layer_inputs_are_those_of_the_module(field, inputs):
    rays = calibration_rays(field.scene, N_RAYS, 0)
    seen = dict(layer_inputs(field, *rays))
    assert seen.keys() == inputs.keys()
    for name, expected in inputs.items():
        torch.testing.assert_close(seen[name], expected, rtol=1e-4, atol=1e-4)


def test_layer_inputs_of_more_than_one_batch(make_light_field):
    light_field = make_light_field(width=4, depth=4)
    sizes: dict[str, int] = {}
    for name, x in layer_inputs(light_field, *calibration_rays(light_field.scene, 5000, 0)):
        sizes[name] = sizes.get(name, 0) + len(x)
    assert sizes == {"body.0.body.0": 5000, "body.0.body.2": 5000}


# --- ranges ------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [None, 0.0, 0.5, 1.0])
@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_ranges_are_usable(field, calibrator, alpha):
    config = CalibrationConfig(calibrator, alpha, N_RAYS)
    result = calibrated(field, config)
    largest = ranges_of(calibrated(field, replace(config, calibrator="max")))
    assert result.recipe == "int8-static"
    assert list(result.layers) == body_layers(field.network)
    assert result.settings == {
        "calibrator": calibrator,
        "smooth_alpha": alpha,
        "calibration_rays": N_RAYS,
        "imported_layers": 0,
    }
    for name, layer in result.layers.items():
        assert 0 < layer.input_amax <= largest[name]
        assert np.isfinite(layer.input_amax)
        assert (layer.smooth is None) is (alpha is None)
        if layer.smooth is not None:
            assert layer.smooth.shape == (24,)
            assert torch.isfinite(layer.smooth).all()
            assert (layer.smooth > 0).all()


def test_max_is_the_largest_input(field, inputs):
    result = ranges_of(calibrated(field, CalibrationConfig("max", None, N_RAYS)))
    for name, x in inputs.items():
        assert result[name] == pytest.approx(float(x.abs().max()), rel=1e-4)


def test_percentile_is_the_quantile(field, inputs):
    result = ranges_of(calibrated(field, CalibrationConfig("percentile", None, N_RAYS)))
    for name, x in inputs.items():
        quantile = np.quantile(x.abs().numpy(), 0.9999, method="inverted_cdf")
        bin_width = float(x.abs().max()) / 2048
        assert result[name] == pytest.approx(quantile, abs=1.5 * bin_width)


def squared_error(x: np.ndarray, amax: float) -> float:
    step = amax / 127
    return float(((np.clip(np.rint(x / step), -127, 127) * step - x) ** 2).mean())


def least_squared_error(x: np.ndarray) -> float:
    """Of many ranges tried on the values themselves."""
    return min(squared_error(x, share * np.abs(x).max()) for share in np.linspace(0.02, 1, 99))


@pytest.mark.parametrize("alpha", [None, 0.5])
def test_mse_has_the_least_squared_error(field, inputs, alpha):
    for name, layer in calibrated(field, CalibrationConfig("mse", alpha, N_RAYS)).layers.items():
        x = inputs[name].double().numpy()
        if layer.smooth is not None:
            x = x / layer.smooth.double().numpy()
        assert squared_error(x, layer.input_amax) <= 1.05 * least_squared_error(x)


def test_entropy_loses_the_least_information(field, inputs):
    """As NVIDIA's calibrators document it: the values above the range count as its last bin, and
    the values of one level are spread evenly over the bins of that level that had any."""

    def divergence(counts: np.ndarray, end: int) -> float:
        p = counts[:end].astype(np.float64)
        p[-1] += counts[end:].sum()
        level = np.digitize(np.arange(end), np.linspace(0, end, 129)) - 1
        q = np.zeros(end)
        for k in range(128):
            filled = (level == k) & (counts[:end] > 0)
            if filled.any():
                q[filled] = counts[:end][filled].sum() / filled.sum()
        p, q = p / p.sum(), q / q.sum()
        seen = p > 0
        return float((p[seen] * np.log(p[seen] / np.maximum(q[seen], 1e-12))).sum())

    result = ranges_of(calibrated(field, CalibrationConfig("entropy", None, N_RAYS)))
    for name, x in inputs.items():
        largest = float(x.abs().max())
        counts, _ = np.histogram(x.abs().numpy(), 2048, (0, largest))
        counts[0] = counts[1]  # else the zeros that every ReLU gives would decide
        chosen = round(result[name] / largest * 2048)
        best = min(divergence(counts, end) for end in range(128, 2049, 8))
        assert divergence(counts, chosen) <= 1.001 * best + 1e-6


@pytest.fixture(scope="module")
def outliers(make_light_field):
    """W64 D4 whose first layer sees values up to 1, but for 50 in one channel for a few of 20,000
    rays."""
    light_field = make_light_field(width=64, depth=4)
    rays = calibration_rays(light_field.scene, 20_000, 0)
    x = sample_points(*rays, sample_depths(light_field.scene, 8))[:, 0]
    threshold = float(np.quantile(x, 0.9997))
    slope = 50 / (float(x.max()) - threshold)
    weight = torch.zeros(64, light_field.network.input_size)
    weight[0, 8] = slope  # of x of the first sample
    bias = torch.linspace(0, 1, 64)
    bias[0] = -slope * threshold
    tensors = {**light_field.tensors, "head.0.weight": weight, "head.0.bias": bias}
    return replace(light_field, tensors=tensors)


def test_outliers_are_cut_off_by_all_but_max(outliers):
    found = {
        calibrator: ranges_of(calibrated(outliers, CalibrationConfig(calibrator, None, 20_000)))
        for calibrator in CALIBRATORS
    }
    first = {calibrator: ranges["body.0.body.0"] for calibrator, ranges in found.items()}
    assert first["max"] == pytest.approx(50, rel=1e-3)
    assert all(amax < 0.5 * first["max"] for name, amax in first.items() if name != "max")
    x = brute_force_inputs(outliers, 20_000)["body.0.body.0"].double().numpy()
    assert squared_error(x, first["mse"]) <= 1.05 * least_squared_error(x)


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_a_layer_that_is_always_zero(make_light_field, calibrator):
    light_field = make_light_field(width=8, depth=4)
    dark = {**light_field.tensors, "head.0.bias": torch.full((8,), -1e4)}
    light_field = replace(light_field, tensors=dark)
    for alpha in (None, 0.5):
        result = calibrated(light_field, CalibrationConfig(calibrator, alpha, 64))
        assert ranges_of(result)["body.0.body.0"] == 0
        assert result.layers["body.0.body.0"].weight.values.shape == (8, 8)


@pytest.mark.parametrize("alpha", [None, 0.5])
@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_one_ray_is_enough(make_light_field, calibrator, alpha):
    for width in (1, 16):
        light_field = make_light_field(width=width, depth=4)
        result = calibrated(light_field, CalibrationConfig(calibrator, alpha, 1))
        assert all(np.isfinite(amax) and amax >= 0 for amax in ranges_of(result).values())


def test_a_network_without_a_body(make_light_field):
    assert calibrated(make_light_field(depth=2), CalibrationConfig(n_rays=4)).layers == {}


def test_a_network_that_overflows_is_refused(make_light_field):
    light_field = make_light_field(depth=8)
    names = ["body.1.body.0.weight", "body.1.body.2.weight"]
    huge = {name: light_field.tensors[name] * 1e30 for name in names}
    tensors = {**light_field.tensors, **huge}
    for calibrator in CALIBRATORS:
        for alpha in (None, 0.5):
            with pytest.raises(QuantizationError, match=r"body\.\d\.body\.\d cannot be calibrated"):
                calibrated(
                    replace(light_field, tensors=tensors), CalibrationConfig(calibrator, alpha, 16)
                )


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_the_seed_decides(field, calibrator):
    config = CalibrationConfig(calibrator, 0.5, N_RAYS, seed=3)
    first, again = calibrated(field, config), calibrated(field, config)
    assert ranges_of(first) == ranges_of(again)
    for name, layer in first.layers.items():
        assert torch.equal(layer.smooth, again.layers[name].smooth)
        assert torch.equal(layer.weight.values, again.layers[name].weight.values)
    assert ranges_of(calibrated(field, replace(config, seed=4))) != ranges_of(first)


# --- smoothing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
def test_smoothing_is_that_of_the_paper(field, inputs, alpha):
    """s = max|X|^alpha / max|W|^(1 - alpha), channel by channel."""
    for name, layer in calibrated(field, CalibrationConfig("max", alpha, N_RAYS)).layers.items():
        x_max = inputs[name].abs().amax(0).clamp_min(1e-5)
        w_max = field.tensors[f"{name}.weight"].abs().amax(0).clamp_min(1e-5)
        expected = (x_max**alpha / w_max ** (1 - alpha)).clamp_min(1e-5)
        torch.testing.assert_close(layer.smooth, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_smoothing_does_not_change_what_the_layer_computes(field, inputs, alpha):
    """Its inputs are divided by what its weight is multiplied by."""
    for name, layer in calibrated(field, CalibrationConfig("max", alpha, N_RAYS)).layers.items():
        x, weight = inputs[name].double(), field.tensors[f"{name}.weight"].double()
        s = layer.smooth.double()
        torch.testing.assert_close((x / s) @ (weight * s).T, x @ weight.T, rtol=1e-9, atol=1e-9)
        # The integers are those of the multiplied weight, and the range that of divided inputs.
        scaled = quantize_rows(field.tensors[f"{name}.weight"] * layer.smooth)
        assert torch.equal(layer.weight.values, scaled.values)
        assert torch.equal(layer.weight.scale, scaled.scale)
        assert layer.input_amax == pytest.approx(float((x / s).abs().max()), rel=1e-4)
        half_a_step = layer.weight.scale.double() / 2 / s
        assert ((layer.effective_weight() - weight).abs() <= half_a_step * 1.001).all()


def test_full_smoothing_makes_channels_alike(field, inputs):
    result = calibrated(field, CalibrationConfig("max", 1.0, N_RAYS))
    for name, layer in result.layers.items():
        alike = (inputs[name] / layer.smooth).abs().amax(0)
        alive = inputs[name].abs().amax(0) > 1e-4
        torch.testing.assert_close(alike[alive], torch.ones_like(alike[alive]), rtol=1e-3, atol=0)


# --- ranges of other libraries -----------------------------------------------------------------


def save(entries: Mapping[str, object], path: Path) -> Path:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(dict(entries), path)
    else:
        torch.save(dict(entries), path)
    return path


def library_entries(
    light_field: LightField,
    names: list[str],
    quantizer: str = "_{}_quantizer._amax",
    prefix: str = "",
    per_row: bool = True,
) -> dict[str, torch.Tensor]:
    """Ranges as the libraries name and shape them; layer i has the input range 10 + i."""
    entries = {}
    for i, name in enumerate(names):
        weight = light_field.tensors[f"{name}.weight"]
        amax = weight.abs().amax(dim=1, keepdim=True) * 1.5 if per_row else weight.abs().max() * 1.5
        entries[f"{prefix}{name}.{quantizer.format('input')}"] = torch.tensor(10.0 + i)
        entries[f"{prefix}{name}.{quantizer.format('weight')}"] = amax
    return entries


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize(
    "quantizer", ["_{}_quantizer._amax", "{}_quantizer._amax"], ids=["nvidia-old", "modelopt"]
)
@pytest.mark.parametrize("per_row", [True, False], ids=["per-row", "per-tensor"])
def test_imported_ranges_replace_calibration(field, tmp_path, suffix, prefix, quantizer, per_row):
    names = body_layers(field.network)
    entries = library_entries(field, names, quantizer, prefix, per_row)
    path = save({**entries, "body.0.body.0.weight": torch.zeros(2)}, tmp_path / f"ranges{suffix}")
    result = calibrated(field, CalibrationConfig("mse", 0.5, 8), imported=load_ranges(path))
    assert ranges_of(result) == {name: 10.0 + i for i, name in enumerate(names)}
    assert result.settings["imported_layers"] == len(names)
    for name, layer in result.layers.items():
        weight = field.tensors[f"{name}.weight"].double()
        rows = weight.abs().amax(1, keepdim=True) if per_row else weight.abs().max()
        scale = (rows * 1.5 / 127).expand(24, 1)
        torch.testing.assert_close(layer.weight.scale.double(), scale, rtol=1e-6, atol=0)
        assert layer.weight.scale.shape == (24, 1)
        assert ((layer.weight.dequantized() - weight).abs() <= scale * 0.5001).all()
        assert layer.smooth is None


def test_weights_beyond_their_imported_range_are_clipped(field):
    name = "body.0.body.0"
    given = ImportedRange(1.0, torch.full((24, 1), 1e-3))
    layer = calibrated(field, CalibrationConfig(n_rays=8), imported={name: given}).layers[name]
    assert layer.weight.values.abs().max() == 127
    assert layer.weight.dequantized().abs().max() <= 1.0001e-3


@pytest.mark.parametrize("nothing", [0.0, 2.0**-25])
def test_an_imported_range_of_nothing_makes_zeros(field, nothing):
    name = "body.0.body.0"
    given = ImportedRange(0.0, torch.full((24, 1), nothing))
    layer = calibrated(field, CalibrationConfig(n_rays=8), imported={name: given}).layers[name]
    assert not layer.weight.values.any()
    assert not layer.weight.scale.any()


def test_layers_that_are_not_imported_are_calibrated(field, tmp_path):
    path = save(library_entries(field, ["body.1.body.2"]), tmp_path / "one.pth")
    config = CalibrationConfig("max", 0.5, N_RAYS)
    result, without = (
        calibrated(field, config, imported=load_ranges(path)),
        calibrated(field, config),
    )
    for name, amax in ranges_of(result).items():
        assert amax == (10.0 if name == "body.1.body.2" else without.layers[name].input_amax)


def test_ranges_of_inputs_alone(field, tmp_path):
    path = save({"body.0.body.0._input_quantizer._amax": torch.tensor([[2.5]])}, tmp_path / "r.pth")
    (imported,) = load_ranges(path).items()
    assert imported == ("body.0.body.0", ImportedRange(2.5, None))
    layer = calibrated(field, CalibrationConfig(n_rays=8), imported=dict([imported])).layers[
        "body.0.body.0"
    ]
    weight = quantize_rows(field.tensors["body.0.body.0.weight"])
    assert layer.input_amax == 2.5
    assert torch.equal(layer.weight.values, weight.values)


def test_a_file_about_head_and_tail_as_well(field, tmp_path):
    """The libraries quantise every linear layer; ours keeps head and tail in float32."""
    names = ["head.0", *body_layers(field.network), "tail.0"]
    path = save(library_entries(field, names), tmp_path / "all.pth")
    result = calibrated(field, imported=load_ranges(path))
    assert list(result.layers) == names[1:-1]
    assert ranges_of(result)["body.0.body.0"] == 11.0


def test_imported_ranges_of_layers_that_the_mix_keeps_in_fp32(field, tmp_path):
    names = body_layers(field.network)
    path = save(library_entries(field, names), tmp_path / "all.pth")
    mix = dict.fromkeys(names[:2], "fp32")
    result = calibrated(field, None, mix, load_ranges(path))
    assert list(result.layers) == names[2:]
    assert result.settings["imported_layers"] == len(names) - 2


def test_a_state_dict_inside_a_training_checkpoint(field, tmp_path):
    entries = library_entries(field, ["body.0.body.0"])
    path = save({"epoch": 3, "state_dict": entries}, tmp_path / "training.pth")
    assert load_ranges(path)["body.0.body.0"].input_amax == 10.0


def test_half_precision_ranges(field, tmp_path):
    entries = library_entries(field, ["body.0.body.0"])
    halves = {name: value.to(torch.bfloat16) for name, value in entries.items()}
    found = load_ranges(save(halves, tmp_path / "halves.safetensors"))["body.0.body.0"]
    assert found.input_amax == 10.0
    assert found.weight_amax.dtype == torch.float32


INPUT, WEIGHT = "body.0.body.0._input_quantizer._amax", "body.0.body.0._weight_quantizer._amax"
GOOD = {INPUT: torch.tensor(1.0)}
BAD_FILES = {
    "input-nan": ({INPUT: torch.tensor(float("nan"))}, INPUT),
    "input-infinite": ({INPUT: torch.tensor(float("inf"))}, INPUT),
    "input-negative": ({INPUT: torch.tensor(-1.0)}, INPUT),
    "input-beyond-float32": ({INPUT: torch.tensor(1e300, dtype=torch.float64)}, INPUT),
    "input-per-channel": ({INPUT: torch.ones(24)}, INPUT),
    "input-empty": ({INPUT: torch.ones(0)}, INPUT),
    "input-integer": ({INPUT: torch.tensor(3)}, INPUT),
    "input-complex": ({INPUT: torch.tensor(1 + 1j)}, INPUT),
    "weight-nan": ({**GOOD, WEIGHT: torch.full((24, 1), float("nan"))}, WEIGHT),
    "weight-negative": ({**GOOD, WEIGHT: torch.full((24, 1), -2.0)}, WEIGHT),
    "smoothed": (
        {**GOOD, "body.0.body.0.input_quantizer._pre_quant_scale": torch.ones(24)},
        "smooths",
    ),
    "only-weights": ({WEIGHT: torch.ones(24, 1)}, "input_quantizer._amax"),
    "no-ranges": ({"body.0.body.0.weight": torch.ones(24, 24)}, "input_quantizer._amax"),
    "nothing": ({}, "input_quantizer._amax"),
}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(("entries", "named"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_ranges_are_named(tmp_path, entries, named, suffix):
    path = save(entries, tmp_path / f"bad{suffix}")
    with pytest.raises(QuantizationError) as caught:
        load_ranges(path)
    assert str(path) in str(caught.value)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("imported", "named"),
    [
        ({"body.0.body.0": ImportedRange(1.0, torch.ones(23, 1))}, "body.0.body.0"),
        ({"body.0.body.0": ImportedRange(1.0, torch.ones(0))}, "body.0.body.0"),
        ({"body.99.body.0": ImportedRange(1.0)}, "body.99.body.0"),
        ({"pts_linears.0": ImportedRange(1.0)}, "pts_linears.0"),
        ({"": ImportedRange(1.0)}, "''"),
    ],
)
def test_ranges_of_another_network_are_refused(field, imported, named):
    with pytest.raises(QuantizationError) as caught:
        calibrated(field, CalibrationConfig(n_rays=4), imported=imported)
    assert named in str(caught.value)


class Malicious:
    """Unpickling this makes a file."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self):
        return (os.open, (str(self.sentinel), os.O_CREAT | os.O_WRONLY))


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
@pytest.mark.parametrize("container", ["torch-zip", "torch-legacy", "pickle-2", "pickle-5"])
def test_pickles_that_run_code_are_refused_and_never_run(tmp_path, container, suffix):
    sentinel = tmp_path / "sentinel"
    payload = {**GOOD, "more": Malicious(sentinel)}
    path = tmp_path / f"evil{suffix}"
    if container.startswith("torch"):
        torch.save(payload, path, _use_new_zipfile_serialization=container == "torch-zip")
    else:
        path.write_bytes(pickle.dumps(payload, protocol=int(container[-1])))
    with pytest.raises(QuantizationError) as caught:
        load_ranges(path)
    assert not sentinel.exists()
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text, "one paragraph"
    assert "weights_only" not in text, "no advice to open it without protection"


def test_the_payload_above_would_have_worked(tmp_path):
    os.close(pickle.loads(pickle.dumps(Malicious(tmp_path / "sentinel"))))
    assert (tmp_path / "sentinel").exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\x00" * 4096, struct.pack("<Q", 2**62), b"PK\x03\x04" + b"x" * 99]
)
def test_files_of_something_else(tmp_path, data, suffix):
    path = tmp_path / f"other{suffix}"
    path.write_bytes(data)
    with pytest.raises(QuantizationError) as caught:
        load_ranges(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [[1, 2], torch.ones(3), "text", None], ids=repr)
def test_torch_files_of_something_else(tmp_path, content):
    path = tmp_path / "other.pth"
    torch.save(content, path)
    with pytest.raises(QuantizationError, match="not a state dict"):
        load_ranges(path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_missing_files_and_folders(tmp_path, suffix):
    (tmp_path / f"folder{suffix}").mkdir()
    for name in ("missing", "folder"):
        path = tmp_path / f"{name}{suffix}"
        with pytest.raises(QuantizationError) as caught:
            load_ranges(path)
        assert str(path) in str(caught.value)


def test_other_recipes_have_no_use_for_ranges(field):
    """`quantized` hands them to int8-static alone."""
    imported = {"body.0.body.0": ImportedRange(1.0)}
    layers = quantized(field, "int8", imported=imported).quantization.layers
    assert all(layer.input_amax is None for layer in layers.values())
