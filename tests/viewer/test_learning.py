"""A light field that is learned in a process of its own while the window shows it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from PyQt6.QtWidgets import QMessageBox

from r2l_core.training.watching import LearningProgress, Stage, is_in_use, read_control
from r2l_core.types import Precision
from tests.photographs import write_photographs
from tests.viewer.find import button, words
from tests.viewer.states import shown
from viewer.app import App
from viewer.learning import process
from viewer.widgets.panels.learn_readout import MOST_POINTS, LearningCurve, LearnSettings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the stand-in locks as POSIX does"),
]
STAND_IN = Path(__file__).with_name("stand_in_learning.py")
ROOT = Path(__file__).resolve().parents[2]


class Photographs:
    """A folder whose stand-in for `learn` does what it is ordered to."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder

    def order(self, *orders: str) -> None:
        with (self.folder / "orders").open("a", encoding="utf-8") as file:
            file.write("".join(f"{one}\n" for one in orders))

    def say(self, stage: Stage, **fields: object) -> None:
        self.order(f"say {LearningProgress(stage, **fields).line()}")

    def runs(self) -> list[list]:
        """Process id and arguments of every run."""
        path = self.folder / "arguments"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]


@pytest.fixture
def photographs(tmp_path, monkeypatch) -> Iterator[Photographs]:
    monkeypatch.setattr(process, "PROGRAM", (sys.executable, str(STAND_IN)))
    made = Photographs(tmp_path / "toys")
    yield made
    for process_id, *_ in made.runs():
        # One that goes on after its window would go on after the tests.
        with contextlib.suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGKILL)


@pytest.fixture
def settings(photographs, tmp_path) -> LearnSettings:
    return LearnSettings(str(photographs.folder), str(tmp_path / "toys.safetensors"), 2.0, True)


@pytest.fixture
def learning(app, photographs, settings, until) -> App:
    """The stand-in runs, and has said nothing yet."""
    app.window.show()
    app.window.commands.learn.trigger()
    app.learning.start(settings)
    until(lambda: len(photographs.runs()) == 1)
    return app


def folder_of(app: App) -> Path:
    assert app.learning.learning is not None
    return app.learning.learning.folder


def shown_sha256(app: App) -> str:
    return app.rendering.running.light_field.sha256


def is_whole(app: App) -> bool:
    """Whether the exact picture of what runs is shown."""
    frame = app.window.pane.frame
    return frame.epoch == app.rendering.running.epoch and frame.complete


def text(app: App) -> str:
    return words(app.window.learn)


def bar(app: App) -> str:
    return app.window.message.details() if app.window.message.isVisible() else ""


def teaching(elapsed_s: float, psnr_db: float, held_out_psnr_db: float | None = None):
    share = elapsed_s / 120.0
    return {
        "share": share,
        "elapsed_s": elapsed_s,
        "remaining_s": 120.0 - elapsed_s,
        "psnr_db": psnr_db,
        "held_out_psnr_db": held_out_psnr_db,
        "rays_per_s": 41_000.0,
    }


class TestCurve:
    def test_a_resumed_learning_takes_back_what_was_lost(self):
        curve = LearningCurve()
        for elapsed_s, psnr_db in ((1.0, 10.0), (2.0, 12.0), (3.0, 14.0), (2.5, 13.0)):
            curve = curve.after(LearningProgress(Stage.TEACHER, **teaching(elapsed_s, psnr_db)))
        assert curve.trained[Stage.TEACHER] == ((1.0, 10.0), (2.0, 12.0), (2.5, 13.0))

    def test_held_out_views_have_points_where_they_were_measured(self):
        curve = LearningCurve()
        for elapsed_s, quality in ((1.0, None), (2.0, 11.0), (3.0, 11.0), (4.0, 12.0)):
            said = teaching(elapsed_s, 20.0, quality)
            curve = curve.after(LearningProgress(Stage.TEACHER, **said))
        assert curve.held_out == ((2.0, 11.0), (4.0, 12.0))

    def test_a_long_one_keeps_its_ends(self):
        curve = LearningCurve()
        for second in range(5 * MOST_POINTS):
            said = {"elapsed_s": float(second), "psnr_db": 20.0}
            curve = curve.after(LearningProgress(Stage.LIGHT_FIELD, **said))
        points = curve.trained[Stage.LIGHT_FIELD]
        assert len(points) <= MOST_POINTS
        assert points[0][0] == 0.0
        assert points[-1][0] == 5 * MOST_POINTS - 1.0


class TestWatching:
    def test_the_command_is_told_what_was_chosen(self, learning, photographs, settings):
        _, *arguments = photographs.runs()[0]
        assert arguments[:3] == ["learn", "--dataset", settings.dataset]
        for flag, value in (("--out", settings.out), ("--minutes", "2")):
            assert arguments[arguments.index(flag) + 1] == value
        assert "--half-res" in arguments
        assert "--watched" in arguments
        assert "--resume" not in arguments

    def test_it_says_how_it_goes(self, learning, photographs, until):
        photographs.say(Stage.TEACHER, **teaching(30.0, 21.5, 19.25))
        until(lambda: "21.50 dB" in text(learning))
        said = text(learning)
        assert "1 min 30 s to go" in said
        assert "41.0 kray/s" in said
        assert "19.25 dB" in said
        assert "30 s of 2 min 00 s" in said
        photographs.say(Stage.COMPARING, share=1.0)
        until(lambda: "Comparing with the test views" in text(learning))
        assert "21.50 dB" not in text(learning), "that was of another stage"

    def test_the_newest_weights_are_shown_where_the_camera_is(
        self, learning, photographs, write_light_field, until
    ):
        app, before = learning, shown_sha256(learning)
        photographs.order(f"show {write_light_field('first')}")
        until(lambda: shown_sha256(app) != before and is_whole(app))
        assert app.window.windowTitle().startswith("toys")
        app.gestures.orbit_dragged(40, 10)
        app.window.commands.precisions[Precision.BF16].trigger()
        until(lambda: app.rendering.running.engine.precision is Precision.BF16)
        until(lambda: is_whole(app))
        first, viewpoint = shown_sha256(app), app.store.state.viewpoint
        epoch = app.rendering.running.epoch
        seen = []
        app.rendering.frames_shown.connect(seen.extend)
        photographs.order(f"show {write_light_field('the second')}")
        until(lambda: shown_sha256(app) != first and bool(seen))
        assert app.store.state.viewpoint == viewpoint
        assert app.rendering.running.engine.precision is Precision.BF16
        assert app.rendering.running.epoch > epoch
        assert all(frame.complete for frame in seen), "the picture does not flicker"
        recent = [action.text() for action in app.window.commands.recent.menu.actions()]
        assert any(name.startswith("tiny.safetensors") for name in recent)
        assert not any(name.startswith("toys.safetensors") for name in recent)

    def test_newer_weights_of_the_same_network_try_no_engine_again(
        self, learning, lab, photographs, write_light_field, until
    ):
        app, before = learning, shown_sha256(learning)
        photographs.order(f"show {write_light_field('first')}")
        until(lambda: shown_sha256(app) != before and is_whole(app))
        first, built = shown_sha256(app), len(lab.built)
        said = []
        app.render_thread.busy_changed.connect(said.append)
        photographs.order(f"show {write_light_field('the second')}")
        until(lambda: shown_sha256(app) != first and is_whole(app))
        assert len(lab.built) == built + 1
        assert not any(said), "nothing was said to be waited for"

    def test_where_nothing_moves_a_picture_becomes_whole_before_the_next(
        self, learning, lab, photographs, write_light_field, until
    ):
        app, before = learning, shown_sha256(learning)
        lab.close_gate()
        photographs.order(f"show {write_light_field('first')}")
        until(lambda: app.learning.learning.newest.exists())
        until(lambda: app.store.state.light_field.checkpoint.endswith("toys.safetensors"))
        photographs.order(f"show {write_light_field('the second')}")
        photographs.say(Stage.TEACHER, **teaching(60.0, 23.0))
        until(lambda: "23.00 dB" in text(app))
        wishes = []
        app.render_thread.running_changed.connect(lambda now: wishes.append(now.wish.renewed))
        lab.open_gate()
        until(lambda: shown_sha256(app) != before and is_whole(app))
        until(lambda: wishes == [False, True])
        until(lambda: is_whole(app))

    def test_what_was_opened_meanwhile_stays_open(
        self, learning, photographs, write_light_field, until
    ):
        app, before = learning, shown_sha256(learning)
        photographs.order(f"show {write_light_field('first')}")
        until(lambda: shown_sha256(app) != before)
        show = button(app.window.learn, "Show what it learns")
        assert show.isHidden()
        app.window.open_requested.emit(write_light_field("other"))
        until(lambda: app.window.windowTitle().startswith("other"))
        photographs.order(f"show {write_light_field('the second')}")
        photographs.say(Stage.TEACHER, **teaching(60.0, 23.0))
        until(lambda: "23.00 dB" in text(app))
        assert app.window.windowTitle().startswith("other")
        assert not show.isHidden()
        show.click()
        until(lambda: app.window.windowTitle().startswith("toys"))
        assert show.isHidden()

    def test_once_done_the_light_field_is_open(
        self, learning, photographs, settings, write_light_field, until
    ):
        app, before = learning, shown_sha256(learning)
        path = write_light_field("first")
        photographs.order(f"show {path}")
        until(lambda: shown_sha256(app) != before)
        Path(settings.out).write_bytes(Path(path).read_bytes())
        photographs.say(Stage.DONE, share=1.0, psnr_db=27.125)
        photographs.order("end 0")
        until(lambda: app.rendering.running.wish.light_field.checkpoint == settings.out)
        assert "27.12 dB" in text(app)
        assert "on the test views" in text(app)
        assert app.learning.learning is None
        app.learning.open()
        assert button(app.window.learn, "Resume").isHidden(), "there is nothing left to do"


class TestSteering:
    def test_it_waits_and_goes_on(self, learning, photographs, until):
        pause = button(learning.window.learn, "Pause")
        pause.click()
        assert read_control(folder_of(learning)).paused
        assert pause.text() == "Continue"
        assert "Paused" in text(learning)
        photographs.say(Stage.TEACHER, **teaching(30.0, 21.5))
        pause.click()
        until(lambda: "21.50 dB" in text(learning))
        assert not read_control(folder_of(learning)).paused
        assert "Paused" not in text(learning)

    def test_it_is_stopped_and_resumed(self, learning, photographs, until):
        app = learning
        photographs.say(Stage.TEACHER, **teaching(30.0, 21.5))
        until(lambda: "21.50 dB" in text(app))
        button(app.window.learn, "Stop").click()
        until(lambda: app.learning.learning is None)
        assert not bar(app)
        resume = button(app.window.learn, "Resume")
        assert resume.text() == "Resume toys, 30 s of 2 min 00 s"
        resume.click()
        until(lambda: len(photographs.runs()) == 2)
        assert "--resume" in photographs.runs()[1]
        photographs.say(Stage.TEACHER, **teaching(40.0, 22.5))
        until(lambda: "22.50 dB" in text(app))

    def test_one_that_is_killed_is_offered_again(self, learning, photographs, until):
        app = learning
        photographs.say(Stage.TEACHER, **teaching(30.0, 21.5))
        until(lambda: "21.50 dB" in text(app))
        os.kill(photographs.runs()[0][0], signal.SIGKILL)
        until(lambda: "ended from outside" in bar(app))
        assert "offers to go on" in bar(app)
        button(app.window.learn, "Resume").click()
        until(lambda: len(photographs.runs()) == 2)
        assert not bar(app), "of what goes on, an older error says nothing"

    def test_one_that_is_killed_goes_on_where_it_is_tried_again(self, learning, photographs, until):
        app = learning
        photographs.say(Stage.TEACHER, **teaching(30.0, 21.5))
        until(lambda: "21.50 dB" in text(app))
        os.kill(photographs.runs()[0][0], signal.SIGKILL)
        until(lambda: "ended from outside" in bar(app))
        button(app.window.message, "Try again").click()
        until(lambda: len(photographs.runs()) == 2)
        assert "--resume" in photographs.runs()[1]
        assert not bar(app)

    def test_a_new_one_does_not_replace_an_unfinished_one(
        self, learning, photographs, settings, until
    ):
        photographs.say(Stage.TEACHER, **teaching(30.0, 21.5))
        until(lambda: "21.50 dB" in text(learning))
        button(learning.window.learn, "Stop").click()
        until(lambda: learning.learning.learning is None)
        learning.learning.start(settings)
        assert "An unfinished one is called toys" in bar(learning)
        assert len(photographs.runs()) == 1


class TestErrors:
    def test_what_the_command_refuses_is_said_in_its_own_words(self, learning, photographs, until):
        words_of = {"what": "The dataset x", "why": "it has no poses", "remedy": "Find them."}
        photographs.say(Stage.FAILED, **words_of)
        photographs.order("end 2")
        until(lambda: bool(bar(learning)))
        assert bar(learning) == "The dataset x\nIt has no poses. Find them."

    def test_what_it_only_prints_is_said_too(self, learning, photographs, until):
        photographs.order(
            "print Traceback", "print error: --out x cannot be written: it is.", "end 2"
        )
        until(lambda: "--out x cannot be written" in bar(learning))

    @pytest.mark.parametrize(
        ("fields", "says"),
        [({"dataset": ""}, "no photographs are named"), ({"out": ""}, "no file is named")],
    )
    def test_what_is_missing_is_said_at_once(self, app, photographs, tmp_path, fields, says):
        given = {"dataset": str(photographs.folder), "out": str(tmp_path / "a.safetensors")}
        app.learning.start(LearnSettings(**{**given, **fields}, minutes=1.0))
        assert says in bar(app).lower()
        assert app.learning.learning is None
        app.learning.start(LearnSettings(**given, minutes=1.0))
        assert not bar(app)

    def test_a_program_that_cannot_be_started(self, app, settings, monkeypatch):
        monkeypatch.setattr(process, "PROGRAM", ("/no/such/program",))
        app.learning.start(settings)
        assert "cannot be learned" in bar(app)
        assert app.learning.learning is None


class TestClosing:
    def test_it_asks_first_unless_the_learning_goes_on(self, learning):
        window = learning.window
        assert not window.close()
        (box,) = [one for one in window.findChildren(QMessageBox) if one.isVisible()]
        assert "toys is being learned. Closing stops it here" in box.text()
        next(one for one in box.buttons() if one.text() == "Go on").click()
        assert window.isVisible()
        button(window.learn, "Go on after closing").click()
        assert window.close()

    def test_it_ends_with_the_window(self, learning, until):
        folder = folder_of(learning)
        learning.close()
        until(lambda: not is_in_use(folder))

    def test_one_that_was_told_to_goes_on_and_is_found(
        self, learning, photographs, make_app, write_light_field, until
    ):
        folder = folder_of(learning)
        button(learning.window.learn, "Go on after closing").click()
        learning.close()
        photographs.say(Stage.TEACHER, **teaching(30.0, 21.5))
        again = make_app(shown(write_light_field(), precision=Precision.FP32))
        again.start()
        again.window.commands.learn.trigger()
        until(lambda: "21.50 dB" in text(again))
        assert len(photographs.runs()) == 1
        photographs.order(f"show {write_light_field('first')}")
        until(lambda: again.window.windowTitle().startswith("toys"))
        button(again.window.learn, "Stop").click()
        until(lambda: again.learning.learning is None)
        assert not is_in_use(folder)

    def test_it_ends_with_a_window_that_is_killed(self, photographs, settings, tmp_path, until):
        script = f"""
            import sys, time
            from pathlib import Path
            from viewer.learning import process
            from viewer.widgets.panels.learn_readout import LearnSettings

            process.PROGRAM = (sys.executable, {str(STAND_IN)!r})
            settings = LearnSettings({settings.dataset!r}, {settings.out!r}, 2.0)
            learning = process.LearningProcess(settings, Path({str(tmp_path / "state")!r}))
            learning.begin(resume=False)
            time.sleep(600)
        """
        command = [sys.executable, "-c", textwrap.dedent(script)]
        with subprocess.Popen(command, cwd=ROOT) as window:
            until(lambda: len(photographs.runs()) == 1)
            window.kill()
        until(lambda: not is_in_use(tmp_path / "state"))


class TestPanel:
    def test_a_file_is_proposed_beside_the_photographs(self, app, tmp_path):
        panel = app.window.learn
        panel.show_dataset(str(tmp_path / "chair"))
        assert panel.settings().out == str(tmp_path / "chair.safetensors")
        panel.show_dataset(str(tmp_path / "table"))
        assert panel.settings().out == str(tmp_path / "table.safetensors")
        panel.show_file(str(tmp_path / "mine.safetensors"))
        panel.show_dataset(str(tmp_path / "chair"))
        assert panel.settings().out == str(tmp_path / "mine.safetensors")
        assert panel.settings().minutes == 120.0

    def test_the_open_dataset_is_proposed(self, app, open_dataset, folder):
        open_dataset(folder)
        app.window.commands.learn.trigger()
        assert app.window.learn.settings().dataset == str(folder)

    def test_the_panel_comes_up(self, app):
        app.window.show()
        panel = app.window.learn
        assert not panel.isVisible()
        app.window.commands.learn.trigger()
        assert panel.isVisible()


def test_a_light_field_is_learned_from_photographs(app, tmp_path, until):
    """With the real command, as short as it can be."""
    folder = write_photographs(tmp_path / "toys")
    app.window.commands.learn.trigger()
    app.window.learn.show_dataset(str(folder))
    kinds = []
    app.rendering.running_changed.connect(lambda now: kinds.append(now.light_field.is_teacher))
    out = tmp_path / "toys.safetensors"
    app.learning.start(LearnSettings(str(folder), str(out), 0.1))
    until(lambda: app.learning.learning is None)
    assert not bar(app)
    until(lambda: app.rendering.running.wish.light_field.checkpoint == str(out))
    assert kinds[0] is True, "the teacher first"
    assert kinds[-1] is False
    assert "on the test views" in text(app)
