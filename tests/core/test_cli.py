"""The command line as a person meets it: files, exit codes and errors of one paragraph."""

from __future__ import annotations

import json
import math
import pickle
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from r2l_core.checkpoints import opening as checkpoint
from r2l_core.checkpoints.opening import load_light_field, save_light_field
from r2l_core.commands.cli import main
from r2l_core.engines.backends import availability
from r2l_core.engines.building import build_engine
from r2l_core.evaluation import evaluation, shimmer
from r2l_core.evaluation.evaluation import evaluation_cameras
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.scene import PRESETS, SceneSpec
from r2l_core.images import metrics
from r2l_core.images.metrics import mse, psnr_db
from r2l_core.model.quantized import body_layers
from r2l_core.render.progressive_image import render_image
from r2l_core.render.sources import NetworkSource
from r2l_core.training import distillation as training
from r2l_core.training.demo_scene import render_rays
from r2l_core.training.distillation import Trainer
from r2l_core.training.teachers import supersampled_image
from r2l_core.types import Precision

pytestmark = pytest.mark.slow

DEMO = PRESETS["demo"]
REPOSITORY = Path(__file__).parents[2]
ORBIT = ("--azimuth", "35", "--elevation", "20", "--radius", "4")


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    def after_progress(self) -> Outcome:
        """The same without the progress bar, which ends in a line of its own."""
        return replace(self, err=re.sub(r"(\r[^\n]*)+\n", "", self.err))

    def assert_refused(self, *names: str) -> None:
        """Exit code 2 and one paragraph that holds all of `names`."""
        assert self.code == 2, self.err
        text = self.err.strip()
        assert text.startswith("error:")
        assert "\n" not in text, "one paragraph"
        assert "Traceback" not in text
        for name in names:
            assert name in text


@pytest.fixture
def run(capsys):
    """A function that runs a command in this process, with any kind of arguments."""

    def run_it(*arguments: object) -> Outcome:
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stopped:  # argparse
            code = stopped.code
        said = capsys.readouterr()
        return Outcome(code, said.out, said.err)

    return run_it


@pytest.fixture(scope="session")
def demo_field(make_light_field):
    """A random light field over the demo scene."""
    return make_light_field(DEMO)


@pytest.fixture
def file(demo_field, tmp_path):
    """`demo_field` on disk."""
    path = tmp_path / "field.safetensors"
    save_light_field(demo_field, path)
    return path


@pytest.fixture
def render(run, file, tmp_path):
    """A function that renders to `.npy` with further arguments and returns the colours."""

    def render_it(*arguments: object, size: str = "24x16") -> np.ndarray:
        out = tmp_path / "picture.npy"
        out.unlink(missing_ok=True)
        outcome = run("render", "--checkpoint", file, "--size", size, "--out", out, *arguments)
        assert outcome.code == 0, outcome.err
        assert outcome.err == ""
        return np.load(out)

    return render_it


def write_pose(path: Path, pose: np.ndarray) -> Path:
    path.write_text(json.dumps(pose.tolist()))
    return path


# --- render ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "shape"),
    [("24", (24, 24, 3)), ("24x16", (16, 24, 3)), ("7X3", (3, 7, 3)), ("1", (1, 1, 3))],
)
def test_an_npy_picture_is_what_the_renderer_makes(render, demo_field, size, shape):
    colors = render(*ORBIT, "--engine", "torch", size=size)
    assert colors.dtype == np.float32
    assert colors.shape == shape
    height, width = shape[:2]
    camera = Orbit(35, 20, 4.0).camera(width, height, DEMO.focal_px(width))
    engine = build_engine(demo_field, Precision.FP32, "torch", "cpu")
    expected = render_image(NetworkSource(engine, DEMO, "canonical"), camera).numpy()
    np.testing.assert_array_equal(colors, expected)


def test_a_png_picture_is_the_npy_one_rounded(run, render, file, tmp_path):
    colors = render(*ORBIT)
    path = tmp_path / "new folder" / "picture.png"
    outcome = run("render", "--checkpoint", file, *ORBIT, "--size", "24x16", "--out", path)
    assert outcome.code == 0
    assert str(path) in outcome.out
    image = iio.imread(path)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, np.rint(colors * 255).astype(np.uint8))


def test_an_orbit_and_its_pose_give_the_same_picture(render, tmp_path):
    pose = write_pose(tmp_path / "pose.json", Orbit(35, 20, 4.0).T_world_camera())
    np.testing.assert_array_equal(render(*ORBIT), render("--pose", pose))


@pytest.mark.parametrize("pivot", ["0.3,0.2,-0.1", "-0.3,0.2,-0.1"])
def test_the_camera_looks_at_the_pivot(render, tmp_path, pivot):
    point = tuple(float(x) for x in pivot.split(","))
    pose = write_pose(tmp_path / "pose.json", Orbit(35, 20, 4.0, point).T_world_camera())
    moved = render(*ORBIT, "--pivot", pivot)
    np.testing.assert_array_equal(moved, render("--pose", pose))
    assert np.abs(moved - render(*ORBIT)).max() > 0.01


@pytest.mark.parametrize(
    ("azimuth", "elevation", "position"),
    [(0, 0, (3, 0, 0)), (90, 0, (0, 3, 0)), (-90, 0, (0, -3, 0)), (180, 30, (-2.5981, 0, 1.5))],
)
def test_angles_mean_what_the_contract_says(run, file, tmp_path, azimuth, elevation, position):
    report = tmp_path / "r.json"
    outcome = run(
        *("render", "--checkpoint", file, "--azimuth", azimuth, "--elevation", elevation),
        *("--radius", 3, "--size", 4, "--out", tmp_path / "x.npy", "--json", report),
    )
    assert outcome.code == 0
    pose = np.array(json.loads(report.read_text())["T_world_camera"])
    np.testing.assert_allclose(pose[:3, 3], position, atol=1e-3)
    np.testing.assert_allclose(pose[:3, 3] - 3 * pose[:3, 2], 0, atol=1e-9)


def test_the_report_of_a_picture(run, file, tmp_path):
    report = tmp_path / "folder" / "report.json"
    arguments = ("render", "--checkpoint", file, *ORBIT, "--size", "24x16", "--json", report)
    assert run(*arguments, "--out", tmp_path / "x.npy").code == 0
    values = json.loads(report.read_text(encoding="utf-8"))
    assert values["size"] == [24, 16]
    assert values["focal_px"] == pytest.approx(12 / math.tan(0.6911112 / 2))
    assert values["rays"] == "canonical"
    assert values["engine"]["precision"] == "fp32"
    assert values["engine"]["device"] == "cpu"
    assert values["engine"]["weight_bytes"] > 0

    run(*arguments, "--out", tmp_path / "x.npy", "--focal", 50, "--rays", "plain")
    values = json.loads(report.read_text(encoding="utf-8"))
    assert (values["focal_px"], values["rays"]) == (50.0, "plain")


def test_the_reference_engine_agrees_with_the_others(render):
    reference = render(*ORBIT, "--engine", "reference")
    assert np.abs(render(*ORBIT) - reference).max() <= 1e-4
    assert np.abs(render(*ORBIT, "--engine", "torch") - reference).max() <= 1e-4
    assert reference.std() > 0.02


@pytest.mark.parametrize("precision", list(Precision))
def test_every_precision_makes_its_own_picture(render, precision):
    if not availability(precision, device="cpu").available:
        pytest.skip(f"no {precision} here")
    colors = render(*ORBIT, "--precision", precision, "--device", "cpu")
    exact = render(*ORBIT)
    assert psnr_db(mse(colors, exact)) > 15
    assert np.array_equal(colors, exact) == (precision is Precision.FP32)


def test_rays_are_plain_or_canonical(render):
    """They are the same on the trained sphere, and nowhere else."""
    on_sphere = [render(*ORBIT, "--rays", rays) for rays in ("plain", "canonical")]
    assert np.abs(on_sphere[0] - on_sphere[1]).max() < 2e-3
    closer = ("--azimuth", 35, "--elevation", 20, "--radius", 3)
    plain, canonical, auto = (
        render(*closer, *rays) for rays in (("--rays", "plain"), ("--rays", "canonical"), ())
    )
    assert np.abs(plain - canonical).max() > 0.01
    np.testing.assert_array_equal(auto, canonical)


def test_a_scene_file_replaces_the_scene(render, tmp_path):
    scene = tmp_path / "scene.json"
    scene.write_text(replace(DEMO, camera_angle_x_rad=1.2).to_json())
    focal = 12 / math.tan(0.6)
    np.testing.assert_array_equal(
        render(*ORBIT, "--scene", scene), render(*ORBIT, "--focal", repr(focal))
    )
    np.testing.assert_array_equal(render(*ORBIT, "--scene", "demo"), render(*ORBIT))


def test_embedded_light_fields_open_by_name(run, file, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "CHECKPOINTS_DIR", tmp_path)
    file.rename(tmp_path / "demo.safetensors")
    out = tmp_path / "x.npy"
    assert run("render", "--checkpoint", "demo", *ORBIT, "--size", 4, "--out", out).code == 0
    assert out.exists()
    run("render", "--checkpoint", "nosuch", *ORBIT, "--size", 4, "--out", out).assert_refused(
        "nosuch", "demo"
    )


# --- what render refuses -----------------------------------------------------------------------


@pytest.fixture
def bad_checkpoints(tmp_path, file):
    """Names of files that are no light fields, made here."""
    data = file.read_bytes()
    contents = {
        "empty": b"",
        "garbage": b"garbage" * 50,
        "half": data[: len(data) // 2],
        "header": data[:40],
        "pickle": pickle.dumps({"network_fn_state_dict": {}}, protocol=2),
        "newer": data.replace(b'"version":"1"', b'"version":"9"'),
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.safetensors").write_bytes(content)
    torch.save({"a": torch.zeros(3)}, tmp_path / "torch.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "name",
    ["missing", "empty", "garbage", "half", "header", "pickle", "newer", "torch", "folder"],
)
def test_bad_checkpoints_are_named(run, bad_checkpoints, name):
    path = bad_checkpoints / f"{name}.safetensors"
    out = bad_checkpoints / "x.npy"
    run("render", "--checkpoint", path, *ORBIT, "--size", 8, "--out", out).assert_refused(str(path))
    assert not out.exists()


BAD_SCENES = {
    "empty": "",
    "list": "[]",
    "unknown": '{"name": "s", "nears": 1}',
    "order": '{"name": "s", "near": 6, "far": 2}',
    "word": '{"name": "s", "near": "close"}',
    "nested": '{"a":' * 20_000,
}


@pytest.mark.parametrize("name", BAD_SCENES)
def test_bad_scenes_are_named(run, file, tmp_path, name):
    scene = tmp_path / f"{name}.json"
    scene.write_text(BAD_SCENES[name])
    run(
        *("render", "--checkpoint", file, "--scene", scene, *ORBIT),
        *("--size", 8, "--out", tmp_path / "x.npy"),
    ).assert_refused(str(scene))


def test_an_unknown_scene_is_named(run, file, tmp_path):
    run(
        *("render", "--checkpoint", file, "--scene", "blender:nosuch", *ORBIT),
        *("--size", 8, "--out", tmp_path / "x.npy"),
    ).assert_refused("blender:nosuch")


_SCALED = (np.diag([2.0, 2, 2, 1])).tolist()
BAD_POSES = {
    "empty": "",
    "null": "null",
    "3x3": json.dumps(np.eye(3).tolist()),
    "scaled": json.dumps(_SCALED),
    "mirrored": json.dumps(np.diag([-1.0, 1, 1, 1]).tolist()),
    "transposed": json.dumps(Orbit(3, 4, 5).T_world_camera().T.tolist()),
    "nan": json.dumps(np.full((4, 4), math.nan).tolist()),
    "huge": json.dumps([[10**400] * 4] * 4),
    "nested": "[" * 20_000,
}


@pytest.mark.parametrize("name", BAD_POSES)
def test_bad_poses_are_named(run, file, tmp_path, name):
    pose = tmp_path / f"{name}.json"
    pose.write_text(BAD_POSES[name])
    run(
        *("render", "--checkpoint", file, "--pose", pose),
        *("--size", 8, "--out", tmp_path / "x.npy"),
    ).assert_refused(str(pose))


def test_a_missing_pose_is_named(run, file, tmp_path):
    pose = tmp_path / "missing.json"
    run(
        *("render", "--checkpoint", file, "--pose", pose),
        *("--size", 8, "--out", tmp_path / "x.npy"),
    ).assert_refused(str(pose))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), "--azimuth"),
        (("--azimuth", "1", "--elevation", "2"), "--radius"),
        (("--pivot", "1,2,3"), "--azimuth"),
        ((*ORBIT, "--pose", "pose.json"), "--pose"),
        (("--pivot", "1,2,3", "--pose", "pose.json"), "--pose"),
        (("--azimuth", "east", "--elevation", "2", "--radius", "3"), "--azimuth"),
        (("--azimuth", "nan", "--elevation", "2", "--radius", "3"), "--azimuth"),
        (("--azimuth", "1", "--elevation", "inf", "--radius", "3"), "--elevation"),
        (("--azimuth", "1", "--elevation", "2", "--radius", "0"), "--radius"),
        (("--azimuth", "1", "--elevation", "2", "--radius", "1e300"), "too far away"),
        ((*ORBIT, "--pivot", "0,0,-1e20"), "too far away"),
        ((*ORBIT, "--focal", "1e-300"), "too wide"),
        (("--azimuth", "1", "--elevation", "2", "--radius", "-4"), "--radius"),
        ((*ORBIT, "--pivot", "1,2"), "--pivot"),
        ((*ORBIT, "--pivot", "1,2,x"), "--pivot"),
        ((*ORBIT, "--pivot", "1,2,inf"), "--pivot"),
        ((*ORBIT, "--size", "0"), "--size"),
        ((*ORBIT, "--size", "8x0"), "--size"),
        ((*ORBIT, "--size", "-8"), "--size"),
        ((*ORBIT, "--size", "8x8x8"), "--size"),
        ((*ORBIT, "--size", "wide"), "--size"),
        ((*ORBIT, "--size", "99999"), "--size"),
        ((*ORBIT, "--size", "\N{SUPERSCRIPT TWO}"), "--size"),
        ((*ORBIT, "--focal", "0"), "--focal"),
        ((*ORBIT, "--focal", "nan"), "--focal"),
        ((*ORBIT, "--precision", "fp99"), "--precision"),
        ((*ORBIT, "--engine", "magic"), "--engine"),
        ((*ORBIT, "--device", "abacus"), "--device"),
        ((*ORBIT, "--rays", "curved"), "--rays"),
        ((*ORBIT, "--engine", "reference", "--precision", "bf16"), "bf16"),
        ((*ORBIT, "--nosuchflag"), "--nosuchflag"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_bad_flags_are_named(run, file, tmp_path, arguments, named):
    write_pose(tmp_path / "pose.json", np.eye(4))
    arguments = [str(tmp_path / a) if a == "pose.json" else a for a in arguments]
    out = tmp_path / "x.npy"
    run("render", "--checkpoint", file, "--size", 8, "--out", out, *arguments).assert_refused(named)
    assert not out.exists()


@pytest.mark.parametrize("name", ["picture.jpg", "picture", "picture.npz"])
def test_unknown_picture_formats_are_named(run, file, tmp_path, name):
    run(
        "render", "--checkpoint", file, *ORBIT, "--size", 8, "--out", tmp_path / name
    ).assert_refused("--out", name)


@pytest.mark.parametrize("name", ["picture.png", "picture.npy"])
def test_places_that_cannot_be_written_are_named(run, file, tmp_path, name):
    arguments = ("render", "--checkpoint", file, *ORBIT, "--size", 8)
    inside_file = file / name
    run(*arguments, "--out", inside_file).assert_refused(str(inside_file))
    folder = tmp_path / name
    folder.mkdir()
    run(*arguments, "--out", folder).assert_refused(str(folder))
    report = file / "report.json"
    out = tmp_path / f"fine-{name}"
    run(*arguments, "--out", out, "--json", report).assert_refused(str(report))


def test_a_missing_gpu_is_named(run, file, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    run(
        *("render", "--checkpoint", file, *ORBIT, "--size", 8),
        *("--out", tmp_path / "x.npy", "--device", "cuda"),
    ).assert_refused("cuda")


@pytest.mark.parametrize("missing", ["--checkpoint", "--size", "--out"])
def test_missing_flags_are_named(run, file, tmp_path, missing):
    flags = {"--checkpoint": file, "--size": 8, "--out": tmp_path / "x.npy"}
    del flags[missing]
    given = [part for flag in flags.items() for part in flag]
    run("render", *given, *ORBIT).assert_refused(missing)


def test_unknown_commands_are_named(run):
    run("paint").assert_refused("paint")
    run().assert_refused("COMMAND")


def test_help_is_no_error(run):
    for arguments in (("--help",), ("render", "--help"), ("eval", "--help"), ("distill", "--help")):
        outcome = run(*arguments)
        assert outcome.code == 0
        assert "usage:" in outcome.out


def test_the_module_can_be_run(tmp_path):
    missing = tmp_path / "missing.safetensors"
    arguments = ["render", "--checkpoint", str(missing), *ORBIT, "--size", "8", "--out", "x.npy"]
    done = subprocess.run(
        [sys.executable, "-m", "r2l_core", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    Outcome(done.returncode, done.stdout, done.stderr).assert_refused(str(missing))


# --- eval --------------------------------------------------------------------------------------

SIZE_PX = 24
VIEWS = 2


@pytest.fixture
def evaluate(run, file, tmp_path, monkeypatch):
    """A function that evaluates at a small size: (outcome, report or None)."""
    monkeypatch.setattr(evaluation, "EVALUATION_SIZE_PX", SIZE_PX)
    monkeypatch.setattr(evaluation, "EVALUATION_VIEWS", VIEWS)

    def evaluate_it(*arguments: object, checkpoint: Path = file) -> tuple[Outcome, dict | None]:
        report = tmp_path / "report.json"
        report.unlink(missing_ok=True)
        outcome = run("eval", "--checkpoint", checkpoint, "--json", report, *arguments)
        return outcome, json.loads(report.read_text("utf-8")) if report.exists() else None

    evaluate_it.checkpoint = file
    return evaluate_it


def test_the_evaluation_cameras_are_those_of_the_contract():
    cameras = evaluation_cameras(DEMO)
    assert len(cameras) == 8
    for k, camera in enumerate(cameras):
        assert (camera.width_px, camera.height_px) == (400, 400)
        assert camera.focal_px == pytest.approx(200 / math.tan(0.6911112 / 2))
        azimuth = math.radians(45 * k + 7)
        elevation = math.radians((8, 22, 38, 60)[k % 4])
        expected = (
            4 * math.cos(elevation) * math.cos(azimuth),
            4 * math.cos(elevation) * math.sin(azimuth),
            4 * math.sin(elevation),
        )
        np.testing.assert_allclose(camera.position, expected, atol=1e-9)
        np.testing.assert_allclose(camera.position - 4 * camera.T_world_camera[:3, 2], 0, atol=1e-9)
    for camera in evaluation_cameras(DEMO, 3.0, (0.1, 0.2, 0.3)):
        looked_at = camera.position - 3 * camera.T_world_camera[:3, 2]
        np.testing.assert_allclose(looked_at, (0.1, 0.2, 0.3), atol=1e-9)


def test_the_report_of_an_evaluation(evaluate, render):
    outcome, report = evaluate("--precision", "fp32,weights-bf16", "--engine", "torch")
    assert outcome.code == 0
    assert report["views"] == VIEWS
    assert report["size"] == [SIZE_PX, SIZE_PX]
    assert report["reference"] == "teacher"
    assert list(report["precisions"]) == ["fp32", "weights-bf16"]
    for name, scores in report["precisions"].items():
        assert set(scores) == {
            *("psnr_db_mean", "psnr_db_pooled", "psnr_db_views", "ssim_mean", "flip_mean"),
            *("psnr_db_vs_fp32_mean", "ms_per_frame_median", "engine", "counted_percent_mean"),
            *("max_abs_mean", "mean_abs_mean", "off_by_1_255_percent_mean", "lpips_mean"),
            *("max_abs_vs_fp32_mean", "off_by_1_255_percent_vs_fp32_mean"),
        }
        views = scores["psnr_db_views"]
        assert len(views) == VIEWS
        assert scores["psnr_db_mean"] == pytest.approx(np.mean(views))
        pooled = -10 * math.log10(np.mean([10 ** (-db / 10) for db in views]))
        assert scores["psnr_db_pooled"] == pytest.approx(pooled)
        assert 0 < scores["flip_mean"] < 1
        assert -1 < scores["ssim_mean"] < 1
        assert 0 < scores["mean_abs_mean"] < scores["max_abs_mean"] <= 1
        assert 0 < scores["off_by_1_255_percent_mean"] <= 100
        assert scores["ms_per_frame_median"] > 0
        assert scores["engine"]["precision"] == name
        assert scores["engine"]["engine"] == "torch"
    assert report["precisions"]["fp32"]["psnr_db_vs_fp32_mean"] is None, "infinite"
    rounded = report["precisions"]["weights-bf16"]
    assert rounded["psnr_db_vs_fp32_mean"] > 30
    assert 0 < rounded["max_abs_vs_fp32_mean"] < rounded["max_abs_mean"]
    assert report["precisions"]["fp32"]["max_abs_vs_fp32_mean"] == 0
    assert report["precisions"]["fp32"]["off_by_1_255_percent_vs_fp32_mean"] == 0

    # The first view again, by the other command and the teacher itself.
    camera = Orbit(7.0, 8.0, 4.0).camera(SIZE_PX, SIZE_PX, DEMO.focal_px(SIZE_PX))
    truth = supersampled_image(render_rays, camera).numpy()
    colors = render("--azimuth", 7, "--elevation", 8, "--radius", 4, size=str(SIZE_PX))
    first = report["precisions"]["fp32"]["psnr_db_views"][0]
    assert first == pytest.approx(psnr_db(mse(colors, truth)), abs=1e-3)


def test_shimmer_along_the_turntable(evaluate, monkeypatch):
    monkeypatch.setattr(shimmer, "EVALUATION_SIZE_PX", SIZE_PX)
    outcome, report = evaluate("--precision", "fp32,weights-bf16", "--turntable", 3)
    assert outcome.code == 0
    assert (report["turntable"]["frames"], report["turntable"]["step_deg"]) == (3, 1.0)
    assert report["turntable"]["truth_change_mean_abs"] > 0
    rows = report["turntable"]["precisions"]
    assert list(rows) == ["fp32", "weights-bf16"]
    for row in rows.values():
        assert set(row) == {"change_psnr_db", "change_mean_abs", "change_ratio_to_truth"}
        assert 5 < row["change_psnr_db"] < 80
        assert f"{row['change_psnr_db']:.2f}" in outcome.out
    # The fp32 frames again, by the other path.
    field = load_light_field(str(evaluate.checkpoint))
    source = NetworkSource(build_engine(field, Precision.FP32, "torch"), DEMO, field.ray_mode())
    frames = [render_image(source, camera) for camera in shimmer.turntable_cameras(DEMO, 3)]
    changes = [float((b - a).abs().mean()) for a, b in pairwise(frames)]
    assert rows["fp32"]["change_mean_abs"] == pytest.approx(np.mean(changes), rel=1e-3)
    assert evaluate("--precision", "fp32")[1]["turntable"] is None


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--turntable", 1), "--turntable"),
        (("--turntable", 361), "--turntable"),
        (("--turntable", "many"), "--turntable"),
        (("--turntable", 3, "--dataset", "somewhere"), "no truth between"),
        (("--turntable", 3, "--scene", "blender:lego"), "no ground truth"),
        (("--radius", 1e300), "too far away"),
        (("--pivot", "1e30,0,0"), "too far away"),
    ],
    ids=str,
)
def test_evaluations_that_cannot_be(evaluate, flags, named):
    outcome, report = evaluate("--precision", "fp32", *flags)
    outcome.assert_refused(named)
    assert report is None


def test_what_was_not_measured_says_why(evaluate, monkeypatch):
    monkeypatch.setattr(metrics, "lpips", lambda *_: (None, "nobody installed it"))
    outcome, report = evaluate("--precision", "fp32")
    assert report["precisions"]["fp32"]["lpips_mean"] is None
    assert report["lpips_why_not"] == "nobody installed it"
    assert "LPIPS was not measured: nobody installed it" in outcome.out
    distances = iter((0.25, 0.75))
    monkeypatch.setattr(metrics, "lpips", lambda *_: (next(distances), ""))
    outcome, report = evaluate("--precision", "fp32")
    assert report["precisions"]["fp32"]["lpips_mean"] == 0.5
    assert report["lpips_why_not"] is None
    assert "not measured" not in outcome.out
    assert "0.5000" in outcome.out


def test_an_evaluation_as_a_page(evaluate, tmp_path):
    page = tmp_path / "deep" / "r.html"
    outcome, report = evaluate("--precision", "fp32,weights-bf16", "--html", page)
    assert outcome.code == 0
    text = page.read_text("utf-8")
    assert text.count("data:image/png;base64,") == 1 + VIEWS * (1 + 2 + 3)
    for scores in report["precisions"].values():
        assert f"<td>{scores['psnr_db_mean']:.2f}</td>" in text


def test_a_page_that_cannot_be_written_is_named(evaluate, tmp_path):
    outcome, report = evaluate("--precision", "fp32", "--html", tmp_path)
    outcome.after_progress().assert_refused(str(tmp_path))
    assert report is not None, "the numbers are not lost"


def test_evaluating_one_precision_needs_no_fp32_beside_it(evaluate):
    _, both = evaluate("--precision", "fp32,weights-bf16", "--engine", "torch")
    _, alone = evaluate("--precision", "weights-bf16", "--engine", "torch")
    expected = both["precisions"]["weights-bf16"]["psnr_db_vs_fp32_mean"]
    assert alone["precisions"]["weights-bf16"]["psnr_db_vs_fp32_mean"] == pytest.approx(
        expected, abs=0.5
    )


def test_evaluating_elsewhere_changes_the_score(evaluate):
    _, at_4 = evaluate("--precision", "fp32")
    _, at_3 = evaluate("--precision", "fp32", "--radius", 3, "--pivot", "0.1,0,0")
    assert at_3["precisions"]["fp32"]["psnr_db_mean"] != pytest.approx(
        at_4["precisions"]["fp32"]["psnr_db_mean"], abs=1e-6
    )


def test_evaluated_pictures_are_kept_where_asked(evaluate, tmp_path):
    folder = tmp_path / "pictures"
    outcome, _ = evaluate("--precision", "fp32,weights-bf16", "--out", folder)
    assert outcome.code == 0
    names = {path.name for path in folder.iterdir()}
    assert {"000_fp32.png", "000_weights-bf16.png", "000_truth.png", "001_fp32.png"} <= names
    camera = Orbit(7.0, 8.0, 4.0).camera(SIZE_PX, SIZE_PX, DEMO.focal_px(SIZE_PX))
    truth = supersampled_image(render_rays, camera).numpy()
    kept = iio.imread(folder / "000_truth.png")
    np.testing.assert_array_equal(kept, np.rint(truth * 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("bounds", "code", "lines"),
    [
        (["fp32:99"], 0, [r"PASS fp32: "]),
        (["weights-bf16:10"], 0, [r"PASS weights-bf16: \d+\.\d dB"]),
        (["weights-bf16:120"], 1, [r"FAIL weights-bf16: \d+\.\d dB < 120 dB"]),
        (["weights-bf16:10", "fp32:5"], 0, ["PASS weights-bf16", "PASS fp32"]),
        (["weights-bf16:120.5", "fp32:5"], 1, [r"FAIL .* < 120.5 dB", "PASS fp32"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_thresholds_decide_the_exit_code(evaluate, bounds, code, lines):
    flags = [part for bound in bounds for part in ("--fail-under", bound)]
    outcome, report = evaluate("--precision", "fp32,weights-bf16", *flags)
    assert outcome.code == code
    assert report is not None, "written all the same"
    for line in lines:
        assert re.search(f"^{line}", outcome.out, re.MULTILINE)
    assert ("FAIL" in outcome.out) == (code == 1)


def test_a_picture_that_is_not_a_number_fails(evaluate, demo_field, tmp_path):
    """Its distance to anything is not a number either, which is below no threshold."""
    tensors = {name: torch.zeros_like(tensor) for name, tensor in demo_field.tensors.items()}
    # The skip doubles it, which is infinite, and the tail's weights of zero make that no number.
    tensors["head.0.bias"] += 3e38
    broken = tmp_path / "broken.safetensors"
    save_light_field(replace(demo_field, tensors=tensors), broken)
    outcome, report = evaluate(
        *("--precision", "fp32,weights-bf16", "--engine", "torch"),
        *("--fail-under", "weights-bf16:30", "--html", tmp_path / "r.html"),
        checkpoint=broken,
    )
    assert report["precisions"]["weights-bf16"]["psnr_db_vs_fp32_mean"] is None
    assert outcome.code == 1
    assert "PASS" not in outcome.out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), "--precision"),
        (("--precision", "fp32,fp99"), "--precision"),
        (("--precision", ""), "--precision"),
        (("--precision", "fp32", "--fail-under", "weights-bf16:30"), "--fail-under"),
        (("--precision", "fp32", "--fail-under", "fp32"), "--fail-under"),
        (("--precision", "fp32", "--fail-under", "fp32:nan"), "--fail-under"),
        (("--precision", "fp32", "--fail-under", "fp99:3"), "--fail-under"),
        (("--precision", "fp32", "--radius", "0"), "--radius"),
        (("--precision", "bf16", "--engine", "reference"), "bf16"),
    ],
    ids=str,
)
def test_bad_evaluations_are_refused(evaluate, arguments, named):
    outcome, report = evaluate(*arguments)
    outcome.assert_refused(named)
    assert report is None


def test_scenes_without_truth_cannot_be_evaluated(evaluate, tmp_path):
    scene = tmp_path / "scene.json"
    scene.write_text(replace(DEMO, name="villa", teacher=None).to_json())
    outcome, _ = evaluate("--precision", "fp32", "--scene", scene)
    outcome.assert_refused("villa")


# --- sensitivity -------------------------------------------------------------------------------


@pytest.fixture
def weigh(run, file, tmp_path):
    """A function that weighs the layers of W16 D6 on a few rays: (outcome, report or None)."""

    def weigh_it(*arguments: object) -> tuple[Outcome, dict | None]:
        report = tmp_path / "sensitivity.json"
        report.unlink(missing_ok=True)
        base = ("sensitivity", "--checkpoint", file, "--rays", 64, "--json", report)
        outcome = run(*base, *arguments)
        return outcome, json.loads(report.read_text("utf-8")) if report.exists() else None

    return weigh_it


@pytest.mark.parametrize("precision", ["int8-sim", "int8-static-sim", "int8"])
def test_the_report_of_a_sensitivity(weigh, demo_field, precision):
    outcome, report = weigh("--precision", precision)
    assert outcome.code == 0
    assert set(report) == {
        *("precision", "rays", "psnr_db_vs_fp32", "layers", "worst_first", "kept"),
        "residual_stream",
    }
    assert [size["after"] for size in report["residual_stream"]] == ["head", "body.0", "body.1"]
    for size in report["residual_stream"]:
        assert size["rms_ratio_to_head"] > 0.5
        assert f"{size['max_abs']:.4g}" in outcome.out
    names = body_layers(demo_field.network)
    assert (report["precision"], report["rays"], report["kept"]) == (precision, 64, None)
    assert [layer["name"] for layer in report["layers"]] == names
    for layer in report["layers"]:
        assert set(layer) == {"name", "sqnr_db", "accumulated_sqnr_db", "only_db", "kept_db"}
        assert 10 < layer["sqnr_db"] < 80
    assert sorted(report["worst_first"]) == names
    assert f"{report['psnr_db_vs_fp32']:.2f} dB to fp32" in outcome.out
    assert report["worst_first"][0] in outcome.out


@pytest.mark.parametrize("wish", [("--keep", 2), ("--target-db", 200)], ids=str)
def test_a_mix_to_quantise_with(weigh, run, file, tmp_path, wish):
    mix, out = tmp_path / "mix.json", tmp_path / "q.safetensors"
    outcome, report = weigh("--precision", "int8-sim", *wish, "--out", mix)
    assert outcome.code == 0
    kept = report["kept"]["layers"]
    assert kept == report["worst_first"][: 2 if wish[0] == "--keep" else 4]
    run("quantize", "--checkpoint", file, "--recipe", "int8", "--layers", mix, "--out", out)
    layers = load_light_field(str(out)).quantization.layers
    assert set(layers) == set(report["worst_first"]) - set(kept)
    assert f"{len(kept)} of 4 layers in fp32" in outcome.out
    db = report["kept"]["psnr_db_vs_fp32"]
    assert (db is None) == (wish[0] == "--target-db"), "infinite"
    assert db is None or db > report["psnr_db_vs_fp32"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), "--precision"),
        (("--precision", "bf16"), "bf16"),
        (("--precision", "int8-sim", "--rays", "0"), "--rays"),
        (("--precision", "int8-sim", "--keep", "0"), "--keep"),
        (("--precision", "int8-sim", "--target-db", "nan"), "--target-db"),
        (("--precision", "int8-sim", "--keep", "1", "--target-db", "40"), "--target-db"),
        (("--precision", "int8-sim", "--out", "mix.json"), "mix.json"),
    ],
    ids=str,
)
def test_bad_sensitivities_are_refused(weigh, arguments, named):
    outcome, report = weigh(*arguments)
    outcome.assert_refused(named)
    assert report is None


def test_a_mix_that_cannot_be_written_is_named(weigh, tmp_path):
    outcome, _ = weigh("--precision", "int8-sim", "--keep", 1, "--out", tmp_path)
    outcome.after_progress().assert_refused(str(tmp_path))


# --- distill -----------------------------------------------------------------------------------

TINY = ("--width", 8, "--depth", 6, "--frequencies", 2)


@pytest.fixture
def distill(run, tmp_path, fake_clock):
    """A function that distils a tiny network for six steps, a tenth of a minute each."""
    fake_clock(training, seconds_per_look=6.0)

    def distill_it(*arguments: object, out: Path = tmp_path / "tiny.safetensors") -> Outcome:
        return run("distill", "--minutes", 0.6, *TINY, "--out", out, *arguments)

    return distill_it


def test_distilling_makes_a_light_field(distill, render, tmp_path, user_dirs):
    report = tmp_path / "report.json"
    outcome = distill("--json", report)
    assert outcome.code == 0, outcome.err
    assert "tiny.safetensors" in outcome.out
    light_field = load_light_field(str(tmp_path / "tiny.safetensors"))
    assert light_field.network.short_name == "W8 D6"
    assert light_field.network.n_frequencies == 2
    assert light_field.scene == DEMO
    values = json.loads(report.read_text("utf-8"))
    assert values["teacher"] == "demo"
    assert values["rays"] == light_field.provenance["rays"] == 6 * 4096
    assert values["training_s"] == pytest.approx(36.0)
    assert (user_dirs / "cache" / "r2l-viewer" / "distill" / "tiny.pt").exists()


def test_distilling_goes_on_where_it_stopped(distill, tmp_path):
    state = ("--state", tmp_path / "state.pt")
    assert distill(*state).code == 0
    path = tmp_path / "tiny.safetensors"
    assert load_light_field(str(path)).provenance["rays"] == 6 * 4096
    outcome = distill(*state, "--resume", "--minutes", 0.8)
    assert outcome.code == 0, outcome.err
    assert load_light_field(str(path)).provenance["rays"] == 8 * 4096


def test_distilling_another_network_is_not_going_on(distill, tmp_path):
    state = tmp_path / "state.pt"
    assert distill("--state", state).code == 0
    distill("--state", state, "--resume", "--width", 12).assert_refused(str(state))


def test_nothing_to_go_on_with_is_named(distill, tmp_path):
    state = tmp_path / "missing.pt"
    distill("--state", state, "--resume").assert_refused(str(state))


def test_a_stopped_run_keeps_its_state(distill, tmp_path, monkeypatch):
    state = tmp_path / "state.pt"

    def stopped(self):
        yield from ()
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "run", stopped)
    outcome = distill("--state", state)
    assert outcome.code == 130
    assert str(state) in outcome.out
    assert "--resume" in outcome.out
    assert state.exists()
    assert not (tmp_path / "tiny.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--depth", "1"), "--depth"),
        (("--depth", "many"), "--depth"),
        (("--width", "0"), "--width"),
        (("--frequencies", "-1"), "--frequencies"),
        (("--minutes", "0"), "--minutes"),
        (("--minutes", "nan"), "--minutes"),
        (("--scene", "nosuch"), "nosuch"),
        (("--teacher", "oracle"), "--teacher"),
    ],
    ids=str,
)
def test_bad_distillations_are_refused(distill, arguments, named):
    distill(*arguments).assert_refused(named)


@pytest.mark.parametrize("depth", [2, 3])
def test_networks_without_a_body_are_trained_or_refused(distill, depth):
    outcome = distill("--depth", depth)
    if outcome.code != 0:
        outcome.assert_refused("--depth")


def test_scenes_that_cannot_be_distilled_are_named(distill, tmp_path):
    scene = tmp_path / "scene.json"
    for values in (
        SceneSpec(name="villa"),
        replace(DEMO, name="villa", teacher=None),
        replace(DEMO, name="villa", origin_radius=None),
    ):
        scene.write_text(values.to_json())
        distill("--scene", scene).assert_refused("villa")


def test_places_a_light_field_cannot_go_are_named(distill, file, tmp_path):
    distill(out=tmp_path / "tiny.tar").assert_refused("tiny.tar", "--out")
    distill(out=file / "tiny.safetensors").assert_refused(str(file / "tiny.safetensors"))


def test_places_a_state_cannot_go_are_named(distill, file):
    distill("--state", file / "state.pt").assert_refused(str(file / "state.pt"))
