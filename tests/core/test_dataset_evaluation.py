"""`eval --dataset`: a light field measured against pictures that it has made itself, which must be
recognised, and runs that were stopped half-way."""

from __future__ import annotations

import json
import math
import random
import re
import shutil
import subprocess
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image

from r2l_core.checkpoints.opening import save_light_field
from r2l_core.commands.cli import main
from r2l_core.engines.building import build_engine
from r2l_core.evaluation import evaluation, html_report
from r2l_core.evaluation.folder import EvaluationFolder, key_of
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.scene import SceneSpec
from r2l_core.images import metrics
from r2l_core.images.metrics import mse, psnr_db
from r2l_core.render.progressive_image import render_image
from r2l_core.render.sources import NetworkSource
from r2l_core.types import Precision
from tests.core.released_files import arguments as options
from tests.core.released_files import checkpoint, file_bytes, student

pytestmark = pytest.mark.slow

VIEWS = 3
WIDTH_PX, HEIGHT_PX = 26, 22
SCENE = SceneSpec(name="self-portrait", near=2.0, far=6.0)
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Case:
    """A light field on disk and a data set of pictures that it made."""

    checkpoint: Path
    dataset: Path
    images: list[np.ndarray]


@pytest.fixture(scope="module")
def case(make_light_field, tmp_path_factory) -> Case:
    folder = tmp_path_factory.mktemp("self-portrait")
    light_field = make_light_field(SCENE, seed=3)
    checkpoint = folder / "field.safetensors"
    save_light_field(light_field, checkpoint)
    dataset = folder / "pictures"
    (dataset / "test").mkdir(parents=True)
    source = NetworkSource(
        build_engine(light_field, Precision.FP32, "torch", "cpu"), SCENE, "plain"
    )
    frames, images = [], []
    for index in range(VIEWS):
        orbit = Orbit(110.0 * index + 10, 20.0 + 15 * index, 4.031)
        camera = orbit.camera(2 * WIDTH_PX, 2 * HEIGHT_PX, SCENE.focal_px(2 * WIDTH_PX))
        colors = render_image(source, camera).numpy()
        rounded = np.rint(255 * colors).astype(np.uint8)
        Image.fromarray(rounded).save(dataset / "test" / f"r_{index}.png")
        images.append(colors)
        pose = camera.T_world_camera.tolist()
        frames.append({"file_path": f"./test/r_{index}", "transform_matrix": pose})
    content = {"camera_angle_x": SCENE.camera_angle_x_rad, "frames": frames}
    (dataset / "transforms_test.json").write_text(json.dumps(content))
    return Case(checkpoint, dataset, images)


@pytest.fixture
def evaluate(case, tmp_path, capsys):
    """A function that evaluates and returns exit code, stdout, stderr and the report or None."""

    def evaluate_it(*arguments: object, precision: str = "fp32"):
        report = tmp_path / "report.json"
        report.unlink(missing_ok=True)
        words = ["eval", "--checkpoint", case.checkpoint, "--engine", "torch", "--json", report]
        words += ["--precision", precision, *arguments]
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as stopped:
            code = stopped.code
        said = capsys.readouterr()
        values = json.loads(report.read_text("utf-8")) if report.exists() else None
        return code, said.out, said.err, values

    return evaluate_it


def test_a_light_field_recognises_its_own_pictures(evaluate, case):
    code, out, _, report = evaluate("--dataset", case.dataset, precision="fp32,weights-int8-fake")
    assert code == 0
    assert report["reference"] == "dataset"
    assert report["views"] == VIEWS
    assert report["size"] == [2 * WIDTH_PX, 2 * HEIGHT_PX]
    assert report["dataset"] == {
        "name": "pictures",
        "kind": "blender",
        "split": "test",
        "half_res": False,
        "views_in_split": VIEWS,
        "notes": [],
    }
    exact = report["precisions"]["fp32"]
    # All that is lost is the rounding to eight bits: a uniform error of 1/255.
    assert min(exact["psnr_db_views"]) == pytest.approx(10 * math.log10(12 * 255**2), abs=0.5)
    assert exact["ssim_mean"] > 0.999
    assert exact["flip_mean"] < 0.01
    assert exact["psnr_db_vs_fp32_mean"] is None
    fake = report["precisions"]["weights-int8-fake"]
    assert fake["psnr_db_mean"] < exact["psnr_db_mean"] - 5
    assert "pooled" in out


def test_both_published_averages(evaluate, case):
    _, _, _, report = evaluate("--dataset", case.dataset, precision="weights-int8-fake")
    scores = report["precisions"]["weights-int8-fake"]
    views = scores["psnr_db_views"]
    assert np.ptp(views) > 0.05, "or the averages are one"
    assert scores["psnr_db_mean"] == pytest.approx(np.mean(views))
    pooled = -10 * math.log10(np.mean([10 ** (-db / 10) for db in views]))
    assert scores["psnr_db_pooled"] == pytest.approx(pooled)
    assert pooled < np.mean(views)


def with_masks(folder: Path, masks: list[np.ndarray]) -> Path:
    """A copy of the pictures that differ from the truth where a mask is dark."""
    (folder / "masks").mkdir()
    poses = folder / "transforms_test.json"
    values = json.loads(poses.read_text())
    for index, mask in enumerate(masks):
        name = f"test/r_{index}.png"
        with Image.open(folder / name) as picture:
            pixels = np.array(picture)
        pixels[~mask] = 255 - pixels[~mask] // 2
        Image.fromarray(pixels).save(folder / name)
        Image.fromarray(np.uint8(255) * mask).save(folder / f"masks/{index}.png")
        values["frames"][index]["mask_path"] = f"masks/{index}.png"
    poses.write_text(json.dumps(values))
    return folder


def test_masks_leave_pixels_out(evaluate, case, tmp_path):
    """People and cars that walked through the photographs are no errors of the light field."""
    left = np.zeros((2 * HEIGHT_PX, 2 * WIDTH_PX), np.bool_)
    left[:, :WIDTH_PX] = True
    masks = [left, np.ones_like(left), np.zeros_like(left)]
    shutil.copytree(case.dataset, tmp_path / "masked")
    folder = with_masks(tmp_path / "masked", masks)
    keep = ("--out", tmp_path / "kept")
    code, out, said, report = evaluate("--dataset", folder, *keep)
    assert code == 0
    assert "3 pictures have masks" in said
    scores = report["precisions"]["fp32"]
    exact_db = 10 * math.log10(12 * 255**2)
    *counted_db, none_db = scores["psnr_db_views"]
    assert counted_db == pytest.approx([exact_db, exact_db], abs=1.0)
    assert none_db is None
    assert scores["psnr_db_mean"] == pytest.approx(np.mean(counted_db))
    assert scores["psnr_db_pooled"] == pytest.approx(exact_db, abs=1.0)
    assert scores["ssim_mean"] > 0.999
    assert scores["flip_mean"] < 0.01
    assert scores["counted_percent_mean"] == pytest.approx(50)
    assert "nan" not in out
    assert evaluate("--dataset", folder, *keep)[3] == report
    Image.fromarray(np.uint8(255) * ~left).save(folder / "masks/0.png")
    changed = evaluate("--dataset", folder, *keep)[3]["precisions"]["fp32"]
    assert changed["psnr_db_views"][0] < 30, "another mask is another evaluation"


def test_half_resolution_and_limit(evaluate, case, tmp_path):
    folder = tmp_path / "kept"
    code, _, _, report = evaluate(
        "--dataset", case.dataset, "--half-res", "--limit", 2, "--out", folder
    )
    assert code == 0
    assert (report["views"], report["size"]) == (2, [WIDTH_PX, HEIGHT_PX])
    assert report["dataset"]["views_in_split"] == VIEWS
    assert report["dataset"]["half_res"] is True
    for index in range(2):
        rounded = np.rint(case.images[index] * 255) / 255
        expected = rounded.reshape(HEIGHT_PX, 2, WIDTH_PX, 2, 3).mean((1, 3))
        truth = iio.imread(folder / f"{index:03d}_truth.png") / 255
        np.testing.assert_allclose(truth, expected, atol=0.51 / 255)
        image = iio.imread(folder / f"{index:03d}_fp32.png") / 255
        error = iio.imread(folder / f"{index:03d}_fp32_error.png") / 255
        worst = np.abs(image - truth).max(axis=2, keepdims=True)
        np.testing.assert_allclose(error, np.broadcast_to(worst, error.shape), atol=1.1 / 255)
        reached = report["precisions"]["fp32"]["psnr_db_views"][index]
        assert reached == pytest.approx(psnr_db(mse(image, truth)), abs=0.5)
    assert not (folder / "002_fp32.png").exists()


def test_videos_show_the_views(evaluate, case, tmp_path):
    folder = tmp_path / "kept"
    evaluate("--dataset", case.dataset, "--out", folder, precision="fp32,weights-bf16")
    for name in ("fp32", "weights-bf16", "truth"):
        raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-")
        decoded = subprocess.run(
            [get_ffmpeg_exe(), "-i", folder / f"{name}.mp4", *raw], capture_output=True
        )
        frames = np.frombuffer(decoded.stdout, np.uint8).reshape(VIEWS, *case.images[0].shape)
        for frame, image in zip(frames, case.images, strict=True):
            assert np.abs(frame / 255 - image).mean() < 0.06
        assert b"Video: h264" in decoded.stderr
        assert b"30 fps" in decoded.stderr


# --- going on ----------------------------------------------------------------------------------


@pytest.fixture
def rendered(monkeypatch):
    """The views that were measured, as they are: (index, precision)."""
    seen = []
    original = EvaluationFolder.record

    def record(self, index, name, key, scores):
        seen.append((index, name))
        original(self, index, name, key, scores)

    monkeypatch.setattr(EvaluationFolder, "record", record)
    return seen


def test_what_was_measured_is_not_measured_again(evaluate, case, tmp_path, rendered):
    arguments = ("--dataset", case.dataset, "--out", tmp_path / "kept")
    _, _, _, first = evaluate(*arguments, precision="fp32,weights-bf16")
    assert len(rendered) == 2 * VIEWS
    rendered.clear()
    code, out, _, again = evaluate(*arguments, precision="fp32,weights-bf16")
    assert code == 0
    assert rendered == []
    assert again == first, "to the last digit, times included"
    assert "6 of 6 were measured before" in out


def test_a_stopped_run_goes_on(evaluate, case, tmp_path, rendered, monkeypatch):
    arguments = ("--dataset", case.dataset, "--out", tmp_path / "kept")
    _, _, _, whole = evaluate("--dataset", case.dataset, "--out", tmp_path / "other")
    rendered.clear()
    original, calls = evaluation.compare, []

    def interrupted(*of):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*of)

    monkeypatch.setattr(evaluation, "compare", interrupted)
    code, _, _, report = evaluate(*arguments)
    assert (code, report) == (130, None)
    assert rendered == [(0, "fp32")]
    monkeypatch.setattr(evaluation, "compare", original)
    code, out, _, report = evaluate(*arguments)
    assert code == 0
    assert rendered == [(0, "fp32"), (1, "fp32"), (2, "fp32")]
    assert "1 of 3 were measured before" in out
    for name in ("psnr_db_views", "psnr_db_pooled", "ssim_mean", "flip_mean"):
        assert report["precisions"]["fp32"][name] == whole["precisions"]["fp32"][name]


def kept_names(views: int) -> list[str]:
    """Whatever an evaluation of that many views in fp32 writes."""
    pictures = [f"{i:03d}_{what}" for i in range(views) for what in ("truth", "fp32", "fp32_error")]
    records = [f"records/{i:03d}_fp32.json" for i in range(views)]
    return ["views.json", "truth.mp4", "fp32.mp4", *(f"{name}.png" for name in pictures), *records]


@pytest.mark.parametrize("number", range(8))
def test_files_of_others_are_not_written_over(evaluate, case, tmp_path, number):
    """Whatever lies there under a name that the evaluation would use, alone or with its like."""
    folder, draw = tmp_path / "kept", random.Random(number)
    for name in draw.sample(kept_names(VIEWS), draw.choice([1, 1, 4])):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if number == 7:
            path.symlink_to(tmp_path / "nowhere")
        else:
            path.write_bytes(draw.choice([b"", b"{}", b"[]", b"my film"]))
    before = {p: p.is_symlink() or p.read_bytes() for p in folder.rglob("*") if not p.is_dir()}
    code, _, said, _ = evaluate("--dataset", case.dataset, "--out", folder)
    assert code == 2
    assert "which no evaluation has written" in said
    assert said.count("error:") == 1
    after = {p: p.is_symlink() or p.read_bytes() for p in folder.rglob("*") if not p.is_dir()}
    assert after == before


def test_an_evaluation_may_replace_its_own(evaluate, case, tmp_path, rendered):
    """Also one of before it noted what it writes, whose records were removed, or of more views."""
    folder = tmp_path / "kept"
    arguments = ("--dataset", case.dataset, "--out", folder)
    assert evaluate(*arguments, "--limit", 1)[0] == 0
    assert evaluate(*arguments, precision="fp32,weights-bf16")[0] == 0
    assert evaluate(*arguments, "--limit", 1)[0] == 0
    (folder / "views.json").unlink()
    assert evaluate(*arguments)[0] == 0
    shutil.rmtree(folder / "records")
    rendered.clear()
    assert evaluate(*arguments)[0] == 0
    assert len(rendered) == VIEWS
    (folder / "int8-sim.mp4").write_bytes(b"my film")
    assert evaluate(*arguments, precision="fp32,int8-sim")[0] == 2
    assert (folder / "int8-sim.mp4").read_bytes() == b"my film"


def test_a_note_of_any_number_of_views_takes_no_time(evaluate, case, tmp_path):
    folder = tmp_path / "kept"
    folder.mkdir()
    note = {"format": "r2l-evaluation", "views": {"truth": 10**15, "fp32": 10**15}}
    (folder / "views.json").write_text(json.dumps(note))
    assert evaluate("--dataset", case.dataset, "--out", folder, "--limit", 1)[0] == 0


def test_another_evaluation_is_measured_anew(evaluate, case, tmp_path, rendered):
    arguments = ("--dataset", case.dataset, "--out", tmp_path / "kept")
    evaluate(*arguments)
    for changed in (("--half-res",), ("--engine", "reference")):
        rendered.clear()
        evaluate(*arguments, *changed)
        assert len(rendered) == VIEWS, changed
    rendered.clear()
    scene = tmp_path / "scene.json"
    scene.write_text(replace(SCENE, near=2.1).to_json())
    evaluate(*arguments, "--scene", scene)
    assert len(rendered) == VIEWS
    rendered.clear()
    evaluate(*arguments, "--scene", scene, "--limit", 1)
    assert rendered == []


def test_a_changed_picture_is_measured_anew(evaluate, case, tmp_path, rendered):
    arguments = ("--dataset", case.dataset, "--out", tmp_path / "kept")
    evaluate(*arguments)
    rendered.clear()
    picture = case.dataset / "test" / "r_1.png"
    before = picture.read_bytes()
    try:
        Image.new("RGB", (2 * WIDTH_PX, 2 * HEIGHT_PX)).save(picture)
        _, _, _, report = evaluate(*arguments)
    finally:
        picture.write_bytes(before)
    assert rendered == [(1, "fp32")]
    assert report["precisions"]["fp32"]["psnr_db_views"][1] < 20


def test_perceptual_distances_are_kept_as_well(evaluate, case, tmp_path, rendered, monkeypatch):
    arguments = ("--dataset", case.dataset, "--out", tmp_path / "kept")
    monkeypatch.setattr(evaluation, "unavailable", lambda: "not here")
    evaluate(*arguments)
    monkeypatch.setattr(evaluation, "unavailable", lambda: "")
    monkeypatch.setattr(metrics, "lpips", lambda *_: (0.25, ""))
    rendered.clear()
    _, _, _, first = evaluate(*arguments)
    assert len(rendered) == VIEWS, "it can be measured only now"
    assert first["precisions"]["fp32"]["lpips_mean"] == 0.25
    assert first["lpips_why_not"] is None
    rendered.clear()
    assert evaluate(*arguments)[3] == first
    assert rendered == []


def test_a_page_shows_views_that_were_measured_before(
    evaluate, case, tmp_path, rendered, monkeypatch
):
    monkeypatch.setattr(html_report, "MAX_VIEWS", 2)
    arguments = ("--dataset", case.dataset, "--out", tmp_path / "kept")
    evaluate(*arguments, precision="fp32,weights-bf16")
    rendered.clear()
    page = tmp_path / "r.html"
    _, out, _, report = evaluate(*arguments, "--html", page, precision="fp32,weights-bf16")
    assert {index for index, _ in rendered} == {0, 2}
    assert "2 of 6 were measured before" in out
    text = page.read_text("utf-8")
    assert text.count("data:image/png;base64,") == 1 + 2 * (1 + 2 + 3)
    assert "the dataset pictures (blender, test)" in " ".join(text.split())
    assert f"<td>{report['precisions']['fp32']['psnr_db_pooled']:.2f}</td>" in text


def test_pixels_count_alike_in_the_pooled_average(make_light_field):
    light_field = make_light_field()
    info = build_engine(light_field, Precision.FP32, "reference").info
    scores = evaluation.PrecisionScores(info)
    for size_px, error in ((20, 0.1), (40, 0.3)):
        truth = np.zeros((size_px, size_px, 3), np.float32)
        errors = metrics.compare(truth + np.float32(error), truth)
        scores.views.append(evaluation.ViewScores(errors, errors, 1.0, size_px**2))
    expected = psnr_db((0.01 * 20**2 + 0.09 * 40**2) / (20**2 + 40**2))
    assert scores.summary()["psnr_db_pooled"] == pytest.approx(expected, abs=1e-4)


def test_records_bear_what_json_cannot():
    exact = metrics.PixelErrors(0.0, math.inf, 0.0, 0.0, 0.0)
    broken = metrics.ImageComparison(*[math.nan] * 7, None, "the image is not finite")
    scores = evaluation.ViewScores(broken, exact, 12.5, 400)
    through_json = json.loads(re.sub("NaN|Infinity", "null", json.dumps(asdict(scores))))
    again = evaluation.ViewScores.from_record(through_json)
    assert again.to_fp32 == exact
    assert repr(again) == repr(scores)


def _without(record):
    del record["to_truth"]["ssim"]


@pytest.mark.parametrize(
    "change",
    [
        _without,
        lambda record: record.pop("ms"),
        lambda record: record.update(ms=None),
        lambda record: record.update(n_pixels=[1]),
        lambda record: record.update(n_pixels=0),
        lambda record: record.update(n_pixels=-5),
        lambda record: record.pop("counted_percent"),
        lambda record: record.update(counted_percent=101),
        lambda record: record.update(to_fp32=None),
        lambda record: record.update(to_fp32=[1.0]),
        lambda record: record["to_truth"].update(mse="much"),
        lambda record: record["to_truth"].update(mse=-1.0),
        lambda record: record["to_truth"].update(flip=10**400),
    ],
)
def test_changed_records_are_measured_anew(evaluate, case, tmp_path, rendered, change):
    arguments = ("--dataset", case.dataset, "--out", tmp_path / "kept", "--limit", 1)
    evaluate(*arguments)
    path = tmp_path / "kept" / "records" / "000_fp32.json"
    record = json.loads(path.read_text("utf-8"))
    change(record["scores"])
    path.write_text(json.dumps(record), encoding="utf-8")
    rendered.clear()
    assert evaluate(*arguments)[0] == 0
    assert rendered == [(0, "fp32")]


# --- released files ----------------------------------------------------------------------------


@pytest.fixture
def released(tmp_path) -> Path:
    path = tmp_path / "ckpt.tar"
    path.write_bytes(file_bytes(checkpoint(student(options()))))
    return path


def test_a_released_file_gets_the_scene_of_the_dataset(evaluate, case, tmp_path, released):
    scene = tmp_path / "scene.json"
    scene.write_text(SCENE.to_json())
    asked = ("--dataset", case.dataset, "--limit", 1, "--checkpoint", released)
    _, _, err, report = evaluate(*asked)
    assert "near 2, far 6 and background of the dataset pictures are used" in err
    assert "Blender scenes" not in err, "nothing was assumed"
    _, _, err, given = evaluate(*asked, "--scene", scene)
    assert "dataset pictures" not in err
    assert given["precisions"]["fp32"]["psnr_db_views"] == pytest.approx(
        report["precisions"]["fp32"]["psnr_db_views"]
    )
    _, _, err, _ = evaluate("--dataset", case.dataset, "--limit", 1)
    assert "note" not in err, "a native file knows its scene"


def test_depths_of_the_dataset_are_used(evaluate, case, tmp_path, released):
    donerf = tmp_path / "room"
    shutil.copytree(case.dataset, donerf)
    (donerf / "dataset_info.json").write_text(
        json.dumps({"depth_range": [0.5, 9.0], "camera_angle_x": SCENE.camera_angle_x_rad})
    )
    _, _, err, report = evaluate("--dataset", donerf, "--limit", 1, "--checkpoint", released)
    assert report["dataset"]["kind"] == "donerf"
    assert "near 0.5, far 9" in err


def test_other_assumptions_are_measured_anew(evaluate, case, tmp_path, rendered):
    path = tmp_path / "bare.tar"
    path.write_bytes(file_bytes(checkpoint(student(options()), module=False)))
    asked = ("--dataset", case.dataset, "--limit", 1, "--checkpoint", path, "--out", tmp_path / "k")
    evaluate(*asked)
    rendered.clear()
    evaluate(*asked, "--assume", "res_scale=0.5")
    assert rendered == [(0, "fp32")]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"null", b'{"key": 1}', b"\xff"])
def test_damaged_records_are_measured_anew(evaluate, case, tmp_path, rendered, damage):
    arguments = ("--dataset", case.dataset, "--out", tmp_path / "kept", "--limit", 1)
    evaluate(*arguments)
    (tmp_path / "kept" / "records" / "000_fp32.json").write_bytes(damage)
    rendered.clear()
    assert evaluate(*arguments)[0] == 0
    assert rendered == [(0, "fp32")]


def test_records_need_their_pictures(evaluate, case, tmp_path, rendered):
    arguments = ("--dataset", case.dataset, "--out", tmp_path / "kept", "--limit", 1)
    evaluate(*arguments)
    (tmp_path / "kept" / "000_fp32.png").unlink()
    rendered.clear()
    evaluate(*arguments)
    assert rendered == [(0, "fp32")]


def test_keys_do_not_depend_on_the_order_of_settings():
    assert key_of({"a": 1, "b": [2.5]}) == key_of({"b": [2.5], "a": 1})
    assert key_of({"a": 1}) != key_of({"a": 2})
    assert len(key_of({})) == 64


# --- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--dataset", "nosuch"), "nosuch"),
        (("--dataset", "DATASET", "--split", "train"), "no split 'train'"),
        (("--dataset", "DATASET", "--split", "best"), "--split"),
        (("--dataset", "DATASET", "--limit", "0"), "--limit"),
        (("--dataset", "DATASET", "--radius", "3"), "--radius"),
        (("--dataset", "DATASET", "--pivot", "0,0,1"), "--pivot"),
        (("--split", "test"), "--split"),
        (("--half-res",), "--half-res"),
        (("--limit", "3"), "--limit"),
    ],
    ids=str,
)
def test_bad_arguments_are_refused(evaluate, case, arguments, named):
    arguments = [case.dataset if word == "DATASET" else word for word in arguments]
    code, _, err, report = evaluate(*arguments)
    assert code == 2
    assert report is None
    assert err.strip().startswith("error:")
    assert "\n" not in err.strip()
    assert named in err


def test_a_broken_picture_is_named_before_any_is_rendered(evaluate, case, tmp_path, rendered):
    broken = tmp_path / "broken"
    shutil.copytree(case.dataset, broken)
    picture = broken / "test" / "r_1.png"
    picture.write_bytes(picture.read_bytes()[:200])
    code, _, err, report = evaluate("--dataset", broken, "--out", tmp_path / "kept")
    assert (code, report) == (2, None)
    assert str(picture) in err
    assert "Traceback" not in err
    assert rendered == []
    code, *_ = evaluate("--dataset", broken, "--out", tmp_path / "kept", "--limit", 1)
    assert code == 0, "those before it can be measured"


def test_the_chair_can_be_evaluated(evaluate):
    for parent in REPOSITORY.parents[:3]:
        folder = parent / "shared" / "data" / "nerf_synthetic" / "chair"
        if folder.is_dir():
            break
    else:
        pytest.skip("the chair of the NeRF synthetic data set is not beside the repository")
    code, _, _, report = evaluate("--dataset", folder, "--half-res", "--limit", 1)
    assert code == 0
    assert report["size"] == [400, 400]
    assert 0 < report["precisions"]["fp32"]["psnr_db_mean"] < 20
