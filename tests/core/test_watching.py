"""A learning that is watched: what it says, what it shows, and what it can be told."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from r2l_core.checkpoints.opening import load_checkpoint
from r2l_core.commands import watched as watched_module
from r2l_core.commands.cli import main
from r2l_core.commands.watched import Watched
from r2l_core.errors import CheckpointError
from r2l_core.model.light_field import LightField
from r2l_core.model.radiance.field import RadianceTeacher
from r2l_core.training import distillation
from r2l_core.training.radiance import trainer as trainer_module
from r2l_core.training.watching import (
    PROGRESS_FILE,
    Control,
    LearningProgress,
    Stage,
    in_use,
    is_in_use,
    newest_file,
    read_control,
)
from tests.photographs import write_photographs

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 300.0
IN_THE_BACKGROUND = ("sh", "-c", 'trap "" INT; exec "$0" "$@"')


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    return write_photographs(tmp_path_factory.mktemp("photographs"))


@pytest.fixture(autouse=True)
def _keep_priority(monkeypatch):
    """This process could not raise its own again."""
    monkeypatch.setattr(os, "nice", lambda _more: 0)


def lines_of(folder: Path) -> list[LearningProgress]:
    path = folder / PROGRESS_FILE
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    found = [LearningProgress.parsed(line) for line in text.splitlines()]
    return [line for line in found if line is not None]


def arguments(dataset: Path, out: Path, *more: str) -> list[str]:
    given = ["learn", "--dataset", str(dataset), "--out", str(out), "--watched", "--device", "cpu"]
    return [*given, "--state", str(out.with_suffix("")), "--width", "32", "--depth", "6", *more]


class TestLines:
    def test_what_is_said_is_read(self):
        said = LearningProgress(Stage.TEACHER, 0.25, 30.0, 90.0, 21.5, None, 4e4)
        assert LearningProgress.parsed(said.line()) == said
        assert json.loads(said.line())["held_out_psnr_db"] is None

    def test_what_is_no_number_is_not_measured(self):
        line = LearningProgress(Stage.TEACHER, psnr_db=float("nan")).line()
        assert LearningProgress.parsed(line) == LearningProgress(Stage.TEACHER)

    @pytest.mark.parametrize("line", ["", '{"stage": "teac', "[]", '{"stage": "lunch"}', "\0"])
    def test_what_is_no_line_is_none(self, line):
        assert LearningProgress.parsed(line) is None

    def test_texts_from_a_file_are_made_plain(self):
        line = json.dumps({"stage": "failed", "what": "a\x1b[2Jb\nc", "share": "half"})
        assert LearningProgress.parsed(line) == LearningProgress(Stage.FAILED, what="a\\x1b[2Jb c")


class TestControl:
    def test_it_is_told_what_was_written(self, tmp_path):
        assert read_control(tmp_path) == Control()
        Control(paused=True, stays=True).write(tmp_path)
        assert read_control(tmp_path) == Control(paused=True, stays=True)

    def test_a_damaged_file_tells_nothing(self, tmp_path):
        Control().write(tmp_path)
        (tmp_path / "control.json").write_text('{"paused": 1, "stop"', encoding="utf-8")
        assert read_control(tmp_path) == Control()

    def test_one_process_at_a_time_learns_in_a_folder(self, tmp_path):
        assert not is_in_use(tmp_path)
        with in_use(tmp_path):
            assert is_in_use(tmp_path)
            with pytest.raises(CheckpointError, match="another process"), in_use(tmp_path):
                pass
        assert not is_in_use(tmp_path)


class Step:
    share, train_psnr_db, krays_per_s = 0.5, 20.0, 40.0


class TestPace:
    """By a clock that goes on when it is told to."""

    @pytest.fixture
    def clock(self):
        return [0.0]

    @pytest.fixture
    def watched(self, tmp_path, clock):
        return Watched(tmp_path, "toys", 2.0, lambda: clock[0])

    def test_it_says_where_it_is_twice_a_second(self, watched, clock, tmp_path):
        step = watched.follow(Stage.TEACHER, lambda _path: None)
        for _ in range(41):
            step(0.25, Step())
            clock[0] += 0.125
        assert len(lines_of(tmp_path)) == 11
        assert lines_of(tmp_path)[0] == LearningProgress(
            Stage.TEACHER, 0.25, 30.0, 90.0, 20.0, None, 40_000.0
        )

    def test_it_says_what_it_does_before_the_steps(self, watched, clock, tmp_path):
        doing = watched.preparing(Stage.LIGHT_FIELD)
        for done in range(5):
            doing("reading photographs", done, 8)
            clock[0] += 0.5
        lines = lines_of(tmp_path)
        assert {line.stage for line in lines} == {Stage.LIGHT_FIELD}
        assert lines[0].doing == "reading photographs, 0 of 8"
        assert lines[4].doing == "reading photographs, 4 of 8, 0:02 left"
        # A curve of a resumed learning has no point there.
        assert all(line.elapsed_s is None for line in lines)

    def test_it_says_what_it_does_between_steps(self, watched, clock, tmp_path):
        doing = watched.preparing(Stage.TEACHER)
        watched.follow(Stage.TEACHER, lambda _path: None)(0.25, Step())
        clock[0] += 1.0
        doing("carving", 2, 8)
        before, now = lines_of(tmp_path)
        assert now.doing.startswith("carving, 2 of 8")
        assert (now.share, now.psnr_db) == (before.share, before.psnr_db)

    def test_writing_what_is_learned_takes_little_of_the_time(self, watched, clock, tmp_path):
        def save(path: Path) -> None:
            assert path == newest_file(tmp_path, "toys")
            clock[0] += 1.0
            saved.append(clock[0])

        saved: list[float] = []
        step = watched.follow(Stage.LIGHT_FIELD, save)
        while clock[0] < 100.0:
            step(0.5, Step())
            clock[0] += 0.1
        apart = [b - a for a, b in itertools.pairwise(saved)]
        assert len(apart) >= 3
        assert min(apart) >= 20.0

    def test_a_full_disk_for_what_is_shown_ends_nothing(self, watched):
        def save(_path: Path) -> None:
            raise CheckpointError("a", "b", "c")

        watched.follow(Stage.TEACHER, save)(0.5, Step())


class Clock:
    """A step takes as long as it says."""

    def __init__(self, seconds_per_look: float) -> None:
        self.now, self.seconds_per_look = 0.0, seconds_per_look

    def perf_counter(self) -> float:
        self.now += self.seconds_per_look
        return self.now

    def process_time(self) -> float:
        return self.now


@pytest.fixture
def measured(monkeypatch):
    """Both trainings take a number of steps, not of seconds."""
    monkeypatch.setattr(trainer_module, "time", Clock(0.5))
    monkeypatch.setattr(distillation, "time", Clock(1.0))


@pytest.mark.slow
def test_a_watched_learning_says_and_shows_every_stage(dataset, tmp_path, monkeypatch, measured):
    out, folder = tmp_path / "toys.safetensors", tmp_path / "toys"
    Control(stays=True).write(folder)  # pytest has closed the standard input
    shown: dict[str, type] = {}
    tell = Watched.tell

    def look(self: Watched, progress: LearningProgress) -> None:
        tell(self, progress)
        if self.newest.exists():
            shown[progress.stage] = type(load_checkpoint(str(self.newest)))

    monkeypatch.setattr(Watched, "tell", look)
    monkeypatch.setattr(watched_module, "TELL_EVERY_S", 0.0)
    assert main(arguments(dataset, out, "--minutes", "1")) == 0
    assert shown["teacher"] is RadianceTeacher
    assert shown["light field"] is LightField
    lines = lines_of(folder)
    stages = list(dict.fromkeys(line.stage for line in lines))
    assert stages == ["starting", "teacher", "light field", "comparing", "done"]
    timed = [line for line in lines if line.elapsed_s is not None]
    assert all(line.elapsed_s + line.remaining_s == pytest.approx(60.0) for line in timed)
    assert [line.share for line in timed] == sorted(line.share for line in timed)
    assert all(line.psnr_db > 0 and line.rays_per_s > 0 for line in timed)
    assert lines[-1].psnr_db > 5.0, "against the test views"
    assert not is_in_use(folder)


def test_a_refused_dataset_is_said_as_on_the_command_line(tmp_path, capsys):
    out, folder = tmp_path / "toys.safetensors", tmp_path / "toys"
    Control(stays=True).write(folder)
    (tmp_path / "empty").mkdir()
    assert main(arguments(tmp_path / "empty", out)) == 2
    said = lines_of(folder)[-1]
    assert said.stage is Stage.FAILED
    assert f"{said.what}: {said.why}. {said.remedy}".strip() in capsys.readouterr().err


@pytest.mark.slow
def test_it_is_killed_and_goes_on_and_ends_with_who_started_it(dataset, tmp_path):
    out, folder = tmp_path / "toys.safetensors", tmp_path / "toys"

    def begin(*more: str, program: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        command = [*program, sys.executable, "-m", "r2l_core", *arguments(dataset, out, *more)]
        return subprocess.Popen(
            [*command, "--minutes", "60"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def until_it_learns(process: subprocess.Popen[bytes], after: int) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while all(line.psnr_db is None for line in lines_of(folder)[after:]):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)

    with begin() as process:
        until_it_learns(process, 0)
        assert is_in_use(folder)
        process.kill()
    assert not is_in_use(folder)
    told_before = len(lines_of(folder))
    with begin("--resume", program=IN_THE_BACKGROUND) as process:
        until_it_learns(process, told_before)
        # As if the process that started it were gone.
        process.stdin.close()
        assert process.wait(TIMEOUT_S) == 130
    assert lines_of(folder)[-1].stage is Stage.STOPPED
    assert (folder / "teacher.pt").exists()
    assert not out.exists()
