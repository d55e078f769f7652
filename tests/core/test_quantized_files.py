"""Quantised light fields on disk: what is written renders the same again, and damage is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import safetensors.torch
import torch

from r2l_core.checkpoints.opening import load_light_field, save_light_field
from r2l_core.commands.cli import main
from r2l_core.engines.backends import ENGINES, availability
from r2l_core.engines.building import build_engine
from r2l_core.engines.choice import shade_all
from r2l_core.engines.faithful import default_precision
from r2l_core.errors import CheckpointError, QuantizationError
from r2l_core.model.light_field import LightField
from r2l_core.model.quantized import Recipe, body_layers
from r2l_core.model.turning import TURN_SIGNS
from r2l_core.quantization import mix, recipes
from r2l_core.quantization.calibration import CalibrationConfig
from r2l_core.quantization.recipes import load_mix, quantized
from r2l_core.types import Precision

pytestmark = pytest.mark.slow

RECIPES = get_args(Recipe)
STATIC = CalibrationConfig("mse", 0.5, n_rays=64)
OPENS_IN = {
    "weights-bf16": Precision.FP32,
    "weights-int8-fake": Precision.FP32,
    "dynamic-int8-fake": Precision.DYNAMIC_INT8_FAKE,
    "int8": Precision.INT8,
    "int8-static": Precision.INT8_STATIC_SIM,
}
SHOWS = [
    *OPENS_IN.items(),
    ("int8", Precision.INT8_SIM),
    ("weights-bf16", Precision.WEIGHTS_BF16),
    ("weights-int8-fake", Precision.WEIGHTS_INT8_FAKE),
    *((recipe, Precision.FP32) for recipe in ("int8", "int8-static", "dynamic-int8-fake")),
]
"""Recipes with the precisions that show them, and fp32, which shows what the integers stand for."""


def in_recipe(light_field: LightField, recipe: Recipe, **options) -> LightField:
    return quantized(light_field, recipe, STATIC, **options)


def reopened(light_field: LightField, tmp_path: Path) -> LightField:
    path = tmp_path / "quantised.safetensors"
    save_light_field(light_field, path)
    return load_light_field(str(path))


@pytest.fixture
def no_calibration(monkeypatch):
    """Ranges are in the file; looking for them again would hide that they are not."""

    def calibrated(*_):
        raise AssertionError("calibrated again")

    monkeypatch.setattr(mix, "calibrated", calibrated)
    monkeypatch.setattr(recipes, "calibrated", calibrated)


# --- there and back ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "network", [{"width": 64, "depth": 12}, {"width": 7}, {"depth": 2}], ids=str
)
@pytest.mark.parametrize(
    ("recipe", "precision"), SHOWS, ids=[f"{recipe}-in-{precision}" for recipe, precision in SHOWS]
)
def test_colours_come_back_bit_by_bit(
    make_light_field, scene_rays, tmp_path, request, recipe, precision, network
):
    able = [name for name in ENGINES if availability(precision, name, "cpu").available]
    if not able:
        pytest.skip(availability(precision, device="cpu").why_not)
    before = in_recipe(make_light_field(**network), recipe)
    after = reopened(before, tmp_path)
    request.getfixturevalue("no_calibration")
    rays = scene_rays(300)
    for name in able:
        first, second = (build_engine(field, precision, name, "cpu") for field in (before, after))
        assert torch.equal(shade_all(first, *rays), shade_all(second, *rays))
        assert first.info == second.info


@pytest.mark.parametrize("recipe", RECIPES)
def test_everything_comes_back(make_light_field, tmp_path, recipe):
    light_field = make_light_field(width=24, provenance={"made": "by chance"})
    light_field = replace(light_field, sha256="5" * 64)
    before = in_recipe(light_field, recipe)
    after = reopened(before, tmp_path)
    assert after.network == light_field.network
    assert after.scene == light_field.scene
    assert after.provenance == {"made": "by chance", "quantized_from_sha256": "5" * 64}
    assert after.tensors.keys() == light_field.tensors.keys()
    for name, tensor in after.tensors.items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, before.tensors[name])
    assert after.quantization.recipe == recipe
    assert after.quantization.settings == before.quantization.settings
    assert after.quantization.layers.keys() == before.quantization.layers.keys()
    for name, layer in before.quantization.layers.items():
        again = after.quantization.layers[name]
        assert torch.equal(again.weight.values, layer.weight.values)
        assert torch.equal(again.weight.scale, layer.weight.scale)
        if recipe == "int8-static":
            assert again.input_amax == pytest.approx(layer.input_amax, rel=1e-6)
            assert torch.equal(again.smooth, layer.smooth)
            assert again.center is None
        else:
            assert (again.input_amax, again.smooth) == (None, None)
            assert (again.center is None) == (layer.center is None)
            assert again.center is None or torch.equal(again.center, layer.center)


def test_which_tensors_a_recipe_changes(make_light_field):
    """Head and tail stay as they are in int8, which corrects biases for what it rounds;
    dynamic-int8-fake rounds while it runs."""
    light_field = make_light_field(width=24)
    inner = {f"{name}.weight" for name in body_layers(light_field.network)}
    biases = {f"{name}.bias" for name in body_layers(light_field.network)}
    changes = {
        "weights-bf16": set(light_field.tensors),
        "weights-int8-fake": set(light_field.tensors),
        "dynamic-int8-fake": set(),
        "int8": inner | biases,
        "int8-static": inner,
    }
    for recipe, expected in changes.items():
        tensors = in_recipe(light_field, recipe).tensors
        changed = {
            name for name, t in tensors.items() if not torch.equal(t, light_field.tensors[name])
        }
        assert changed == expected, recipe


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_light_field_opens_in_its_recipe(make_light_field, tmp_path, recipe):
    light_field = reopened(in_recipe(make_light_field(width=16), recipe), tmp_path)
    assert light_field.quantization.opens_in is OPENS_IN[recipe]
    if availability(OPENS_IN[recipe]).available:
        assert default_precision(light_field) is OPENS_IN[recipe]


@pytest.mark.parametrize(
    ("recipe", "at_most", "stored"),
    [
        ("int8", 0.3, "int8"),
        ("int8-static", 0.3, "int8"),
        ("weights-bf16", 0.52, "bfloat16"),
        ("weights-int8-fake", 1.02, "float32"),
        ("dynamic-int8-fake", 1.02, "float32"),
    ],
)
def test_sizes_of_files(make_light_field, tmp_path, recipe, at_most, stored):
    """Eight bits are a quarter, but for head, tail and scales."""
    light_field = make_light_field(width=128, depth=22, n_sample=2, n_frequencies=0)
    fp32, small = tmp_path / "fp32.safetensors", tmp_path / "quantised.safetensors"
    save_light_field(light_field, fp32)
    save_light_field(in_recipe(light_field, recipe), small)
    assert small.stat().st_size < at_most * fp32.stat().st_size
    assert load_light_field(str(small)).stored_dtype == stored


@pytest.mark.parametrize("recipe", ["int8", "int8-static"])
def test_integers_are_readable_by_plain_safetensors(make_light_field, tmp_path, recipe):
    path = tmp_path / "quantised.safetensors"
    light_field = make_light_field(width=24)
    save_light_field(in_recipe(light_field, recipe), path)
    tensors = safetensors.torch.load_file(path)
    for name in body_layers(light_field.network):
        assert tensors[f"{name}.weight"].dtype == torch.int8
        assert tensors[f"{name}.weight_scale"].shape == (24, 1)
        assert (f"{name}.input_amax" in tensors) is (recipe == "int8-static")
        assert (f"{name}.smooth" in tensors) is (recipe == "int8-static")
    assert tensors["head.0.weight"].dtype == torch.float32


def test_the_account_of_what_was_quantised(make_light_field):
    """A new light field: not the file it came from, and the original is left as it was."""
    light_field = replace(make_light_field(width=16), sha256="5" * 64)
    before = {name: tensor.clone() for name, tensor in light_field.tensors.items()}
    result = in_recipe(light_field, "int8-static")
    assert result.sha256 == ""
    assert result.quantization.settings == {
        "calibrator": "mse",
        "smooth_alpha": 0.5,
        "calibration_rays": 64,
        "imported_layers": 0,
    }
    assert light_field.quantization is None
    assert all(torch.equal(before[name], light_field.tensors[name]) for name in before)


@pytest.mark.parametrize("first", RECIPES)
def test_nothing_is_quantised_twice(make_light_field, tmp_path, first):
    once = in_recipe(make_light_field(), first)
    for light_field in (once, reopened(once, tmp_path)):
        for second in RECIPES:
            with pytest.raises(QuantizationError, match="quantised already") as caught:
                in_recipe(light_field, second)
            assert first in str(caught.value)


# --- mixed layers ------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", ["int8", "int8-static"])
def test_mixed_layers_come_back(make_light_field, scene_rays, tmp_path, recipe):
    light_field = make_light_field(width=64, depth=8)
    names = body_layers(light_field.network)
    mix = {names[0]: "fp32", names[3]: "fp32", names[4]: "int8"}
    before = in_recipe(light_field, recipe, mix=mix)
    after = reopened(before, tmp_path)
    assert set(after.quantization.layers) == set(names) - {names[0], names[3]}
    for name in (names[0], names[3]):
        kept = after.tensors[f"{name}.weight"]
        assert torch.equal(kept, light_field.tensors[f"{name}.weight"])
    precision = Precision.INT8_SIM if recipe == "int8" else Precision.INT8_STATIC_SIM
    rays = scene_rays(300)
    first, second = (build_engine(field, precision, "simulated") for field in (before, after))
    assert torch.equal(shade_all(first, *rays), shade_all(second, *rays))
    assert "2 of 6 body layers in float32" in second.info.arithmetic


def test_a_mix_of_fp32_alone_comes_back(make_light_field, scene_rays, tmp_path):
    light_field = make_light_field()
    mix = dict.fromkeys(body_layers(light_field.network), "fp32")
    after = reopened(in_recipe(light_field, "int8", mix=mix), tmp_path)
    assert after.quantization.layers == {}
    assert after.stored_dtype == "float32"
    rays = scene_rays(100)
    colors = shade_all(build_engine(after, Precision.INT8_SIM), *rays)
    fp32 = shade_all(build_engine(light_field, Precision.FP32, "reference"), *rays)
    assert (colors - fp32).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("mix", "named"),
    [
        ({"head.0": "int8"}, "head.0"),
        ({"tail.0": "fp32"}, "tail.0"),
        ({"body.0.body.1": "int8"}, "body.0.body.1"),
        ({"body.9.body.0": "int8"}, "body.9.body.0"),
        ({"body.0.body.0": "int4"}, "int4"),
        ({"body.0.body.0": None}, "None"),
        ({"body.0.body.0": ["int8"]}, "int8"),
        ({"body.0.body.0": {"a": 1}}, "body.0.body.0"),
    ],
    ids=str,
)
@pytest.mark.parametrize("depth", [2, 6])
def test_mixes_that_make_no_sense(make_light_field, mix, named, depth):
    for recipe in ("int8", "int8-static"):
        with pytest.raises(QuantizationError) as caught:
            in_recipe(make_light_field(depth=depth), recipe, mix=mix)
        assert named in str(caught.value) or depth == 2


@pytest.mark.parametrize("text", ["", "[]", "3", "null", "{", "[" * 100_000, b"\xff\xfe{}", '"a"'])
def test_mix_files_that_cannot_be_read(tmp_path, text):
    path = tmp_path / "mix.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(QuantizationError) as caught:
        load_mix(path)
    assert str(path) in str(caught.value)


def test_mix_files_that_are_not_there(tmp_path):
    for path in (tmp_path / "missing.json", tmp_path):
        with pytest.raises(QuantizationError) as caught:
            load_mix(path)
        assert str(path) in str(caught.value)


# --- damage ------------------------------------------------------------------------------------

LAYER = "body.1.body.0"


def edited(path: Path, change_tensors=None, **metadata) -> None:
    """Write the file again with changed tensors and header texts; None removes a text."""
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    tensors = safetensors.torch.load(data)
    if change_tensors is not None:
        change_tensors(tensors)
    header = {k: v for k, v in {**header, **metadata}.items() if v is not None}
    safetensors.torch.save_file(tensors, path, header)


def poked(suffix: str, change):
    """Replace the tensor `LAYER.suffix` by what `change` makes of it; None removes it."""

    def apply(tensors: dict[str, torch.Tensor]) -> None:
        old = tensors.pop(f"{LAYER}.{suffix}")
        new = change(old)
        if new is not None:
            tensors[f"{LAYER}.{suffix}"] = new

    return apply


def filled(value: float):
    def change(tensor: torch.Tensor) -> torch.Tensor:
        result = tensor.clone()
        result.view(-1)[-1] = value
        return result

    return change


def integer_head(tensors: dict[str, torch.Tensor]) -> None:
    tensors["head.0.weight"] = tensors["head.0.weight"].to(torch.int8)
    tensors["head.0.weight_scale"] = torch.ones(len(tensors["head.0.weight"]), 1)


DAMAGED = {
    "scale-flat": ("int8", poked("weight_scale", lambda t: t.reshape(-1).clone())),
    "scale-short": ("int8", poked("weight_scale", lambda t: t[:-1].clone())),
    "scale-one": ("int8", poked("weight_scale", lambda t: t[:1].clone())),
    "scale-nan": ("int8", poked("weight_scale", filled(float("nan")))),
    "scale-infinite": ("int8", poked("weight_scale", filled(float("inf")))),
    "scale-negative": ("int8", poked("weight_scale", filled(-1e-3))),
    "scale-beyond-float32": (
        "int8",
        poked("weight_scale", lambda t: torch.full_like(t, 1e300, dtype=torch.float64)),
    ),
    "scale-missing": ("int8", poked("weight_scale", lambda t: None)),
    "weight-missing": ("int8", poked("weight", lambda t: None)),
    "weight-float": ("int8", poked("weight", lambda t: t.float())),
    "weight-flat": ("int8", poked("weight", lambda t: t.reshape(-1).clone())),
    "weight-short": ("int8", poked("weight", lambda t: t[:, :-1].clone())),
    "weight-unsigned": ("int8", poked("weight", lambda t: t.to(torch.uint8))),
    "bias-missing": ("int8", poked("bias", lambda t: None)),
    "bias-nan": ("int8", poked("bias", filled(float("nan")))),
    "amax-in-int8": ("int8", lambda t: t.update({f"{LAYER}.input_amax": torch.tensor(1.0)})),
    "smooth-in-int8": ("int8", lambda t: t.update({f"{LAYER}.smooth": torch.ones(24)})),
    "integer-head": ("int8", integer_head),
    "signs-two": ("int8", lambda t: t.update({TURN_SIGNS: 2 * t[TURN_SIGNS]})),
    "signs-zero": ("int8", lambda t: t.update({TURN_SIGNS: 0 * t[TURN_SIGNS]})),
    "signs-short": ("int8", lambda t: t.update({TURN_SIGNS: t[TURN_SIGNS][:-1].clone()})),
    "signs-square": ("int8", lambda t: t.update({TURN_SIGNS: torch.ones(24, 24).to(torch.int8)})),
    "signs-float": ("int8", lambda t: t.update({TURN_SIGNS: t[TURN_SIGNS].float()})),
    "signs-static": (
        "int8-static",
        lambda t: t.update({TURN_SIGNS: torch.ones(24, dtype=torch.int8)}),
    ),
    "weight-narrow": ("int8", poked("weight", lambda t: t[:, :-1].contiguous())),
    "unknown-layer": (
        "int8",
        lambda t: t.update(
            {
                "body.7.body.0.weight": torch.zeros(24, 24, dtype=torch.int8),
                "body.7.body.0.weight_scale": torch.ones(24, 1),
            }
        ),
    ),
    "amax-negative": ("int8-static", poked("input_amax", lambda t: -t)),
    "amax-nan": ("int8-static", poked("input_amax", filled(float("nan")))),
    "amax-infinite": ("int8-static", poked("input_amax", filled(float("inf")))),
    "amax-two": ("int8-static", poked("input_amax", lambda t: torch.stack([t, t]))),
    "amax-empty": ("int8-static", poked("input_amax", lambda t: t.reshape(1)[:0].clone())),
    "amax-missing": ("int8-static", poked("input_amax", lambda t: None)),
    "amax-alone": ("int8-static", lambda t: t.update({"head.0.input_amax": torch.tensor(1.0)})),
    "smooth-zero": ("int8-static", poked("smooth", filled(0.0))),
    "smooth-negative": ("int8-static", poked("smooth", filled(-1.0))),
    "smooth-nan": ("int8-static", poked("smooth", filled(float("nan")))),
    "smooth-short": ("int8-static", poked("smooth", lambda t: t[:-1].clone())),
    "smooth-square": ("int8-static", poked("smooth", lambda t: torch.ones(24, 24))),
    "smooth-tiny": ("int8-static", poked("smooth", filled(1e-42))),
}


def assert_refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_light_field(str(path))
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("recipe", "change"), DAMAGED.values(), ids=DAMAGED.keys())
def test_damaged_layers_are_refused(make_light_field, tmp_path, recipe, change):
    path = tmp_path / "damaged.safetensors"
    save_light_field(in_recipe(make_light_field(width=24), recipe), path)
    edited(path)
    load_light_field(str(path))  # it is not the editing that does it
    edited(path, change)
    assert_refused(path)


@pytest.mark.parametrize(
    "description",
    [
        '{"recipe": "int4", "settings": {}}',
        '{"recipe": null}',
        '{"recipe": ["int8"]}',
        '{"recipe": {"int8": 1}}',
        "{}",
        "[]",
        "null",
        "nonsense",
        "",
        "[" * 50_000,
        '{"recipe": "int8-static"}',
        '{"recipe": "weights-bf16"}',
        '{"recipe": "weights-int8-fake"}',
        '{"recipe": "dynamic-int8-fake"}',
        None,
    ],
    ids=lambda text: str(text)[:30] or "empty",
)
def test_recipes_that_do_not_fit_their_layers(make_light_field, tmp_path, description):
    """A wrong recipe would label the picture wrongly."""
    path = tmp_path / "damaged.safetensors"
    save_light_field(in_recipe(make_light_field(width=24), "int8"), path)
    edited(path, quantization=description)
    assert_refused(path)


def test_static_layers_are_not_taken_for_dynamic_ones(make_light_field, tmp_path):
    path = tmp_path / "damaged.safetensors"
    save_light_field(in_recipe(make_light_field(width=24), "int8-static"), path)
    edited(path, quantization='{"recipe": "int8"}')
    assert "fixed range" in assert_refused(path)


@pytest.mark.parametrize("settings", [None, 3, [], "text"])
def test_settings_are_for_people_only(make_light_field, tmp_path, settings):
    path = tmp_path / "odd.safetensors"
    save_light_field(in_recipe(make_light_field(width=24), "int8"), path)
    edited(path, quantization=json.dumps({"recipe": "int8", "settings": settings}))
    assert load_light_field(str(path)).quantization.settings == {}


@pytest.mark.parametrize("recipe", ["int8", "int8-static"])
def test_truncated_files_are_refused(make_light_field, tmp_path, recipe):
    path = tmp_path / "short.safetensors"
    save_light_field(in_recipe(make_light_field(width=24), recipe), path)
    data = path.read_bytes()
    for length in (0, 7, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        assert_refused(path)


# --- on the command line -----------------------------------------------------------------------


@pytest.fixture
def quantize(light_field_file, tmp_path):
    """A function that runs `quantize` with these flags: (exit code, file written)."""

    def run(*flags: str) -> tuple[int, Path]:
        out = tmp_path / "out" / "q.safetensors"
        command = ["quantize", "--checkpoint", str(light_field_file), "--out", str(out), *flags]
        return main(command), out

    return run


@pytest.mark.parametrize("recipe", RECIPES)
def test_quantize_writes_a_file_that_opens(quantize, light_field, tmp_path, capsys, recipe):
    report = tmp_path / "report.json"
    flags = ["--calibration-rays", "64"] if recipe == "int8-static" else []
    code, out = quantize("--recipe", recipe, "--json", str(report), *flags)
    assert code == 0
    opened = load_light_field(str(out))
    assert opened.quantization.recipe == recipe
    integer = recipe in ("int8", "int8-static")
    values = json.loads(report.read_text(encoding="utf-8"))
    assert values["recipe"] == recipe
    assert values["layers_int8"] == (body_layers(light_field.network) if integer else [])
    assert values["size_mb"] == out.stat().st_size / 1e6
    told = capsys.readouterr().out
    assert str(out) in told
    assert OPENS_IN[recipe] in told


def test_quantize_hands_on_its_flags(quantize, light_field, tmp_path):
    mix, amax = tmp_path / "mix.json", tmp_path / "amax.pth"
    mix.write_text('{"body.0.body.0": "fp32"}')
    torch.save({"body.1.body.2._input_quantizer._amax": torch.tensor(3.5)}, amax)
    code, out = quantize(
        *("--recipe", "int8-static", "--calibrator", "percentile", "--smooth-alpha", "0"),
        *("--calibration-rays", "32", "--layers", str(mix), "--amax", str(amax)),
    )
    assert code == 0
    quantization = load_light_field(str(out)).quantization
    assert set(quantization.layers) == set(body_layers(light_field.network)) - {"body.0.body.0"}
    assert quantization.layers["body.1.body.2"].input_amax == 3.5
    assert quantization.layers["body.1.body.2"].smooth is None
    assert quantization.layers["body.1.body.0"].smooth is not None
    assert quantization.settings == {
        "calibrator": "percentile",
        "smooth_alpha": 0.0,
        "calibration_rays": 32,
        "imported_layers": 1,
    }


def test_quantize_gives_the_same_numbers_again(quantize):
    flags = ("--recipe", "int8-static", "--calibrator", "entropy", "--calibration-rays", "64")
    _, out = quantize(*flags)
    first = safetensors.torch.load_file(out)
    quantize(*flags)
    again = safetensors.torch.load_file(out)
    assert all(torch.equal(first[name], again[name]) for name in first)


def assert_one_paragraph(capsys, *named: str) -> None:
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("error: ")
    assert "Traceback" not in error
    for text in named:
        assert text in error


@pytest.mark.parametrize(
    "recipe", ["int8", "weights-bf16", "weights-int8-fake", "dynamic-int8-fake"]
)
@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--calibrator", "max"),
        ("--smooth-alpha", "0"),
        ("--calibration-rays", "8"),
        ("--amax", "ranges.pth"),
    ],
)
def test_flags_of_fixed_ranges_go_with_static_ranges_only(quantize, capsys, recipe, flag, value):
    code, out = quantize("--recipe", recipe, flag, value)
    assert code == 2
    assert not out.exists()
    assert_one_paragraph(capsys, flag, recipe)


@pytest.mark.parametrize("recipe", ["weights-bf16", "weights-int8-fake", "dynamic-int8-fake"])
def test_published_recipes_have_no_mix(quantize, capsys, tmp_path, recipe):
    mix = tmp_path / "mix.json"
    mix.write_text("{}")
    code, out = quantize("--recipe", recipe, "--layers", str(mix))
    assert code == 2
    assert not out.exists()
    assert_one_paragraph(capsys, "--layers", recipe)


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--recipe", "int4"], "--recipe"),
        ([], "--recipe"),
        (["--recipe", "int8-static", "--calibrator", "best"], "--calibrator"),
        (["--recipe", "int8-static", "--smooth-alpha", "1.5"], "--smooth-alpha"),
        (["--recipe", "int8-static", "--smooth-alpha", "nan"], "--smooth-alpha"),
        (["--recipe", "int8-static", "--smooth-alpha", "much"], "--smooth-alpha"),
        (["--recipe", "int8-static", "--calibration-rays", "0"], "--calibration-rays"),
        (["--recipe", "int8-static", "--calibration-rays", "1.5"], "--calibration-rays"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_flags_that_cannot_be_used(quantize, capsys, flags, named):
    with pytest.raises(SystemExit) as caught:
        quantize(*flags)
    assert caught.value.code == 2
    assert_one_paragraph(capsys, named)


@pytest.mark.parametrize("flag", ["--layers", "--amax"])
def test_files_that_flags_name_must_be_readable(quantize, capsys, tmp_path, flag):
    damaged = tmp_path / "damaged.pth"
    damaged.write_bytes(b"\x80 nonsense")
    for path in (tmp_path / "missing.pth", damaged):
        code, out = quantize("--recipe", "int8-static", flag, str(path))
        assert code == 2
        assert not out.exists()
        assert_one_paragraph(capsys, str(path))


def test_quantize_refuses_what_is_quantised(quantize, capsys, tmp_path):
    _, out = quantize("--recipe", "int8")
    capsys.readouterr()
    again = tmp_path / "again.safetensors"
    command = ["quantize", "--checkpoint", str(out), "--recipe", "int8", "--out", str(again)]
    assert main(command) == 2
    assert not again.exists()
    assert_one_paragraph(capsys, "quantised already")


def test_quantize_writes_native_files_only(light_field_file, tmp_path, capsys):
    for name in ("q.tar", "q", "q.pth"):
        command = ["quantize", "--checkpoint", str(light_field_file), "--recipe", "int8"]
        assert main([*command, "--out", str(tmp_path / name)]) == 2
        assert not (tmp_path / name).exists()
        assert_one_paragraph(capsys, name)
