"""Recordings from the first frame to the last: exact, repeatable, interruptible."""

from __future__ import annotations

import csv
import json
import shutil
import time
import warnings
from dataclasses import dataclass, replace

import imageio.v3 as iio
import numpy as np
import psutil
import pytest

from r2l_core.camera_paths.camera_path import CameraPath, Keyframe
from r2l_core.camera_paths.presets import turntable
from r2l_core.checkpoints.opening import load_light_field, save_light_field
from r2l_core.engines.torch_engine import TorchFactory
from r2l_core.errors import CheckpointError, EngineError, RecordingError
from r2l_core.geometry.orbit import Orbit
from r2l_core.images.metrics import mse, psnr_db
from r2l_core.quantization.mix import with_mix
from r2l_core.recording import files as files_module
from r2l_core.recording import recorder as recorder_module
from r2l_core.recording.formats import format_of
from r2l_core.recording.loading import load_sidecar, unfinished
from r2l_core.recording.plan import RecordingPlan
from r2l_core.recording.recorder import Recorder
from r2l_core.recording.session import new_recording, recording_again, resumed_recording
from r2l_core.recording.sidecar import Sidecar
from r2l_core.render.progressive_image import render_image
from r2l_core.render.sources import NetworkSource
from r2l_core.types import Precision, to_uint8

pytestmark = pytest.mark.slow

SECONDS, FPS = 0.5, 24.0
N_FRAMES = 12
VIDEOS = ("mp4", "webm", "gif")
FORMATS = (*VIDEOS, "png")


@dataclass(frozen=True)
class Studio:
    """A light field on disk, and a folder to record into."""

    light_field: object
    file: object
    folder: object

    def plan(self, **changes) -> RecordingPlan:
        values = {
            "path": turntable(self.light_field.scene.home(), 40.0, SECONDS),
            "seconds": SECONDS,
            "fps": FPS,
            "width_px": 48,
            "height_px": 36,
            "precisions": (Precision.FP32,),
        }
        return RecordingPlan(**{**values, **changes})

    def compared(self, mode: str, **changes) -> RecordingPlan:
        precisions = (Precision.FP32, Precision.WEIGHTS_INT8_FAKE)
        return self.plan(mode=mode, precisions=precisions, **changes)

    def recorder(self, name: str, plan: RecordingPlan | None = None) -> Recorder:
        return new_recording(
            self.light_field,
            str(self.file),
            plan or self.plan(),
            self.folder / name,
            "canonical",
            "torch" if plan is None or plan.mode == "single" else "auto",
            "cpu",
        )

    def interrupted(self, name: str, frames: int, torn_bytes: int = 0):
        """What lies on the disk when everything is killed after some frames. Returns the sidecar.

        torn_bytes: how much of the last frame is missing.
        """
        recorder = self.recorder(f"live/{name}")
        steps = recorder.frames()
        for _ in range(frames):
            next(steps)
        wait_for_frames(recorder.out, frames - 1)
        dead = self.folder / "dead"
        snapshot(self.folder / "live", dead)
        steps.close()
        if torn_bytes:
            video = playing(dead / name)
            video.write_bytes(video.read_bytes()[:-torn_bytes])
        return (dead / name).with_suffix(".json")


@pytest.fixture
def studio(light_field_file, tmp_path) -> Studio:
    folder = tmp_path / "recordings"
    folder.mkdir()
    return Studio(load_light_field(str(light_field_file)), light_field_file, folder)


def run(recorder: Recorder) -> list[np.ndarray]:
    """The pictures of a recording, as they were encoded."""
    return [progress.picture for progress in recorder.frames()]


def rows_of(path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def sidecar_of(path) -> dict:
    return json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))


def playing(out):
    """The file that holds the frames, and plays, until the recording is finished."""
    return format_of(out).kept_at(out)


def snapshot(folder, copy) -> None:
    """Copy a folder that is being written, the sidecar first: the others are never behind it. What
    has no name of its own yet may be gone before it is copied."""
    copy.mkdir()
    for kind in ("*.json", "*.[!jt]*"):
        for path in folder.glob(kind):
            if ".tmp" not in path.suffixes:
                shutil.copy(path, copy)


def wait_for_frames(out, frames: int) -> None:
    """Until the encoder, which runs beside us, has written that many."""
    for _ in range(15_000):
        if load_sidecar(out.with_suffix(".json")).frames_done >= frames:
            return
        time.sleep(0.02)
    raise AssertionError(f"fewer than {frames} frames were written")


@pytest.fixture
def frames_of(decode):
    """A function that gives the frames of a recording from its files."""

    def frames(path) -> np.ndarray:
        if path.suffix != ".png":
            return decode(path)
        pictures = sorted(path.parent.glob(f"{path.stem}_*.png"))
        return np.stack([iio.imread(picture) for picture in pictures])

    return frames


# --- complete recordings -----------------------------------------------------------------------


@pytest.mark.parametrize("ending", FORMATS)
def test_every_frame_is_in_the_file_in_order(studio, frames_of, ending):
    out = studio.folder / f"x.{ending}"
    recorder = studio.recorder(out.name)
    pictures = run(recorder)
    frames = frames_of(out)
    assert (recorder.state, recorder.frames_done) == ("finished", N_FRAMES)
    assert len(frames) == len(pictures) == N_FRAMES
    for picture, frame in zip(pictures, frames, strict=True):
        agreement_db = psnr_db(mse(picture / 255, frame / 255))
        assert agreement_db > (22 if ending == "gif" else 35)
    if ending == "png":
        np.testing.assert_array_equal(frames, pictures)


@pytest.mark.parametrize("ending", ["mp4", "webm"])
def test_count_and_length_read_back_with_imageio(studio, ending):
    out = studio.folder / f"x.{ending}"
    run(studio.recorder(out.name))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # its reader leaves pipes open
        with iio.imopen(out, "r", plugin="FFMPEG") as video:
            count = sum(1 for _ in video.iter())
            meta = video.metadata()
    assert count == N_FRAMES
    assert meta["duration"] == pytest.approx(SECONDS, abs=0.011)
    assert meta["fps"] == FPS
    assert meta["size"] == (48, 36)


def test_frames_are_what_the_renderer_makes(studio):
    plan = studio.plan()
    pictures = run(studio.recorder("x.png", plan))
    engine = TorchFactory().build(studio.light_field, Precision.FP32, "cpu")
    source = NetworkSource(engine, studio.light_field.scene, "canonical")
    for frame in (0, 5, 11):
        colors = render_image(source, plan.shot(frame).camera)
        np.testing.assert_array_equal(pictures[frame], to_uint8(colors.numpy()))


@pytest.mark.parametrize("mode", ["single", "side", "wipe", "difference"])
def test_the_same_path_gives_the_same_frames(studio, mode):
    """Before encoding, bit for bit; only milliseconds come from a clock."""
    plan = studio.plan() if mode == "single" else studio.compared(mode)
    plan = replace(plan, labels="names", seconds=0.2)
    one, two = (run(studio.recorder(name, plan)) for name in ("one.mp4", "two.mp4"))
    np.testing.assert_array_equal(one, two)
    hashes = [
        [row["panes_sha256"] for row in rows_of(studio.folder / f"{name}.csv")]
        for name in ("one", "two")
    ]
    assert hashes[0] == hashes[1]
    assert len(set(hashes[0])) == len(one)


def test_the_table_and_the_sidecar_tell_everything(studio):
    out = studio.folder / "x.mp4"
    plan = studio.compared("side", labels="live", title="Hello")
    run(studio.recorder(out.name, plan))
    rows = rows_of(out.with_suffix(".csv"))
    assert [int(row["frame"]) for row in rows] == list(range(plan.n_frames))
    assert rows[0]["ms_a"] == ""  # the title card
    row = rows[-1]
    assert (row["precision_a"], row["precision_b"]) == ("fp32", "weights-int8-fake")
    assert float(row["ms_a"]) > 0
    assert 10 < float(row["psnr_db"]) < 80
    camera = plan.shot(plan.n_frames - 1).camera
    assert float(row["T_world_camera_03"]) == camera.T_world_camera[0, 3]
    values = sidecar_of(out)
    assert (values["state"], values["frames_done"]) == ("finished", plan.n_frames)
    assert values["checkpoint"]["sha256"] == studio.light_field.sha256
    assert [engine["precision"] for engine in values["engines"]] == ["fp32", "weights-int8-fake"]
    assert values["size_px"] == [96, 36]
    assert values["duration_s"] == pytest.approx(2.5)


@pytest.mark.parametrize(("ending", "size"), [("mp4", [34, 22]), ("gif", [33, 21])])
def test_odd_sizes_are_padded_where_they_must_be_and_said(studio, frames_of, ending, size):
    out = studio.folder / f"x.{ending}"
    pictures = run(studio.recorder(out.name, studio.plan(width_px=33, height_px=21)))
    values = sidecar_of(out)
    assert values["size_px"] == size
    assert values["picture_px"] == [33, 21]
    assert frames_of(out).shape[1:] == (size[1], size[0], 3)
    if ending == "mp4":
        np.testing.assert_array_equal(pictures[0][:, 33], pictures[0][:, 32])
        np.testing.assert_array_equal(pictures[0][21], pictures[0][20])


@pytest.mark.parametrize(
    ("changes", "n_frames"),
    [
        ({"seconds": 0.001}, 1),
        ({"fps": 120.0, "seconds": 0.1}, 12),
        ({"width_px": 1, "height_px": 1, "seconds": 0.1}, 2),
        ({"path": "one"}, 12),
        ({"path": "equal"}, 12),
        ({"path": "pole"}, 12),
    ],
)
def test_edge_cases_are_recorded(studio, frames_of, changes, n_frames):
    key = Keyframe(Orbit(0.0, 20.0, 4.0).T_world_camera(), 40.0)
    over = [Keyframe(Orbit(a, e, 4.0).T_world_camera(), 40.0) for a, e in ((0, 80), (180, 80))]
    paths = {"one": (key,), "equal": (key, key), "pole": tuple(over)}
    if "path" in changes:
        changes = {"path": CameraPath(paths[changes["path"]])}
    out = studio.folder / "x.mp4"
    recorder = studio.recorder(out.name, studio.plan(**changes))
    run(recorder)
    assert len(frames_of(out)) == recorder.plan.n_frames == n_frames


def test_labels_are_burned_in(studio):
    bare = run(studio.recorder("a.png", studio.plan(width_px=120, height_px=90)))
    named = run(studio.recorder("b.png", studio.plan(width_px=120, height_px=90, labels="names")))
    assert (bare[0] != named[0]).any()
    np.testing.assert_array_equal(bare[0][45:], named[0][45:])


def test_keyframes_change_the_precision_on_the_way(studio):
    pose = studio.light_field.scene.home().T_world_camera()
    keys = (Keyframe(pose, 40.0), Keyframe(pose, 40.0, 0.2, Precision.WEIGHTS_INT8_FAKE))
    plan = studio.plan(path=CameraPath(keys))
    recorder = new_recording(
        studio.light_field, str(studio.file), plan, studio.folder / "x.png", "canonical"
    )
    pictures = run(recorder)
    precisions = [row["precision_a"] for row in rows_of(studio.folder / "x.csv")]
    assert precisions == ["fp32"] * 5 + ["weights-int8-fake"] * 7
    assert (pictures[0] != pictures[-1]).any()
    np.testing.assert_array_equal(pictures[0], pictures[4])


# --- panes of their own -----------------------------------------------------------------------


def test_panes_run_on_engines_of_their_own(studio):
    plan = studio.plan(
        mode="side", precisions=(Precision.FP32, Precision.FP32), seconds=0.1, labels="names"
    )
    recorder = new_recording(
        studio.light_field,
        str(studio.file),
        plan,
        studio.folder / "x.png",
        "canonical",
        device="cpu",
        own_engines=("torch", "reference"),
    )
    pictures = run(recorder)
    (row, *_) = rows_of(studio.folder / "x.csv")
    assert (row["engine_a"], row["engine_b"]) == ("torch", "reference")
    engines = sidecar_of(studio.folder / "x.png")["engines"]
    assert [(one["pane"], one["engine"]) for one in engines] == [("a", "torch"), ("b", "reference")]
    again = recording_again(studio.folder / "x.json", studio.folder / "again.png")
    np.testing.assert_array_equal(run(again), pictures)
    (row, *_) = rows_of(studio.folder / "again.csv")
    assert (row["engine_a"], row["engine_b"]) == ("torch", "reference")


def test_a_mix_of_layers_is_recorded_and_made_again(studio):
    mixed = with_mix(studio.light_field, ["body.0.body.0"])
    plan = studio.plan(precisions=(Precision.INT8_SIM,), seconds=0.1, labels="names")
    films = []
    for name, light_field in (("plain", studio.light_field), ("mixed", mixed)):
        out = studio.folder / f"{name}.png"
        films.append(run(new_recording(light_field, str(studio.file), plan, out, "canonical")))
    assert (films[0][0] != films[1][0]).any()
    sidecar = studio.folder / "mixed.json"
    assert sidecar_of(sidecar)["layers"] == {"body.0.body.0": "fp32"}
    np.testing.assert_array_equal(
        run(recording_again(sidecar, studio.folder / "again.png")), films[1]
    )
    values = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps({**values, "layers": {"body.99.body.0": "fp32"}}))
    with pytest.raises(RecordingError, match=r"mixed.json.*layers"):
        recording_again(sidecar, studio.folder / "other.png")


def test_what_keyframes_say_is_in_film_table_and_sidecar(studio):
    """And in a film made again, or completed."""
    home = studio.light_field.scene.home()
    fake, bf16 = Precision.WEIGHTS_INT8_FAKE, Precision.WEIGHTS_BF16
    keys = tuple(
        Keyframe(home.orbited(20.0 * at, 0.0).T_world_camera(), fov, 0.2, a, b, wipe, gain)
        for at, (fov, a, b, wipe, gain) in enumerate(
            [
                (40.0, None, fake, 0.25, 2.0),
                (30.0, bf16, None, None, None),
                (30.0, None, None, 0.75, 8.0),
            ]
        )
    )
    plan = studio.compared("wipe", path=CameraPath(keys), seconds=0.5, fps=20.0, labels="names")
    out = studio.folder / "x.png"
    recorder, done = studio.recorder(out.name, plan), []
    for progress in recorder.frames(aborted=lambda: len(done) == 6):
        done.append(progress.picture)
    done += run(resumed_recording(out.with_suffix(".json")))
    rows = rows_of(out.with_suffix(".csv"))
    assert [row["precision_a"] for row in rows] == ["fp32"] * 4 + ["weights-bf16"] * 6
    assert {row["precision_b"] for row in rows} == {"weights-int8-fake"}
    wipes = [float(row["wipe"]) for row in rows]
    assert wipes[0] == 0.25
    assert wipes == sorted(wipes)
    assert wipes[8:] == [0.75, 0.75]
    fovs = [float(row["fov_y_deg"]) for row in rows]
    assert (fovs[0], fovs[4]) == (pytest.approx(40.0), pytest.approx(30.0))
    said = sidecar_of(out)["camera_path"]["keyframes"]
    assert said[0]["precision_b"] == "weights-int8-fake"
    assert (said[2]["wipe"], said[2]["gain"]) == (0.75, 8.0)
    again = recording_again(out.with_suffix(".json"), studio.folder / "again.png")
    np.testing.assert_array_equal(run(again), done)
    other = replace(plan, mode="difference", path=plan.path.without("gain"))
    pictures = run(studio.recorder("one gain.png", other))
    gliding = run(studio.recorder("gains.png", replace(other, path=plan.path)))
    assert (pictures[0] != gliding[0]).any(), "gain 2 instead of 8"
    np.testing.assert_array_equal(pictures[8], gliding[8])
    assert float(rows_of(studio.folder / "gains.csv")[8]["gain"]) == 8.0


# --- progress, pause, abort --------------------------------------------------------------------


def test_progress_counts_and_estimates(studio, fake_clock, monkeypatch):
    recorder = studio.recorder("x.png")
    clock = fake_clock(recorder_module)
    recorder_module.time.sleep = lambda seconds: None
    render = recorder_module.render_image

    def slow(*arguments):
        clock.now += 2.0
        return render(*arguments)

    monkeypatch.setattr(recorder_module, "render_image", slow)
    steps = list(recorder.frames())
    assert [step.frames_done for step in steps] == list(range(1, N_FRAMES + 1))
    assert [step.eta_s for step in steps] == pytest.approx(
        [2.0 * left for left in range(N_FRAMES - 1, -1, -1)]
    )
    assert not steps[0].picture.flags.writeable


def test_a_pause_waits_and_does_not_count(studio, fake_clock):
    recorder = studio.recorder("x.png")
    clock = fake_clock(recorder_module)
    naps = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        clock.now += 100.0

    recorder_module.time.sleep = nap
    steps = list(recorder.frames(paused=lambda: 0 < len(naps) < 5 or not naps))
    assert len(naps) == 5
    assert len(steps) == N_FRAMES
    assert steps[-1].eta_s == 0.0
    assert recorder.rendered_s == 0.0


@pytest.mark.parametrize("ending", FORMATS)
def test_an_abort_keeps_what_is_done_and_can_be_completed(studio, frames_of, ending):
    out = studio.folder / f"x.{ending}"
    recorder = studio.recorder(out.name)
    done = []
    for progress in recorder.frames(aborted=lambda: len(done) == 9):
        done.append(progress.picture)
    assert (recorder.state, recorder.frames_done) == ("aborted", 9)
    assert len(frames_of(out)) == 9
    values = sidecar_of(out)
    assert (values["state"], values["frames_done"]) == ("aborted", 9)
    rest = resumed_recording(out.with_suffix(".json"))
    assert rest.first_frame == (8 if ending == "mp4" else 9)
    done = done[: rest.first_frame] + run(rest)
    assert len(frames_of(out)) == N_FRAMES
    np.testing.assert_array_equal(done, run(studio.recorder(f"again.{ending}")))
    assert sidecar_of(out)["state"] == "finished"
    if ending != "webm":
        again = studio.folder / f"again.{ending}"
        np.testing.assert_array_equal(frames_of(out), frames_of(again))


def test_an_abort_is_noticed_between_tiles(studio):
    recorder = studio.recorder("x.mp4", studio.plan(width_px=100, height_px=100))
    polls = []

    def aborted() -> bool:
        polls.append(None)
        return len(polls) > 2

    assert list(recorder.frames(aborted)) == []
    assert (recorder.state, recorder.frames_done) == ("aborted", 0)
    assert not recorder.out.exists()
    assert run(resumed_recording(recorder.out.with_suffix(".json")))


def test_whoever_stops_iterating_aborts(studio, frames_of):
    recorder = studio.recorder("x.mp4")
    steps = recorder.frames()
    next(steps)
    steps.close()
    assert recorder.state == sidecar_of(recorder.out)["state"] == "aborted"
    assert len(frames_of(recorder.out)) == recorder.frames_done == 1


# --- killed, and completed ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "torn_bytes"),
    [*((ending, 0) for ending in FORMATS), *((ending, 9) for ending in VIDEOS)],
)
def test_what_was_killed_plays_and_is_completed(studio, frames_of, ending, torn_bytes):
    sidecar = studio.interrupted(f"x.{ending}", 10, torn_bytes)
    out = sidecar.with_suffix(f".{ending}")
    said = load_sidecar(sidecar)
    assert said.state == "recording"
    playable = len(frames_of(playing(out)))
    assert said.frames_done - bool(torn_bytes) <= playable <= 10
    recorder = resumed_recording(sidecar)
    group = said.video_format.group
    assert recorder.first_frame == playable // group * group
    assert recorder.first_frame >= 8
    run(recorder)
    assert (recorder.state, recorder.frames_done) == ("finished", N_FRAMES)
    expected = run(studio.recorder(f"whole.{ending}"))
    frames = frames_of(out)
    assert len(frames) == N_FRAMES
    if ending == "webm":
        for k, frame in enumerate(frames):
            errors = [mse(frame / 255, picture / 255) for picture in expected]
            assert int(np.argmin(errors)) == k
    else:
        np.testing.assert_array_equal(frames, frames_of(studio.folder / f"whole.{ending}"))
    rows = rows_of(out.with_suffix(".csv"))
    assert [int(row["frame"]) for row in rows] == list(range(N_FRAMES))
    whole = rows_of(studio.folder / "whole.csv")
    assert [row["panes_sha256"] for row in rows] == [row["panes_sha256"] for row in whole]
    if ending != "png":
        assert sorted(path.name for path in out.parent.iterdir()) == sorted(
            [f"x.{ending}", "x.csv", "x.json"]
        )


def test_a_completion_that_is_killed_is_completed_too(studio, frames_of):
    sidecar = studio.interrupted("x.mp4", 10)
    steps = resumed_recording(sidecar).frames()
    for _ in range(3):
        next(steps)
    wait_for_frames(sidecar, 9)
    killed = sidecar.parent.parent / "killed again"
    snapshot(sidecar.parent, killed)
    steps.close()
    again = killed / "x.json"
    said = load_sidecar(again)
    assert len(frames_of(killed / "x.mp4")) >= said.rest_starts_at == 8
    recorder = resumed_recording(again)
    assert recorder.first_frame == 8
    run(recorder)
    assert len(frames_of(killed / "x.mp4")) == N_FRAMES
    assert not (killed / "x.rest.mp4").exists()


@pytest.mark.parametrize("ending", ["gif", "mp4"])
def test_killed_before_the_first_frame(studio, frames_of, ending):
    steps = studio.recorder(f"live/x.{ending}").frames()
    next(steps)
    dead = studio.folder / "dead"
    snapshot(studio.folder / "live", dead)
    steps.close()
    out = dead / f"x.{ending}"
    for file in (out, playing(out)):
        file.unlink(missing_ok=True)
    run(resumed_recording(out.with_suffix(".json")))
    assert len(frames_of(out)) == N_FRAMES


def test_a_gif_killed_while_it_is_made_of_its_frames_is_made_again(studio, frames_of, monkeypatch):
    def killed(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(files_module, "make_gif", killed)
    with pytest.raises(KeyboardInterrupt):
        run(studio.recorder("x.gif"))
    monkeypatch.undo()
    sidecar = studio.folder / "x.json"
    assert load_sidecar(sidecar).frames_done == N_FRAMES
    assert len(frames_of(studio.folder / "x.frames.mp4")) == N_FRAMES
    assert run(resumed_recording(sidecar)) == []
    assert len(frames_of(studio.folder / "x.gif")) == N_FRAMES
    assert not (studio.folder / "x.frames.mp4").exists()


@pytest.mark.parametrize("ending", ["webm", "gif"])
def test_completing_what_is_complete_changes_nothing(studio, frames_of, ending):
    out = studio.folder / f"x.{ending}"
    run(studio.recorder(out.name))
    before = frames_of(out)
    recorder = resumed_recording(out.with_suffix(".json"))
    assert run(recorder) == []
    assert recorder.state == "finished"
    np.testing.assert_array_equal(frames_of(out), before)


# --- from the sidecar alone --------------------------------------------------------------------


def test_a_sidecar_alone_records_the_same_again(studio):
    plan = replace(studio.compared("wipe"), labels="names", title="T", gain=3.0, fps=12.0)
    first = run(studio.recorder("x.mp4", plan))
    recorder = recording_again(studio.folder / "x.json", studio.folder / "again.png")
    np.testing.assert_array_equal(run(recorder), first)


def test_a_moved_light_field_is_missed_by_name_and_found_by_flag(studio):
    run(studio.recorder("x.mp4"))
    moved = studio.file.with_name("moved.safetensors")
    studio.file.rename(moved)
    sidecar, out = studio.folder / "x.json", studio.folder / "y.mp4"
    with pytest.raises(CheckpointError, match=r"random\.safetensors"):
        recording_again(sidecar, out)
    assert run(recording_again(sidecar, out, str(moved)))


def test_a_changed_light_field_is_refused_by_its_hash(studio, make_light_field):
    run(studio.recorder("x.mp4"))
    save_light_field(make_light_field(seed=5), studio.file)
    with pytest.raises(RecordingError, match="SHA-256") as caught:
        recording_again(studio.folder / "x.json", studio.folder / "y.mp4")
    assert studio.light_field.sha256[:12] in str(caught.value)


# --- what goes wrong ---------------------------------------------------------------------------


def test_a_folder_that_vanishes_is_an_error_at_once(studio):
    recorder = studio.recorder("sub/x.mp4")

    def steps() -> None:
        for _ in recorder.frames():
            shutil.rmtree(studio.folder / "sub", ignore_errors=True)

    with pytest.raises(RecordingError, match=r"recordings.sub.x\.") as caught:
        steps()
    assert "not there" in caught.value.why or "no such file" in caught.value.why
    assert recorder.state == "failed"


def test_a_full_disk_loses_no_frame_that_was_written(studio, frames_of, monkeypatch):
    write, calls = Sidecar.write, []

    def full(self, state, frames_done, *arguments):
        calls.append(frames_done)
        if frames_done >= 9:
            raise RecordingError("The sidecar could not be written", "no space", "Make room.")
        write(self, state, frames_done, *arguments)

    recorder = studio.recorder("x.mp4")
    monkeypatch.setattr(Sidecar, "write", full)
    with pytest.raises(RecordingError, match="no space"):
        run(recorder)
    monkeypatch.undo()
    out = studio.folder / "x.mp4"
    assert sidecar_of(out)["frames_done"] < 9
    assert len(frames_of(out)) >= 9
    rest = resumed_recording(out.with_suffix(".json"))
    assert rest.first_frame == 8
    run(rest)
    assert len(frames_of(out)) == N_FRAMES


def test_an_engine_that_fails_keeps_what_was_rendered(studio, frames_of, monkeypatch):
    recorder = studio.recorder("x.mp4")
    render, calls = recorder_module.render_image, []

    def failing(*arguments):
        calls.append(None)
        if len(calls) == 6:
            raise EngineError("It failed", "a test wanted it", "")
        return render(*arguments)

    monkeypatch.setattr(recorder_module, "render_image", failing)
    with pytest.raises(EngineError):
        run(recorder)
    values = sidecar_of(studio.folder / "x.mp4")
    assert (values["state"], values["frames_done"]) == ("failed", 5)
    assert "a test wanted it" in values["error"]
    assert len(frames_of(studio.folder / "x.mp4")) == 5


def test_files_of_others_are_not_written_over(studio):
    foreign = (
        "a.json",
        "b.csv",
        "c_00000.png",
        "d.mp4",
        "e.frames.mp4",
        "f_00007.png",
        "g.rest.mp4",
    )
    for name in foreign:
        (studio.folder / name).write_text("{}")
    for out, names in (
        ("a.mp4", "a.json"),
        ("b.mp4", "b.csv"),
        ("c.png", "c_00000.png"),
        ("d.mp4", "d.mp4"),
        ("e.gif", "e.frames.mp4"),
        ("f.png", "f_00007.png"),
        ("g.mp4", "g.rest.mp4"),
    ):
        with pytest.raises(RecordingError, match=names):
            studio.recorder(out)
        assert (studio.folder / names).read_text() == "{}"


def test_a_sidecar_speaks_for_its_own_film_alone(studio):
    """x.json describes x.mp4; a film x.gif or x.png would take it away."""
    run(studio.recorder("x.mp4"))
    (studio.folder / "x.gif").write_text("of somebody else")
    before = {path.name: path.read_bytes() for path in studio.folder.iterdir()}
    for name in ("x.gif", "x.png"):
        with pytest.raises(RecordingError, match=r"x\.json, which belongs to x\.mp4"):
            studio.recorder(name)
    assert {path.name: path.read_bytes() for path in studio.folder.iterdir()} == before


def test_pictures_behind_those_of_a_recording_are_somebody_elses(studio):
    run(studio.recorder("x.png", studio.plan(seconds=0.2)))
    after = studio.folder / f"x_{len(list(studio.folder.glob('x_*.png'))):05d}.png"
    after.write_text("of somebody else")
    with pytest.raises(RecordingError, match=after.name):
        studio.recorder("x.png")
    assert after.read_text() == "of somebody else"


def test_an_unfinished_recording_is_not_written_over(studio, frames_of):
    steps = studio.recorder("x.mp4").frames()
    next(steps)
    next(steps)
    steps.close()
    with pytest.raises(RecordingError, match="--resume"):
        studio.recorder("x.mp4")
    assert len(frames_of(studio.folder / "x.mp4")) == 2


def test_what_another_process_writes_right_now_is_left_alone(studio):
    run(studio.recorder("x.mp4"))
    sidecar = studio.folder / "x.json"
    other = psutil.Process().parent()
    values = {
        **json.loads(sidecar.read_text()),
        "state": "recording",
        "frames_done": 0,
        "writer": {"pid": other.pid, "started_s": other.create_time()},
    }
    sidecar.write_text(json.dumps(values))
    assert unfinished(sidecar) is None
    for attempt in (lambda: resumed_recording(sidecar), lambda: studio.recorder("x.mp4")):
        with pytest.raises(RecordingError, match=f"process {other.pid} is making it right now"):
            attempt()
    values["writer"]["started_s"] -= 1000.0  # another process had that number then
    sidecar.write_text(json.dumps(values))
    assert unfinished(sidecar).frames_total == N_FRAMES
    assert resumed_recording(sidecar).first_frame == N_FRAMES


@pytest.mark.parametrize("content", ["", "{}", '{"format": "r2l-recording", "state": 3}', "[1]"])
def test_what_is_no_sidecar_is_no_unfinished_recording(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    assert unfinished(tmp_path / "x.json") is None
    assert unfinished(tmp_path / "missing.json") is None


def test_a_finished_recording_may_be_written_over(studio, frames_of):
    run(studio.recorder("x.png"))
    run(studio.recorder("x.png", studio.plan(seconds=0.2)))
    assert len(frames_of(studio.folder / "x.png")) == 5


def test_a_place_that_cannot_be_written_is_refused_before_rendering(studio):
    (studio.folder / "file").write_text("")
    with pytest.raises(RecordingError, match=r"x\.mp4"):
        studio.recorder("file/x.mp4")


def test_a_gif_too_fast_to_be_shown_is_refused_before_rendering(studio):
    with pytest.raises(RecordingError, match="at most 50"):
        studio.recorder("x.gif", studio.plan(fps=60.0))
    assert list(studio.folder.iterdir()) == []
