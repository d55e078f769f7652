"""`record` as a person meets it: flags, files, refusals, and a plug that is pulled."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from r2l_core.camera_paths.camera_path import CameraPath, Keyframe
from r2l_core.camera_paths.files import save_camera_path
from r2l_core.commands.cli import main
from r2l_core.geometry.orbit import Orbit
from r2l_core.recording import recorder as recorder_module
from r2l_core.types import Precision

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
QUICK = ("--seconds", "0.2", "--fps", "20", "--size", "32x24", "--engine", "torch")


@pytest.fixture
def record(capsys, light_field_file):
    """A function that runs the command on a small light field; returns exit code, stdout and
    stderr. `checkpoint=None` leaves --checkpoint out."""

    def run(*arguments: object, checkpoint: object = light_field_file) -> tuple[int, str, str]:
        capsys.readouterr()
        opened = [] if checkpoint is None else ["--checkpoint", str(checkpoint)]
        try:
            code = main(["record", *opened, *(str(argument) for argument in arguments)])
        except SystemExit as stopped:
            code = stopped.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def sidecar_of(out: Path) -> dict:
    return json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", ["turntable", "spiral", "dolly"])
def test_a_preset_is_recorded(record, decode, tmp_path, path):
    out, report = tmp_path / "new" / "demo.mp4", tmp_path / "report.json"
    code, said, _ = record("--path", path, *QUICK, "--out", out, "--json", report)
    assert code == 0
    assert "demo.mp4: 4 frames, 0.20 s, 32×24" in said
    assert len(decode(out)) == 4
    assert out.with_suffix(".csv").is_file()
    values = json.loads(report.read_text(encoding="utf-8"))
    assert (values["state"], values["frames_done"], values["size_px"]) == ("finished", 4, [32, 24])


def test_a_turntable_starts_with_the_picture_that_render_makes(record, light_field, tmp_path):
    out = tmp_path / "x.png"
    record(*QUICK, "--out", out)
    home = light_field.scene.home()
    row = out.with_suffix(".csv").read_text().splitlines()[1].split(",")
    pose = np.array([float(number) for number in row[3:15]]).reshape(3, 4)
    np.testing.assert_allclose(pose, home.T_world_camera()[:3], atol=1e-9)
    assert float(row[16]) == pytest.approx(light_field.scene.focal_px(32))


def test_a_path_file_brings_its_own_length(record, decode, tmp_path):
    keys = tuple(
        Keyframe(Orbit(a, 20.0, 4.0).T_world_camera(), 40.0, 0.25) for a in (0.0, 30.0, 60.0)
    )
    path = tmp_path / "path.json"
    save_camera_path(CameraPath(keys), path)
    options = ("--path", path, "--fps", "20", "--size", "32x24", "--engine", "torch")
    assert record(*options, "--out", tmp_path / "a.mp4")[0] == 0
    assert len(decode(tmp_path / "a.mp4")) == 10
    assert record(*options, "--seconds", "0.1", "--out", tmp_path / "b.mp4")[0] == 0
    assert len(decode(tmp_path / "b.mp4")) == 2
    code, _, err = record(*options, "--out", tmp_path / "path.mp4")
    assert code == 2, "the path would be written over"
    assert "path.json" in err


@pytest.mark.parametrize("mode", ["side", "wipe", "difference"])
def test_two_precisions_are_compared(record, decode, tmp_path, mode):
    out = tmp_path / "x.mp4"
    code, _, _ = record(
        *QUICK[:-2], "--compare", "fp32,weights-int8-fake", "--mode", mode, "--out", out
    )
    assert code == 0
    width = 64 if mode == "side" else 32
    assert decode(out).shape[1:] == (24, width, 3)
    assert sidecar_of(out)["labels"] == "live"


@pytest.fixture
def keyed(tmp_path) -> Path:
    """A path whose keyframes name the precisions of both panes, and a gain."""
    pose = Orbit(0.0, 20.0, 4.0).T_world_camera()
    keys = (
        Keyframe(pose, 40.0, 0.1, Precision.WEIGHTS_BF16, Precision.FP32, gain=3.0),
        Keyframe(pose, 40.0, 0.1, Precision.FP32),
        Keyframe(pose, 40.0, 0.1),
    )
    file = tmp_path / "keyed.json"
    save_camera_path(CameraPath(keys), file)
    return file


@pytest.mark.parametrize(
    ("flags", "first", "last"),
    [
        ((), ("weights-bf16", "", ""), ("fp32", "", "")),
        (("--precision", "fp32"), ("fp32", "", ""), ("fp32", "", "")),
        (
            ("--mode", "difference"),
            ("weights-bf16", "fp32", "3.0"),
            ("fp32", "fp32", "3.0"),
        ),
        (
            ("--compare", "fp32,weights-int8-fake", "--mode", "difference", "--gain", "5"),
            ("fp32", "weights-int8-fake", "5.0"),
            ("fp32", "weights-int8-fake", "5.0"),
        ),
    ],
)
def test_flags_win_over_keyframes_and_these_over_what_is_usual(
    record, tmp_path, keyed, flags, first, last
):
    out = tmp_path / "x.png"
    options = ("--path", keyed, *QUICK[:-2], "--size", "16x12", *flags, "--out", out)
    assert record(*options)[0] == 0
    with out.with_suffix(".csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = ("precision_a", "precision_b", "gain")
    assert tuple(rows[0][name] for name in names) == first
    assert tuple(rows[-1][name] for name in names) == last


def test_padding_is_reported(record, tmp_path):
    _, said, _ = record(*QUICK[:4], "--size", "33x21", "--out", tmp_path / "x.mp4")
    assert "34×22, padded from 33×21" in said


def test_a_recording_is_made_again_from_its_sidecar_alone(record, decode, tmp_path):
    record(*QUICK, "--precision", "fp32", "--out", tmp_path / "x.mp4")
    code, _, _ = record("--from", tmp_path / "x.json", "--out", tmp_path / "y.mp4", checkpoint=None)
    assert code == 0
    np.testing.assert_array_equal(decode(tmp_path / "y.mp4"), decode(tmp_path / "x.mp4"))


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("--out", "x.avi"), ".avi"),
        ((), "--out"),
        (("--out", "x.mp4", "--path", "none.json"), "none.json"),
        (("--out", "x.mp4", "--mode", "wipe"), "--compare"),
        (("--out", "x.mp4", "--compare", "fp32"), "--compare"),
        (("--out", "x.mp4", "--compare", "fp32,int8", "--precision", "fp32"), "--precision"),
        (("--out", "x.mp4", "--fps", "1000"), "--fps 1000"),
        (("--out", "x.mp4", "--fps", "0"), "--fps"),
        (("--out", "x.mp4", "--fps", "nan"), "--fps"),
        (("--out", "x.mp4", "--seconds", "0"), "--seconds"),
        (("--out", "x.mp4", "--seconds", "1e9"), "--seconds 1e+09"),
        (("--out", "x.mp4", "--seconds", "inf"), "--seconds"),
        (("--out", "x.png", "--size", "16000x16000"), "16000x16000"),
        (("--resume", "x.json", "--assume", "n_sample=4"), "--assume"),
        (("--out", "x.gif", "--fps", "120"), "at most 50"),
        (("--out", "x.mp4", "--title", "漢"), "title"),
        (("--out", "x.mp4", "--size", "16384x16384", "--seconds", "1"), "16384"),
        (("--resume", "x.json", "--fps", "3"), "--fps"),
        (("--resume", "x.json", "--out", "x.mp4"), "--out"),
        (("--from", "none.json", "--out", "x.mp4"), "none.json"),
        (("--from", "none.json"), "--out"),
    ],
)
def test_what_cannot_be_recorded_is_refused_in_one_paragraph(
    record, tmp_path, monkeypatch, arguments, names
):
    monkeypatch.chdir(tmp_path)
    code, _, err = record(*arguments)
    assert code == 2
    assert err.startswith("error:")
    assert "\n" not in err.strip()
    assert names in err
    assert not (tmp_path / "x.mp4").exists()


@pytest.mark.parametrize("ending", ["mp4", "webm", "gif"])
def test_without_ffmpeg_nothing_is_rendered(record, tmp_path, monkeypatch, ending):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "nowhere"))
    code, _, err = record(*QUICK, "--out", tmp_path / f"x.{ending}")
    assert code == 2
    assert "nowhere" in err
    assert "\n" not in err.strip()
    assert not list(tmp_path.glob("x.*"))


def test_without_a_checkpoint_there_is_nothing_to_record(record, tmp_path):
    code, _, err = record("--out", tmp_path / "x.mp4", checkpoint=None)
    assert code == 2
    assert "--checkpoint" in err


def test_a_recording_whose_processes_are_all_killed_plays_and_is_completed(
    record, decode, light_field_file, tmp_path
):
    out, n_frames = tmp_path / "long.mp4", 150
    command = [sys.executable, "-m", "r2l_core", "record", "--checkpoint", str(light_field_file)]
    command += ["--seconds", "5", "--fps", "30", "--size", "96x72", "--engine", "torch"]
    process = subprocess.Popen(
        [*command, "--out", str(out)],
        cwd=REPOSITORY,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while not (out.with_suffix(".json").is_file() and sidecar_of(out)["frames_done"] >= 5):
            assert process.poll() is None, "it ended by itself"
            time.sleep(0.005)
        encoders = psutil.Process(process.pid).children(recursive=True)
        for encoder in encoders:
            encoder.kill()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert len(encoders) == 1
    psutil.wait_procs(encoders)
    done = sidecar_of(out)["frames_done"]
    assert 5 <= done < n_frames
    assert done <= len(decode(out)) < n_frames
    assert record("--resume", out.with_suffix(".json"), checkpoint=None)[0] == 0
    assert len(decode(out)) == n_frames
    assert sidecar_of(out)["state"] == "finished"
    assert len(out.with_suffix(".csv").read_text().splitlines()) == 1 + n_frames


def test_an_interrupt_from_the_keyboard_closes_in_good_order(record, decode, tmp_path, monkeypatch):
    out, render, calls = tmp_path / "x.mp4", recorder_module.render_image, []

    def interrupted(*arguments):
        calls.append(None)
        if len(calls) == 3:
            # What the signal does, without sending one to the process that runs all the tests.
            signal.getsignal(signal.SIGINT)(signal.SIGINT, None)
        return render(*arguments)

    monkeypatch.setattr(recorder_module, "render_image", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    code, said, _ = record(*QUICK, "--out", out)
    assert code == 130
    assert f"--resume {out.with_suffix('.json')}" in said
    assert sidecar_of(out)["state"] == "aborted"
    assert sidecar_of(out)["frames_done"] == len(decode(out)) == 2
    assert signal.getsignal(signal.SIGINT) is handler
