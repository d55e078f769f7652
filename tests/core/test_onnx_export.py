"""ONNX files: other runtimes must show what our engines show."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import openvino as ov
import pytest
import torch

from r2l_core.checkpoints.opening import load_light_field, save_light_field
from r2l_core.commands import export
from r2l_core.commands.cli import main
from r2l_core.engines.building import build_engine
from r2l_core.engines.choice import shade_all
from r2l_core.errors import ExportError
from r2l_core.export import onnx as onnx_export
from r2l_core.export import saturation
from r2l_core.export.onnx import onnx_model
from r2l_core.export.saturation import PAIR_LIMIT, without_saturation
from r2l_core.model.light_field import LightField
from r2l_core.model.quantized import body_layers
from r2l_core.quantization.calibration import CalibrationConfig
from r2l_core.quantization.mix import with_mix
from r2l_core.quantization.recipes import quantized
from r2l_core.types import Precision

pytestmark = pytest.mark.slow

FP32, INT8 = Precision.FP32, Precision.INT8_STATIC_SIM
OURS = {FP32: "reference", INT8: "simulated"}
SINGLE = 1e-4
"""Float32 in another order of sums."""

LEVEL = 0.03
"""What a few activations that fall on the other side of .5 change: one level each."""

VARIANTS = [
    {},
    {"depth": 2},
    {"depth": 7, "width": 9},
    {"n_learnable": 1},
    {"n_learnable": 3, "depth": 11},
    {"act": "none", "inact": "lrelu", "outact": "relu"},
    {"act": "lrelu", "inact": "none", "outact": "lrelu"},
    {"plucker": True},
    {"use_residual": False},
    {"res_scale": 0.3},
    {"n_frequencies": 0},
    {"n_frequencies": 10, "n_sample": 2},
]


@pytest.fixture(params=[FP32, INT8], ids=str)
def precision(request):
    return request.param


@pytest.fixture
def exported(tmp_path):
    """A function that exports: (light_field, precision) -> path."""

    def write(light_field: LightField, precision: Precision):
        path = tmp_path / f"{precision}.onnx"
        onnx_export.save_model(onnx_model(light_field, precision), path)
        return path

    return write


def in_onnx_runtime(path, origins, directions, as_written=True) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    if as_written:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = {"origins": origins.numpy(), "directions": directions.numpy()}
    return session.run(["colors"], inputs)[0]


def in_openvino(path, origins, directions) -> np.ndarray:
    core = ov.Core()
    config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    model = core.compile_model(core.read_model(path), "CPU", config)
    return model({"origins": origins.numpy(), "directions": directions.numpy()})["colors"]


def ours(light_field: LightField, precision: Precision, origins, directions) -> np.ndarray:
    """With the weights that are exported."""
    if precision is INT8:
        light_field = without_saturation(light_field)
    engine = build_engine(light_field, precision, OURS[precision], "cpu")
    return shade_all(engine, origins, directions).numpy()


def assert_agree(colors, expected, precision: Precision) -> None:
    assert colors.dtype == np.float32
    assert colors.shape == expected.shape
    difference = np.abs(colors - expected)
    if precision is FP32:
        assert difference.max() <= SINGLE
    else:
        assert difference.max() <= LEVEL
        assert difference.mean() <= SINGLE


# --- other runtimes ----------------------------------------------------------------------------


@pytest.mark.parametrize("network", VARIANTS, ids=str)
def test_onnx_runtime_shows_our_colours(make_light_field, scene_rays, exported, precision, network):
    light_field = make_light_field(**network)
    path = exported(light_field, precision)
    rays = scene_rays(257)
    expected = ours(light_field, precision, *rays)
    assert_agree(in_onnx_runtime(path, *rays), expected, precision)
    assert_agree(in_onnx_runtime(path, *rays, as_written=False), expected, precision)


@pytest.mark.parametrize("network", [{}, {"plucker": True}, {"width": 64, "depth": 12}], ids=str)
def test_openvino_shows_our_colours(make_light_field, scene_rays, exported, precision, network):
    light_field = make_light_field(**network)
    rays = scene_rays(257)
    expected = ours(light_field, precision, *rays)
    assert_agree(in_openvino(exported(light_field, precision), *rays), expected, precision)


def test_the_tolerance_tells_rounding_from_none(make_light_field, scene_rays):
    light_field = make_light_field()
    rays = scene_rays(257)
    with pytest.raises(AssertionError):
        assert_agree(ours(light_field, FP32, *rays), ours(light_field, INT8, *rays), INT8)


@pytest.mark.parametrize("n", [1, 7])
@pytest.mark.parametrize("run", [in_onnx_runtime, in_openvino])
def test_any_number_of_rays(light_field, scene_rays, exported, precision, run, n):
    rays = scene_rays(n)
    colors = run(exported(light_field, precision), *rays)
    assert_agree(colors, ours(light_field, precision, *rays), precision)


AVX2_COLOURS = """
import sys, numpy as np, openvino as ov
rays, *files = sys.argv[1:]
config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
core = ov.Core()
for file in files:
    model = core.compile_model(core.read_model(file), "CPU", config)
    np.save(file + ".npy", model(dict(np.load(rays)))["colors"])
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="needs an x86 processor")
def test_a_processor_without_8_bit_dot_products(
    make_light_field, scene_rays, tmp_path, exported, monkeypatch
):
    """OpenVINO's code for AVX2 is wrong where 16-bit sums saturate, and right for what we write."""
    light_field = make_light_field()
    rays = dict(zip(("origins", "directions"), map(np.asarray, scene_rays(257)), strict=True))
    np.savez(tmp_path / "rays.npz", **rays)
    right = exported(light_field, INT8)
    with monkeypatch.context() as patched:
        patched.setattr(onnx_export, "without_saturation", lambda light_field: light_field)
        wrong = tmp_path / "eight_bits.onnx"
        onnx_export.save_model(onnx_model(light_field, INT8), wrong)
    subprocess.run(
        [sys.executable, "-c", AVX2_COLOURS, tmp_path / "rays.npz", right, wrong],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"},
        check=True,
    )
    expected = ours(light_field, INT8, *scene_rays(257))
    assert_agree(np.load(f"{right}.npy"), expected, INT8)
    assert np.abs(np.load(f"{wrong}.npy") - expected).max() > 2 * LEVEL


# --- eight bits --------------------------------------------------------------------------------


@pytest.mark.parametrize("calibrator", ["max", "percentile"])
def test_the_scales_of_a_quantised_file_are_kept(
    make_light_field, scene_rays, tmp_path, exported, calibrator
):
    """Other than those that would be found now: smoothed, and ranges of 64 rays."""
    config = CalibrationConfig(calibrator, smooth_alpha=0.5, n_rays=64)
    save_light_field(
        quantized(make_light_field(), "int8-static", config), tmp_path / "q.safetensors"
    )
    light_field = load_light_field(str(tmp_path / "q.safetensors"))
    path = exported(light_field, INT8)
    rays = scene_rays(257)
    assert_agree(in_onnx_runtime(path, *rays), ours(light_field, INT8, *rays), INT8)
    assert_agree(in_openvino(path, *rays), ours(light_field, INT8, *rays), INT8)


def test_layers_left_in_float32(make_light_field, scene_rays, exported):
    light_field = make_light_field(depth=8)
    mixed = with_mix(light_field, body_layers(light_field.network)[1:4])
    path = exported(mixed, INT8)
    operators = [node.op_type for node in onnx.load(path).graph.node]
    assert operators.count("QuantizeLinear") == len(body_layers(light_field.network)) - 3
    rays = scene_rays(257)
    assert_agree(in_onnx_runtime(path, *rays), ours(mixed, INT8, *rays), INT8)


def test_what_quantises_to_nothing_is_nothing(make_light_field, scene_rays, exported):
    """A layer without a range gives its bias alone, and scales stay above 0, as TensorRT wants."""
    light_field = make_light_field()
    tensors = dict(light_field.tensors)
    tensors["body.1.body.2.weight"] = tensors["body.1.body.2.weight"].clone()
    tensors["body.1.body.2.weight"][3] = 0.0
    light_field = quantized(replace(light_field, tensors=tensors), "int8-static")
    layers = dict(light_field.quantization.layers)
    layers["body.0.body.2"] = replace(layers["body.0.body.2"], input_amax=0.0)
    quantization = replace(light_field.quantization, layers=layers)
    light_field = replace(light_field, quantization=quantization)
    path = exported(light_field, INT8)
    for tensor in onnx.load(path).graph.initializer:
        if tensor.name.endswith("_scale"):
            assert (onnx.numpy_helper.to_array(tensor) > 0).all(), tensor.name
    rays = scene_rays(257)
    assert_agree(in_onnx_runtime(path, *rays), ours(light_field, INT8, *rays), INT8)


def test_eight_bits_are_stored_as_such(light_field, exported):
    graph = onnx.load(exported(light_field, INT8)).graph
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    width = light_field.network.width
    for name in body_layers(light_field.network):
        assert f"{name}.weight" not in constants
        assert constants[f"{name}.weight_levels"].dtype == np.int8
        assert constants[f"{name}.weight_scale"].shape == (width,)
        assert not constants[f"{name}.weight_zero_points"].any()
        assert constants[f"{name}.input_scale"].shape == ()
    assert constants["zero_point"] == 0
    assert constants["head.0.weight"].dtype == np.float32


# --- the file ----------------------------------------------------------------------------------


def test_what_a_file_says_about_itself(light_field, exported, precision):
    light_field = replace(light_field, sha256="5" * 64)
    model = onnx.load(exported(light_field, precision))
    onnx.checker.check_model(model, full_check=True)
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert said["precision"] == precision
    assert said["checkpoint_sha256"] == "5" * 64
    assert said["rays"] == "canonical"
    assert json.loads(said["network"]) == light_field.network.to_dict()
    assert json.loads(said["scene"]) == json.loads(light_field.scene.to_json())
    ends = [*model.graph.input, *model.graph.output]
    assert [end.name for end in ends] == ["origins", "directions", "colors"]
    for end in ends:
        n, channels = end.type.tensor_type.shape.dim
        assert (n.dim_param, channels.dim_value) == ("n", 3)


def test_released_light_fields_take_plain_rays(light_field):
    assert onnx_export.describe(replace(light_field, plain_rays=True), FP32)["rays"] == "plain"


def test_a_name_that_is_no_text(light_field):
    onnx_model(replace(light_field, name="caf\udce9"), FP32)


def test_what_one_file_cannot_hold_is_refused(light_field, monkeypatch):
    monkeypatch.setattr(onnx_export, "MAX_BYTES", 1000)
    with pytest.raises(ExportError, match="weights take"):
        onnx_model(light_field, FP32)


# --- the command -------------------------------------------------------------------------------


@pytest.fixture
def run(capsys, light_field_file, tmp_path):
    """A function that exports by command: (*arguments) -> exit code, output, errors."""

    def command(*arguments: str):
        out = () if "--out" in arguments else ("--out", str(tmp_path / "x.onnx"))
        try:
            code = main(["export", "--checkpoint", str(light_field_file), *out, *arguments])
        except SystemExit as stopped:  # argparse
            code = stopped.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


def test_the_command_writes_verifies_and_reports(run, light_field_file, tmp_path, precision):
    report = tmp_path / "report.json"
    code, out, err = run("--precision", str(precision), "--json", str(report))
    assert (code, err) == (0, "")
    path = tmp_path / "x.onnx"
    assert str(path) in out
    assert f"verified in ONNX Runtime {onnxruntime.__version__}" in out
    assert {p.name for p in tmp_path.iterdir()} == {"x.onnx", "report.json", "random.safetensors"}
    values = json.loads(report.read_text(encoding="utf-8"))
    assert values["checkpoint_sha256"] == load_light_field(str(light_field_file)).sha256
    assert values["precision"] == precision
    assert values["layers_int8"] == (4 if precision is INT8 else 0)
    assert values["size_mb"] == path.stat().st_size / 1e6
    assert values["verified"]["color_difference_max"] <= (SINGLE if precision is FP32 else LEVEL)
    assert values["verified"]["psnr_db_vs_ours"] > (90 if precision is FP32 else 60)


def test_the_command_tells_of_saturation(run, tmp_path):
    report = tmp_path / "report.json"
    _, out, _ = run("--precision", str(INT8), "--json", str(report))
    said = json.loads(report.read_text(encoding="utf-8"))["saturation"]
    assert said["pair_sum_max"] <= said["pair_sum_limit"] == PAIR_LIMIT
    assert 0 < said["rows_reduced"] <= said["rows"] == 4 * 16
    assert 20 < said["psnr_db_vs_8_bits"] < 60
    assert f"neighbouring weights add up to {said['pair_sum_max']}, and 128 fit" in out
    assert f"{said['rows_reduced']} of 64 rows" in out
    run("--precision", "fp32", "--json", str(report))
    assert json.loads(report.read_text(encoding="utf-8"))["saturation"] is None


def test_weights_that_fit_are_left_alone_and_nothing_is_said_of_them(light_field, tmp_path, run):
    path = tmp_path / "random.safetensors"
    save_light_field(without_saturation(light_field), path)
    report = tmp_path / "report.json"
    _, out, _ = run("--precision", str(INT8), "--json", str(report))
    said = json.loads(report.read_text(encoding="utf-8"))["saturation"]
    assert (said["rows_reduced"], said["psnr_db_vs_8_bits"]) == (0, None)
    assert "128 fit" in out
    assert "rows" not in out


def test_a_file_that_would_saturate_is_refused(run, monkeypatch):
    monkeypatch.setattr(onnx_export, "without_saturation", lambda light_field: light_field)
    monkeypatch.setattr(saturation, "without_saturation", lambda light_field: light_field)
    code, _, err = run("--precision", str(INT8))
    assert code == 2
    assert "neighbouring weights add up to" in err
    assert err.count("\n") == 1


def test_a_wrong_file_would_be_noticed(run, monkeypatch, tmp_path):
    right = onnx_export.onnx_model

    def wrong(light_field, precision):
        tensors = {**light_field.tensors, "tail.0.bias": torch.full((3,), 2.0)}
        return right(replace(light_field, tensors=tensors), precision)

    monkeypatch.setattr(onnx_export, "onnx_model", wrong)
    report = tmp_path / "report.json"
    run("--precision", "fp32", "--json", str(report))
    verified = json.loads(report.read_text(encoding="utf-8"))["verified"]
    assert verified["color_difference_max"] > 0.1


def test_without_onnx_runtime_a_file_is_not_verified(run, monkeypatch, tmp_path):
    monkeypatch.setattr(export.importlib.util, "find_spec", lambda _: None)
    report = tmp_path / "report.json"
    code, out, _ = run("--precision", "fp32", "--json", str(report))
    assert code == 0
    assert "not verified" in out
    assert "pip install onnxruntime" in out
    assert json.loads(report.read_text(encoding="utf-8"))["verified"] is None


def test_a_file_the_runtime_refuses(run, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("Unsupported model IR version.\nand more")

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    code, _, err = run("--precision", "fp32")
    assert code == 2
    assert "Unsupported model IR version. Try" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--precision", "bf16"], "bf16 cannot be exported"),
        (["--precision", "int8"], "int8-static-sim"),
        (["--precision", "int7"], "int7"),
        ([], "--precision"),
        (["--precision", "fp32", "--out", "x.txt"], "x.txt"),
        (["--precision", "fp32", "--out", "/dev/null/x.onnx"], "/dev/null/x.onnx"),
        (["--precision", "fp32", "--checkpoint", "nowhere.tar"], "nowhere.tar"),
        (["--precision", "fp32", "--assume", "act=relu"], "--assume"),
    ],
    ids=str,
)
def test_what_cannot_be_exported_is_refused_in_one_paragraph(run, tmp_path, arguments, named):
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert named in err
    assert [path.name for path in tmp_path.iterdir()] == ["random.safetensors"]
