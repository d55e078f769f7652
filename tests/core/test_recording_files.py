"""Video files cut off anywhere, joined, and refused; the table and the sidecar beside them."""

from __future__ import annotations

import csv
import errno
import json
import os
import stat
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from r2l_core.camera_paths.presets import turntable
from r2l_core.errors import R2LError, RecordingError
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.scene import PRESETS
from r2l_core.recording.ffmpeg import Encoder, check_encoder, count_frames, join
from r2l_core.recording.files import video_files
from r2l_core.recording.formats import FORMATS, format_of, require_fps
from r2l_core.recording.fragments import FragmentTracker
from r2l_core.recording.loading import is_sidecar, load_sidecar
from r2l_core.recording.plan import RecordingPlan
from r2l_core.recording.sidecar import Recipe, Sidecar
from r2l_core.recording.table import COLUMNS, frame_table, row_of
from r2l_core.types import EngineInfo, Precision

pytestmark = pytest.mark.slow

FPS = Fraction(30)
VIDEOS = (".mp4", ".webm")


def picture(k: int, size=(32, 24)) -> np.ndarray:
    """Smooth, and another one for every k."""
    y, x = np.mgrid[: size[1], : size[0]]
    return (
        np.stack([4 * x + 3 * k, 5 * y + k, np.full_like(x, 8 * k)], -1)
        .clip(0, 255)
        .astype(np.uint8)
    )


def encode(path, frames, suffix=None) -> None:
    encoder = Encoder(path, FORMATS[suffix or path.suffix], (32, 24), FPS)
    for k in frames:
        encoder.write(picture(k))
    assert encoder.close() == len(frames)


@pytest.fixture
def assert_shows(decode):
    """A function that asserts that a file holds exactly the pictures of these numbers."""

    def check(path, wanted) -> None:
        frames = decode(path)
        found = [
            int(np.argmin([np.abs(frame.astype(int) - picture(k)).mean() for k in range(40)]))
            for frame in frames
        ]
        assert found == list(wanted)

    return check


# --- whole frames of a file that is cut off ----------------------------------------------------


@pytest.mark.parametrize("suffix", VIDEOS)
def test_a_file_cut_off_anywhere_plays_up_to_the_last_whole_frame(tmp_path, decode, suffix):
    whole = tmp_path / f"whole{suffix}"
    encode(whole, range(6))
    data = whole.read_bytes()
    ends = []
    for length in (*range(0, len(data), len(data) // 150), len(data)):
        cut = tmp_path / f"cut{suffix}"
        cut.write_bytes(data[:length])
        tracker = FragmentTracker(cut)
        if tracker.update() > len(ends):
            assert tracker.frames == len(ends) + 1
            assert tracker.end <= length
            ends.append(tracker.end)
            os.truncate(cut, tracker.end)
            assert count_frames(cut) == tracker.frames
    assert len(ends) == 6
    cut.write_bytes(data[: ends[3] + (ends[4] - ends[3]) // 2])
    assert len(decode(cut)) >= 4  # with the torn frame still there


@pytest.mark.parametrize("suffix", VIDEOS)
def test_a_tracker_follows_a_growing_file(tmp_path, suffix):
    whole, growing = tmp_path / f"whole{suffix}", tmp_path / f"growing{suffix}"
    encode(whole, range(5))
    data = whole.read_bytes()
    tracker = FragmentTracker(growing)
    assert tracker.update() == 0  # not there yet
    seen = []
    for length in range(0, len(data) + 1, len(data) // 90):
        growing.write_bytes(data[:length])
        seen.append(tracker.update())
    growing.write_bytes(data)
    assert tracker.update() == 5
    assert seen == sorted(seen)


@pytest.mark.parametrize("suffix", VIDEOS)
@pytest.mark.parametrize("content", [b"", b"\x00" * 500, b"\xff" * 500, b"GIF89a", os.urandom(999)])
def test_what_is_no_video_holds_no_frames(tmp_path, suffix, content):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    assert FragmentTracker(path).update() == 0


def test_frames_are_in_the_file_soon_after_they_are_handed_over(tmp_path):
    encoder = Encoder(tmp_path / "x.mp4", FORMATS[".mp4"], (32, 24), FPS)
    counts = []
    for k in range(200):
        encoder.write(picture(k % 30))
        counts.append(encoder.frames())
    assert counts == sorted(counts)
    assert counts[-1] <= 200
    assert encoder.close() == 200


# --- joining -----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_parts_are_joined_with_every_frame_once(tmp_path, assert_shows, suffix):
    first, rest = tmp_path / f"it's a part{suffix}", tmp_path / f"x.rest{suffix}"
    encode(first, range(7))
    encode(rest, range(7, 10))
    join([(first, 7), (rest, 3)], first, FORMATS[suffix], FPS)
    assert_shows(first, range(10))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([first.name, rest.name])


def test_a_part_is_cut_where_the_next_one_begins(tmp_path, assert_shows):
    first, rest = tmp_path / "x.mp4", tmp_path / "x.rest.mp4"
    encode(first, range(13))
    encode(rest, range(8, 16))
    join([(first, 8), (rest, 8)], first, FORMATS[".mp4"], FPS)
    assert_shows(first, range(16))


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_joined_parts_are_bit_for_bit_what_would_have_been_written_at_once(
    tmp_path, decode, suffix
):
    """From any frame that begins a group, however the film got there."""
    frames = {}
    for name, at in (("whole", 0), ("joined", 16)):
        files = video_files(tmp_path / f"{name}{suffix}", FORMATS[suffix], (32, 24), FPS)
        for first, last in ((0, at + 3), (at, 24)) if at else ((0, 24),):
            sink = files.open(first)
            for k in range(first, last):
                sink.write(picture(k))
            assert sink.close() == last - first
        files.finish(at, 24 - at, complete=True)
        frames[name] = decode(tmp_path / f"{name}{suffix}")
    assert len(frames["whole"]) == 24
    np.testing.assert_array_equal(frames["whole"], frames["joined"])


def test_a_gif_has_every_frame_at_its_time_however_alike_they_are(tmp_path):
    path = tmp_path / "x.gif"
    files = video_files(path, FORMATS[".gif"], (32, 24), FPS)
    sink = files.open(0)
    for k in (0, 0, 0, 1, 2, 2, 3, 4, 4, 4):
        sink.write(picture(k))
    sink.close()
    files.finish(0, 10, complete=True)
    with Image.open(path) as gif:
        assert (gif.n_frames, gif.info["loop"]) == (10, 0)
        durations_ms = []
        for frame in range(gif.n_frames):
            gif.seek(frame)
            durations_ms.append(gif.info["duration"])
            assert np.abs(np.asarray(gif.convert("RGB")).astype(int) - picture(0)).mean() < 40
    assert sum(durations_ms) == pytest.approx(1e4 / 30, abs=10)
    assert max(durations_ms) <= 40
    assert [file.name for file in tmp_path.iterdir()] == ["x.gif"]


@pytest.mark.parametrize("suffix", VIDEOS)
def test_a_join_that_lacks_frames_leaves_everything_as_it_was(tmp_path, suffix):
    first = tmp_path / f"x{suffix}"
    encode(first, range(4))
    before = first.read_bytes()
    files = video_files(first, FORMATS[suffix], (32, 24), FPS)
    with pytest.raises(RecordingError, match="4 of 9 frames"):
        files.finish(0, 9, complete=True)
    assert first.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [first.name]


def test_an_interrupted_join_is_neither_forgotten_nor_done_twice(tmp_path, assert_shows):
    path, rest = tmp_path / "x.mp4", tmp_path / "x.rest.mp4"
    files = video_files(path, FORMATS[".mp4"], (32, 24), FPS)

    encode(path, range(5))
    encode(rest, range(5, 8))
    assert files.settle(5) == 8  # cut off before the join
    assert_shows(path, range(8))
    assert not rest.exists()

    encode(rest, range(5, 8))
    assert files.settle(5) == 8  # cut off after the join, before its part was removed
    assert_shows(path, range(8))
    assert not rest.exists()

    encode(path, range(3))
    encode(rest, range(5, 8))
    assert files.settle(5) == 3  # what it follows is gone
    assert not rest.exists()


def test_a_torn_file_is_cut_when_it_is_settled(tmp_path, assert_shows):
    path = tmp_path / "x.webm"
    encode(path, range(5))
    os.truncate(path, path.stat().st_size - 120)
    frames = video_files(path, FORMATS[".webm"], (32, 24), FPS).settle(None)
    assert 0 < frames < 5
    assert_shows(path, range(frames))
    assert video_files(tmp_path / "none.mp4", FORMATS[".mp4"], (32, 24), FPS).settle(None) == 0


# --- refusals ----------------------------------------------------------------------------------


def test_an_unknown_ending_is_refused(tmp_path):
    with pytest.raises(RecordingError, match=r"\.avi"):
        format_of(tmp_path / "x.avi")


def test_a_gif_cannot_be_faster_than_players_show_it(tmp_path):
    with pytest.raises(RecordingError, match="at most 50 frames"):
        require_fps(FORMATS[".gif"], tmp_path / "x.gif", 60.0)


@pytest.fixture
def fake_ffmpeg(tmp_path, monkeypatch):
    """A function that puts a shell script in the place of ffmpeg."""

    def put(script: str) -> None:
        path = tmp_path / "ffmpeg"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(path))

    return put


@pytest.mark.parametrize(
    ("script", "names"),
    [
        ("echo \"Unknown encoder 'libx264'\" >&2; exit 8", "no encoder libx264"),
        ("echo '[out#0/mp4 @ 0x1] No space left on device' >&2; exit 1", "no space is left"),
        ("echo '[abc @ 0x1] Something odd' >&2; exit 1", "'Something odd'"),
        ("kill -9 $$", "SIGKILL"),
        ("exit 3", "code 3"),
    ],
)
def test_what_ffmpeg_fails_with_is_said(fake_ffmpeg, script, names):
    fake_ffmpeg(script)
    with pytest.raises(RecordingError, match="MP4") as caught:
        check_encoder(FORMATS[".mp4"], (32, 24), FPS)
    assert names in str(caught.value)


def test_a_size_the_encoder_does_not_take_is_refused():
    with pytest.raises(RecordingError, match="20000×2"):
        check_encoder(FORMATS[".mp4"], (20000, 2), FPS)


def test_an_ffmpeg_that_ends_early_is_noticed_by_whoever_writes(fake_ffmpeg, tmp_path):
    fake_ffmpeg("head -c 5000 >/dev/null; echo 'No space left on device' >&2; exit 1")
    encoder = Encoder(tmp_path / "x.mp4", FORMATS[".mp4"], (32, 24), FPS)

    def write_on() -> None:
        for _ in range(10_000):
            encoder.write(picture(0))

    with pytest.raises(RecordingError, match="no space is left"):
        write_on()
    with pytest.raises(RecordingError, match="no space is left"):
        encoder.close()


# --- the table ---------------------------------------------------------------------------------

PLAN = RecordingPlan(
    turntable(Orbit(35.0, 30.0, 4.0), 40.0, 1.0), 1.0, 10.0, 32, 24, (Precision.FP32,), title="T"
)


def rows_of(path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_has_a_row_a_frame_at_once(tmp_path):
    path = tmp_path / "x.csv"
    table = frame_table(path, PLAN, 0)
    for frame in (0, 25):
        table.append(row_of(PLAN, PLAN.shot(frame), {"ms_a": 1.5, "psnr_db": float("inf")}))
        assert rows_of(path)[-1]["frame"] == str(frame)  # flushed
    title, row = rows_of(path)
    assert tuple(row) == COLUMNS
    assert title["T_world_camera_00"] == title["path_s"] == ""
    assert float(row["video_s"]) == 2.5
    assert float(row["path_s"]) == 0.5
    camera = PLAN.shot(25).camera
    assert float(row["T_world_camera_13"]) == camera.T_world_camera[1, 3]
    assert float(row["fov_y_deg"]) == pytest.approx(40.0)
    assert (row["precision_a"], row["ms_a"], row["psnr_db"]) == ("fp32", "1.5", "")
    table.close()


def test_a_table_goes_on_after_the_frames_that_are_there(tmp_path):
    path = tmp_path / "x.csv"
    table = frame_table(path, PLAN, 0)
    for frame in range(6):
        table.append(row_of(PLAN, PLAN.shot(frame), {"ms_a": 100.0 + frame}))
    table.close()
    with path.open("a") as file:
        file.write("6,0.6,half a ro")
    table = frame_table(path, PLAN, 4)
    table.append(row_of(PLAN, PLAN.shot(4), {"ms_a": 7.0}))
    table.close()
    rows = rows_of(path)
    assert [row["frame"] for row in rows] == ["0", "1", "2", "3", "4"]
    assert [row["ms_a"] for row in rows] == ["100.0", "101.0", "102.0", "103.0", "7.0"]


def test_rows_that_were_lost_are_made_again_without_measurements(tmp_path):
    path = tmp_path / "x.csv"
    frame_table(path, PLAN, 24).close()
    rows = rows_of(path)
    assert [int(row["frame"]) for row in rows] == list(range(24))
    assert rows[23]["fov_y_deg"] != ""
    assert rows[23]["ms_a"] == ""


# --- pictures ----------------------------------------------------------------------------------


def test_a_picture_on_a_full_disk_is_one_error(tmp_path, monkeypatch):
    def full(path: Path, data: bytes) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    sink = video_files(tmp_path / "x.png", FORMATS[".png"], (32, 24), FPS).open(0)
    with pytest.raises(RecordingError, match="no space left on device"):
        sink.write(picture(0))
    assert sink.close() == 0
    assert not list(tmp_path.iterdir())


# --- the sidecar -------------------------------------------------------------------------------

INFO = EngineInfo("torch", Precision.FP32, "cpu", "float32", "float32", "k", 1)
RECIPE = Recipe(
    PLAN, "demo", "ab" * 32, PRESETS["demo"], "canonical", ({Precision.FP32: ("torch", "cpu")},)
)


@pytest.fixture
def sidecar(tmp_path) -> Sidecar:
    made = Sidecar(tmp_path / "x.mp4", FORMATS[".mp4"], RECIPE, [[INFO]])
    made.write("recording", 7, 3)
    return made


def test_a_sidecar_brings_the_recording_back(sidecar):
    loaded = load_sidecar(sidecar.path)
    assert (loaded.state, loaded.frames_done, loaded.rest_starts_at) == ("recording", 7, 3)
    assert loaded.video == sidecar.path.with_name("x.mp4")
    recipe = loaded.recipe
    assert (recipe.checkpoint, recipe.sha256) == ("demo", "ab" * 32)
    assert recipe.scene == PRESETS["demo"]
    assert recipe.engines == ({Precision.FP32: ("torch", "cpu")},)
    for name in ("seconds", "fps", "width_px", "height_px", "precisions", "mode", "title"):
        assert getattr(recipe.plan, name) == getattr(PLAN, name)
    for frame in (20, 23):
        np.testing.assert_array_equal(
            recipe.plan.shot(frame).camera.T_world_camera, PLAN.shot(frame).camera.T_world_camera
        )
    assert is_sidecar(sidecar.path)


def test_a_sidecar_says_what_was_used(sidecar):
    values = json.loads(sidecar.path.read_text(encoding="utf-8"))
    assert values["frames_total"] == 30
    assert values["machine"]["packages"]["torch"]
    assert values["machine"]["processor"]
    assert values["engines"][0]["kernel"] == "k"
    assert values["size_px"] == [32, 24]
    assert [path.name for path in sidecar.path.parent.iterdir()] == ["x.json"]


@pytest.mark.parametrize(
    ("field", "value", "names"),
    [
        ("version", 9, "version 9"),
        ("format", "x", "does not describe a recording"),
        ("video", "../x.mp4", "video"),
        ("video", "x.exe", "video"),
        ("fps", 0, "fps"),
        ("mode", "triple", "mode"),
        ("precisions", ["int9"], "precisions"),
        ("precisions", ["fp32", "int8"], "precisions"),
        ("pane_px", [0, 4], "pane_px"),
        ("pane_px", [10**9, 10**9], "pane_px"),
        ("frames_done", 31, "frames_done"),
        ("frames_done", 1.5, "frames_done"),
        ("state", "asleep", "state"),
        ("checkpoint", {"path": "demo"}, "checkpoint.sha256"),
        ("scene", {"near": 9.0}, "scene"),
        ("rays", "bent", "rays"),
        ("camera_path", {}, "camera"),
        ("engines", [{"precision": "fp32"}], "engines[0]"),
        ("engines", [{"precision": "fp32", "engine": "x", "device": "cpu", "pane": "z"}], "pane"),
        ("layers", {"body.0.body.0": "int4"}, "layers"),
        ("layers", ["body.0.body.0"], "layers"),
        ("assumed", {"n_frequencies": "many"}, "assumed.n_frequencies"),
        ("assumed", {"__class__": 1}, "assumed.__class__"),
        ("path_s", None, "path_s"),
    ],
)
def test_a_bad_sidecar_is_refused_by_the_field(sidecar, field, value, names):
    values = json.loads(sidecar.path.read_text(encoding="utf-8"))
    sidecar.path.write_text(json.dumps({**values, field: value}))
    with pytest.raises(R2LError) as caught:
        load_sidecar(sidecar.path)
    assert names in str(caught.value)
    assert str(sidecar.path) in str(caught.value)


def test_a_sidecar_that_cannot_be_written_is_an_error(tmp_path):
    folder = tmp_path / "gone"
    made = Sidecar(folder / "x.mp4", FORMATS[".mp4"], RECIPE, [[INFO]])
    with pytest.raises(RecordingError, match=r"x\.json"):
        made.write("recording", 0)
