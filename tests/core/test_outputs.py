"""No output replaces what the command does not own, and no closed stream spoils its work."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from r2l_core.checkpoints.opening import save_light_field
from r2l_core.commands.cli import main
from r2l_core.commands.outputs import require_own_outputs
from r2l_core.errors import RecordingError
from r2l_core.recording.session import recording_again
from r2l_core.recording.sidecar import other_writer

ROOT = Path(__file__).parents[2]
FILM = ["--seconds", "0.2", "--fps", "10", "--size", "16"]


def refused(capsys, *arguments: object) -> str:
    code = main([str(one) for one in arguments])
    said = capsys.readouterr().err
    assert code == 2, said
    assert "Traceback" not in said
    assert said.count("\n") == 1
    return said


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def film(light_field, kept, tmp_path) -> Path:
    """A finished recording with its sidecar and its table: made once, a copy for each test."""
    made, checkpoint = kept / "film.mp4", kept / "random.safetensors"
    if not made.exists():
        save_light_field(light_field, checkpoint)
        assert main(["record", "--checkpoint", str(checkpoint), *FILM, "--out", str(made)]) == 0
    for file in kept.glob("film.*"):
        shutil.copy(file, tmp_path)
    return tmp_path / "film.mp4"


RENDER = ["--azimuth", "10", "--elevation", "10", "--radius", "4", "--size", "8"]


@pytest.mark.parametrize("how", ["same", "link", "hard link", "dots"])
def test_over_the_light_field(light_field_file, tmp_path, capsys, how):
    out = tmp_path / "other.safetensors"
    if how == "same":
        out = light_field_file
    elif how == "link":
        out.symlink_to(light_field_file)
    elif how == "hard link":
        os.link(light_field_file, out)
    else:
        (tmp_path / "a").mkdir()
        out = tmp_path / "a" / ".." / light_field_file.name
    before = everything(tmp_path)
    quantize = ["quantize", "--checkpoint", light_field_file, "--recipe", "weights-bf16"]
    assert "which --checkpoint reads" in refused(capsys, *quantize, "--out", out)
    render = ["render", "--checkpoint", light_field_file, *RENDER, "--out", tmp_path / "x.png"]
    assert "which --checkpoint reads" in refused(capsys, *render, "--json", out)
    assert everything(tmp_path) == before


def test_over_an_embedded_light_field(capsys):
    demo = ROOT / "checkpoints" / "demo.safetensors"
    before = demo.stat()
    quantize = ["quantize", "--checkpoint", "demo", "--recipe", "weights-bf16", "--out", demo]
    assert "which --checkpoint reads" in refused(capsys, *quantize)
    assert demo.stat().st_mtime_ns == before.st_mtime_ns


def test_two_outputs_in_one_file(light_field_file, tmp_path, capsys):
    record = ["record", "--checkpoint", light_field_file, *FILM, "--out", tmp_path / "x.mp4"]
    for name in ("x.mp4", "x.json", "x.csv"):
        assert "which --out writes" in refused(capsys, *record, "--json", tmp_path / name)
    render = ["render", "--checkpoint", light_field_file, *RENDER, "--out", tmp_path / "x.png"]
    assert "which --out writes" in refused(capsys, *render, "--json", tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == [light_field_file]


@pytest.mark.parametrize("flag", ["--path", "--scene"])
def test_over_another_input(light_field_file, tmp_path, capsys, flag):
    given = tmp_path / "given.json"
    given.write_text("{}")
    record = ["record", "--checkpoint", light_field_file, *FILM, "--out", tmp_path / "x.mp4"]
    assert f"which {flag} reads" in refused(capsys, *record, flag, given, "--json", given)
    assert given.read_text() == "{}"


def test_over_a_recording_that_is_read(film, capsys):
    before = everything(film.parent)
    again = ["record", "--from", film.with_suffix(".json")]
    other = film.with_name("other.mp4")
    for name in ("film.json", "film.mp4", "film.csv"):
        refused(capsys, *again, "--out", other, "--json", film.with_name(name))
        refused(
            capsys, "record", "--resume", film.with_suffix(".json"), "--json", film.with_name(name)
        )
    assert "film.mp4, which belongs to" in refused(capsys, *again, "--out", film)
    assert everything(film.parent) == before


@pytest.mark.parametrize("flag", ["--resume", "--from"])
@pytest.mark.parametrize("name", ["victim.mp4", "film.mp4.mp4", "../victim.mp4", "Film.mp4"])
def test_a_sidecar_names_its_own_film_only(film, tmp_path, capsys, flag, name):
    victim = tmp_path / "victim.mp4"
    shutil.copy(film, victim)
    sidecar = film.with_suffix(".json")
    values = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps({**values, "video": name, "state": "aborted"}))
    before = victim.read_bytes()
    out = ["--out", tmp_path / "new.mp4"] if flag == "--from" else []
    assert "the field video" in refused(capsys, "record", flag, sidecar, *out)
    assert victim.read_bytes() == before


def test_into_a_dataset(light_field_file, tmp_path, capsys):
    (tmp_path / "set").mkdir()
    poses = tmp_path / "set" / "transforms_test.json"
    poses.write_text("{}")
    evaluate = ["eval", "--checkpoint", light_field_file, "--precision", "fp32"]
    evaluate += ["--dataset", tmp_path / "set", "--json", poses]
    assert "which --dataset reads" in refused(capsys, *evaluate)
    assert poses.read_text() == "{}"


@pytest.mark.parametrize("given", [".", "transforms_test.json", "test/r_0.png"])
@pytest.mark.parametrize("lost", ["transforms_test.json", "transforms_train.json", "test/r_0.png"])
def test_into_a_dataset_that_is_named_by_a_file_of_it(
    light_field_file, tmp_path, capsys, given, lost
):
    (tmp_path / "set" / "test").mkdir(parents=True)
    for name in ("transforms_test.json", "transforms_train.json", "test/r_0.png"):
        (tmp_path / "set" / name).write_text("{}")
    evaluate = ["eval", "--checkpoint", light_field_file, "--precision", "fp32"]
    evaluate += ["--dataset", tmp_path / "set" / given, "--json", tmp_path / "set" / lost]
    assert "which --dataset reads" in refused(capsys, *evaluate)
    assert (tmp_path / "set" / lost).read_text() == "{}"


def test_into_another_split_of_a_dataset(light_field_file, tmp_path, capsys):
    for folder in ("train", "test"):
        (tmp_path / folder / "cube").mkdir(parents=True)
        (tmp_path / folder / "cube" / "intrinsics.txt").write_text("x")
    evaluate = ["eval", "--checkpoint", light_field_file, "--precision", "fp32"]
    evaluate += ["--dataset", tmp_path / "train" / "cube"]
    lost = tmp_path / "test" / "cube" / "intrinsics.txt"
    assert "which --dataset reads" in refused(capsys, *evaluate, "--json", lost)
    assert lost.read_text() == "x"


@pytest.mark.parametrize("flag", ["--resume", "--from"])
def test_over_the_light_field_that_a_sidecar_names(film, kept, tmp_path, capsys, flag):
    checkpoint = kept / "random.safetensors"
    before = checkpoint.read_bytes()
    record = ["record", flag, film.with_suffix(".json"), "--json", checkpoint]
    record += ["--out", tmp_path / "new.mp4"] if flag == "--from" else []
    assert "film.json names" in refused(capsys, *record)
    assert checkpoint.read_bytes() == before


@pytest.mark.parametrize(
    "name", ["000_fp32.png", "fp32.mp4", "records/000_fp32.json", "records", "views.json"]
)
def test_a_report_in_the_place_of_what_an_evaluation_keeps(
    light_field_file, tmp_path, capsys, name
):
    out = tmp_path / "kept"
    evaluate = ["eval", "--checkpoint", light_field_file, "--precision", "fp32", "--out", out]
    assert "is for what --out" in refused(capsys, *evaluate, "--json", out / name)
    assert not out.exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_devices_and_pipes_are_nobodys(tmp_path):
    """What is written there replaces nothing, be it read from or written to twice."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for stream in (Path("/dev/null"), pipe):
        require_own_outputs(argparse.Namespace(path=stream, json=stream, html=stream))
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(RecordingError, match="which --path reads"):
        require_own_outputs(argparse.Namespace(path=file, json=file))
    with file.open("r+b") as opened:
        given = argparse.Namespace(path=file, json=Path(f"/dev/fd/{opened.fileno()}"))
        with pytest.raises(RecordingError, match="which --path reads"):
            require_own_outputs(given)


@pytest.mark.parametrize("ending", ["", ".json", ".part"])
def test_a_report_in_the_place_of_what_is_downloaded(tmp_path, capsys, ending):
    report = tmp_path / f"R2L_Blender_Models.zip{ending}"
    download = ["download", "r2l-blender", "--out", tmp_path, "--json", report]
    assert "which --out writes" in refused(capsys, *download)
    assert list(tmp_path.iterdir()) == []


# --- streams, signals, folders ------------------------------------------------------------------


def shell(script: str, *arguments: object, **options) -> subprocess.CompletedProcess[str]:
    """A shell script with the interpreter as $0 and the arguments after."""
    return subprocess.run(
        ["bash", "-c", script, sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        **options,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "codes", "said"),
    [
        ('"$0" -m r2l_core "$@" | true; exit "${PIPESTATUS[0]}"', {0}, ""),
        ('"$0" -m r2l_core "$@" 2>&1 | true; exit "${PIPESTATUS[0]}"', {0}, ""),
        ('"$0" -m r2l_core "$@" >/dev/full', {2}, "The standard output could not be written"),
        ('"$0" -m r2l_core "$@" 2>/dev/full', {0}, ""),
        ('"$0" -m r2l_core "$@" 2>&-', {0}, ""),
        ('"$0" -m r2l_core "$@" >&- 2>&-', {0}, ""),
        ('"$0" -m r2l_core "$@" <&- >&- 2>&-', {0}, ""),
    ],
    ids=["unread", "both unread", "full", "full errors", "no errors", "neither", "none"],
)
def test_the_film_survives_its_streams(light_field_file, tmp_path, decode, script, codes, said):
    out = tmp_path / "x.mp4"
    done = shell(
        script, "record", "--checkpoint", light_field_file, *FILM, "--precision", "fp32",
        "--engine", "reference", "--out", out, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode in codes, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert said in done.stderr
    assert len(decode(out)) == 2
    assert json.loads(out.with_suffix(".json").read_text())["state"] == "finished"


@pytest.mark.slow
def test_help_into_a_closed_pipe():
    done = shell('"$0" -m r2l_core record --help | true; exit "${PIPESTATUS[0]}"', cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_deleted_working_directory(light_field_file, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'cd "$1" && rmdir "$1" && shift && "$0" -m r2l_core "$@"'
    done = shell(
        script, gone, "render", "--checkpoint", light_field_file, *RENDER, "--out", "x.png"
    )
    assert done.returncode == 2
    assert "the working directory was deleted" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.3, 1.0, 2.5])
def test_stopped_while_it_loads(light_field_file, tmp_path, delay_s):
    out = tmp_path / "x.png"
    render = ["render", "--checkpoint", str(light_field_file), *RENDER, "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-m", "r2l_core", *render],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    time.sleep(delay_s)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert "Traceback" not in said
    assert process.returncode in (0, 130, -signal.SIGINT)


@pytest.mark.slow
def test_odd_names(light_field_file, tmp_path, decode):
    """A film with a new line and quotes in its name, a light field whose name is not UTF-8."""
    odd = tmp_path / "caf\udce9.safetensors"
    shutil.copy(light_field_file, odd)
    out = tmp_path / "a\nb 'c' \x1b[31m.mp4"
    script = '"$0" -m r2l_core "$@"'
    record = ["record", "--checkpoint", odd, *FILM, "--engine", "reference", "--out", out]
    done = shell(script, *record, "--json", tmp_path / "r.json", cwd=ROOT)
    assert (done.returncode, "\x1b" in done.stdout) == (0, False), done.stderr
    assert len(decode(out)) == 2
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["video"] == str(out)
    odd.write_bytes(b"")
    done = shell(script, *record, cwd=ROOT)
    assert done.returncode == 2
    assert r"caf\xe9" in done.stderr


# --- two recorders, and clocks ------------------------------------------------------------------


def written_by(film: Path, owner: dict) -> Path:
    """The sidecar as another process would have it while it records."""
    sidecar = film.with_suffix(".json")
    values = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps({**values, "state": "recording", "writer": owner}))
    return sidecar


@pytest.fixture
def other_process():
    """A process that does nothing, and what a sidecar would say of it."""
    script = (
        "import json; from r2l_core.recording.sidecar import this_process; "
        "print(json.dumps(this_process()), flush=True); input()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    yield json.loads(process.stdout.readline())
    process.communicate("\n")


def test_a_film_that_another_process_makes(film, light_field_file, capsys, other_process):
    sidecar = written_by(film, other_process)
    before = film.read_bytes()
    record = ["record", "--checkpoint", light_field_file, *FILM, "--out", film]
    assert f"process {other_process['pid']} is making it" in refused(capsys, *record)
    assert "is making it" in refused(capsys, "record", "--resume", sidecar)
    assert film.read_bytes() == before


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no such system")
def test_a_step_of_the_clock_hides_no_process(other_process):
    """When a process began counts from the start of the machine, not by a clock that was set."""
    moved = {**other_process, "started_s": other_process["started_s"] + 7200}
    assert other_writer(moved) == other_process["pid"]
    ended = {**other_process, "started_ticks": other_process["started_ticks"] - 100}
    assert other_writer(ended) is None
    assert other_writer({**other_process, "boot": "another start"}) is None


def test_who_begins_while_another_builds_is_refused(film, other_process):
    """Both were free to begin when they were asked; the second one's engines took longer."""
    recorder = recording_again(film.with_suffix(".json"), film.with_name("second.mp4"))
    shutil.copy(film.with_suffix(".json"), film.with_name("second.json"))
    written_by(film.with_name("second.mp4"), other_process)
    with pytest.raises(RecordingError, match="is making it right now"):
        next(recorder.frames())
    assert json.loads(film.with_name("second.json").read_text())["state"] == "recording"
