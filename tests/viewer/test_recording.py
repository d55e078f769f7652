"""Films made in the window: of the path, and of what is seen."""

from __future__ import annotations

import csv
import gc
import json
import warnings
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from PyQt6.QtCore import QThread
from PyQt6.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox, QLabel, QMessageBox

from r2l_core.engines import backends
from r2l_core.geometry.scene import PRESETS
from r2l_core.recording.loading import unfinished
from r2l_core.recording.plan import RecordingProgress
from r2l_core.types import Precision
from tests.viewer.find import button, named, words
from tests.viewer.states import shown
from viewer.app import App
from viewer.state.panes import TRUTH, CompareMode, PaneChoice
from viewer.widgets.controls import wording
from viewer.widgets.controls.timers import Clock
from viewer.widgets.panels.key_panel import KeySettings
from viewer.widgets.panels.record_panel import RecordPanel, progress_words
from viewer.widgets.panels.record_settings import RecordSettings

pytestmark = pytest.mark.slow


def frames_of(path: Path) -> np.ndarray:
    """All frames of a video."""
    with warnings.catch_warnings():
        # imageio leaves its pipes to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        film = iio.imread(path)
        gc.collect()
    return film


def settings(file: Path, mode: str = "single", seconds: float = 1.0) -> RecordSettings:
    return RecordSettings(32, 24, 4.0, seconds, mode, str(file))


def offered(panel: RecordPanel) -> list[str]:
    """The modes that can be chosen."""
    modes = named(panel, QComboBox, "What is recorded")
    model = modes.model()
    return [modes.itemData(at) for at in range(modes.count()) if model.item(at).isEnabled()]


def instead(panel: RecordPanel) -> QAbstractButton:
    """What is offered in place of the truth."""
    return named(panel, QAbstractButton, "Film something else")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def on_path(app) -> App:
    """The tiny light field with a turntable."""
    app.window.commands.record.presets["turntable"].trigger()
    return app


class TestOffline:
    def test_the_path_is_recorded_while_the_window_goes_on(self, on_path, tmp_path, until):
        recording, told = on_path.recording, []
        recording.finished.connect(told.append)
        recording.panel.start_requested.emit(settings(tmp_path / "f.mp4"))
        assert recording.running
        until(lambda: not recording.running)
        assert told[0].words == "f.mp4: 4 frames, 1.00 s"
        assert frames_of(tmp_path / "f.mp4").shape == (4, 24, 32, 3)
        sidecar = json.loads((tmp_path / "f.json").read_text())
        assert sidecar["state"] == "finished"
        assert sidecar["precisions"] == ["fp32"]
        # One second for the whole turn.
        assert sidecar["camera_path"]["loop"]
        assert not on_path.has_failed

    def test_the_window_says_that_a_film_is_being_made(self, on_path, tmp_path, until):
        recording, status = on_path.recording, on_path.window.status
        assert "Recording" not in words(status)
        recording.open()
        recording.start(settings(tmp_path / "f.png", seconds=2.0))
        recording.panel.close()
        assert "Recording: Preparing…" in words(status)
        recording.progressed.connect(lambda _progress: said.append(words(status)))
        said = []
        until(lambda: not recording.running)
        assert "Recording: 2 of 8 frames" in said[1]
        assert "Recording" not in words(status)

    def test_why_nothing_can_be_filmed_is_said_in_whole_sentences(self, app, qtbot):
        app.recording.open()
        panel = app.recording.panel
        (reason,) = [one for one in panel.findChildren(QLabel) if "no camera path" in one.text()]
        assert reason.wordWrap()
        assert reason.heightForWidth(reason.width()) <= reason.height()

    def test_two_panes_side_by_side(self, on_path, tmp_path, until):
        on_path.window.compare.view.set_mode(CompareMode.SIDE)
        until(lambda: len(on_path.window.pane.frames) == 2)
        recording = on_path.recording
        recording.open()
        assert offered(recording.panel) == ["single", "side", "wipe", "difference"]
        recording.start(settings(tmp_path / "f.png", "side", 0.25))
        until(lambda: not recording.running)
        assert iio.imread(tmp_path / "f_00000.png").shape == (24, 64, 3)
        sidecar = json.loads((tmp_path / "f.json").read_text())
        panes = [pane.source for pane in on_path.window.compare.panes.panes]
        assert sidecar["precisions"] == panes

    def test_stopping_keeps_what_is_done(self, on_path, lab, tmp_path, until):
        recording, seen = on_path.recording, []
        recording.start(settings(tmp_path / "f.png", seconds=50.0))
        recording.progressed.connect(seen.append)
        until(lambda: len(seen) >= 2)
        recording.abort()
        until(lambda: not recording.running)
        sidecar = json.loads((tmp_path / "f.json").read_text())
        assert sidecar["state"] == "aborted"
        assert sidecar["frames_done"] == len(list(tmp_path.glob("f_*.png"))) >= 2
        assert "of 200 frames" in words(recording.panel)

    def test_a_pause_lasts_until_it_is_over(self, on_path, lab, tmp_path, until, qtbot):
        recording, seen = on_path.recording, []
        recording.start(settings(tmp_path / "f.png", seconds=2.0))
        recording.panel.pause_toggled.emit(True)
        recording.progressed.connect(seen.append)
        qtbot.wait(150)
        paused_at = len(seen)
        assert paused_at < 8
        recording.panel.pause_toggled.emit(False)
        until(lambda: not recording.running)
        assert len(seen) == 8

    def test_what_is_refused_is_said_above_the_picture(self, on_path, tmp_path, until):
        recording = on_path.recording
        recording.start(settings(tmp_path / "f.avi"))
        until(lambda: not recording.running)
        assert ".avi" in on_path.window.message.details()
        assert button(recording.panel, "Start").isEnabled()
        on_path.expect_error()

    def test_an_engine_that_fails_ends_the_film_alone(self, on_path, lab, tmp_path, until):
        lab.build_error = RuntimeError("no room")
        recording = on_path.recording
        recording.start(settings(tmp_path / "f.png"))
        until(lambda: not recording.running)
        assert "No room" in on_path.window.message.details()
        assert on_path.rendering.running is not None
        on_path.expect_error()

    def test_without_a_path_there_is_nothing_to_start(self, app, tmp_path):
        app.window.commands.record.record.trigger()
        assert app.recording.panel.isVisible()
        assert not app.recording.panel.isModal()
        assert not button(app.recording.panel, "Start").isEnabled()
        app.recording.start(settings(tmp_path / "f.png"))
        assert not app.recording.running
        assert "no camera path" in app.window.message.details()
        app.expect_error()

    def test_a_mix_of_layers_is_recorded(self, on_path, tmp_path, until):
        on_path.rendering.choose_precision(Precision.INT8)
        on_path.window.compare.layers.layer_toggled.emit("body.0.body.0", True)
        until(lambda: bool(on_path.rendering.running.wish.panes[0].layers_in_fp32))
        on_path.recording.start(settings(tmp_path / "f.png", seconds=0.25))
        until(lambda: not on_path.recording.running)
        sidecar = json.loads((tmp_path / "f.json").read_text())
        assert sidecar["layers"] == {"body.0.body.0": "fp32"}
        assert sidecar["state"] == "finished"

    def test_panes_on_different_engines(self, on_path, lab, monkeypatch, tmp_path, until):
        desk = on_path.window.compare
        desk.view.set_mode(CompareMode.SIDE)
        until(lambda: len(on_path.window.pane.frames) == 2)
        other = type(lab)()
        monkeypatch.setitem(backends.ENGINES, "other", other)
        panes = (PaneChoice(Precision.FP32, "lab"), PaneChoice(Precision.FP32, "other"))
        on_path.store.set(on_path.store.state.with_panes(panes))
        until(lambda: on_path.rendering.running.wish.panes == panes)
        built: list[str] = []
        lab.on_build = lambda: built.append("lab")
        other.on_build = lambda: built.append("other")
        on_path.recording.start(settings(tmp_path / "f.png", "side", 0.25))
        until(lambda: not on_path.recording.running)
        assert built == ["lab", "other"]
        assert not on_path.has_failed

    def test_what_cannot_be_recorded_is_said_in_the_panel(self, on_path, until):
        recording, window = on_path.recording, on_path.window
        recording.open()
        panel = recording.panel
        assert offered(panel) == ["single"]
        modes = named(panel, QComboBox, "What is recorded")
        modes.setCurrentIndex(1)
        modes.activated.emit(1)
        assert not button(panel, "Start").isEnabled()
        assert "second pane" in words(panel)
        window.compare.view.set_mode(CompareMode.SIDE)
        assert button(panel, "Start").isEnabled()
        panes = (PaneChoice(Precision.FP32), PaneChoice(TRUTH))
        on_path.store.set(on_path.store.state.with_panes(panes))
        recording.open()
        assert not button(panel, "Start").isEnabled()
        assert "Pane B shows the ground truth" in words(panel)
        assert offered(panel) == ["single"]
        window.compare.panes.set_active(1)
        assert offered(panel) == []

    def test_the_mode_is_proposed_until_one_is_chosen(self, on_path):
        panel, view = on_path.recording.panel, on_path.window.compare.view
        modes = named(panel, QComboBox, "What is recorded")

        def opened_in(mode: CompareMode) -> str:
            view.set_mode(mode)
            on_path.recording.open()
            return panel.settings().mode

        assert opened_in(CompareMode.SIDE) == "side"
        assert opened_in(CompareMode.WIPE) == "side", "the panel is open"
        panel.close()
        assert opened_in(CompareMode.WIPE) == "wipe"
        modes.setCurrentIndex(modes.findData("single"))
        modes.activated.emit(modes.currentIndex())
        panel.close()
        assert opened_in(CompareMode.DIFFERENCE) == "single", "a person has chosen it"

    def test_the_size_is_proposed_until_one_is_edited(self, on_path):
        panel, store = on_path.recording.panel, on_path.store
        record = on_path.window.commands.record.record

        def opened_at(width_px: int, height_px: int) -> tuple[int, int]:
            store.change(render_size_px=(width_px, height_px))
            record.trigger()
            return panel.settings().width_px, panel.settings().height_px

        assert opened_at(64, 48) == (64, 48)
        assert opened_at(32, 32) == (64, 48), "the panel is open"
        panel.close()
        assert opened_at(32, 32) == (32, 32)
        named(panel, QAbstractSpinBox, "Width").setValue(100.0)
        panel.close()
        assert opened_at(48, 48) == (100, 32), "a person has edited it"

    def test_how_a_film_ended_is_said_until_another_mode_is_proposed(self, on_path):
        recording, panel = on_path.recording, on_path.recording.panel
        panel.show_end("12 frames in f.mp4")
        recording.open()
        recording.open()
        assert "12 frames in f.mp4" in words(panel)
        panel.close()
        on_path.window.compare.view.set_mode(CompareMode.WIPE)
        recording.open()
        assert "12 frames in f.mp4" not in words(panel)

    @pytest.mark.parametrize("eight_bits", [Precision.INT8, Precision.INT8_SIM])
    def test_who_compares_with_the_truth_films_eight_bits_instead(
        self, on_path, lab, write_light_field, tmp_path, until, eight_bits
    ):
        lab.unavailable = {Precision.INT8} - {eight_bits}
        taught = replace(PRESETS["demo"], width_px=64, height_px=64)
        on_path.window.open_requested.emit(write_light_field("taught", taught))
        until(lambda: on_path.rendering.running.name == "taught")
        recording, panel = on_path.recording, on_path.recording.panel
        recording.open()
        assert instead(panel).isHidden()
        panes = (PaneChoice(Precision.FP32), PaneChoice(TRUTH))
        state = on_path.store.state.with_panes(panes)
        on_path.store.set(replace(state, mode=CompareMode.WIPE))
        until(lambda: on_path.rendering.running.wish.panes == panes)
        panel.close()
        recording.open()
        assert panel.settings().mode == "wipe", "as it is compared"
        assert not button(panel, "Start").isEnabled()
        assert instead(panel).text() == f"Show {eight_bits} in pane B instead of the truth"
        instead(panel).click()
        assert [one.source for one in on_path.store.state.panes] == [Precision.FP32, eight_bits]
        assert instead(panel).isHidden()
        assert button(panel, "Start").isEnabled()
        until(lambda: len(on_path.window.pane.frames) == 2)
        recording.start(settings(tmp_path / "w.png", "wipe", 0.25))
        until(lambda: not recording.running)
        assert {row["precision_b"] for row in rows_of(tmp_path / "w.csv")} == {eight_bits}

    def test_keyframes_say_what_their_pane_shows(self, on_path, tmp_path, until):
        control, desk = on_path.camera_path.editor, on_path.window.compare
        on_path.camera_path.player.select(0)
        before = control.path.keyframes[0]
        control.change(KeySettings(before.fov_y_deg, None, Precision.BF16, 0.25, 4.0))
        desk.view.set_mode(CompareMode.SIDE)
        until(lambda: len(on_path.window.pane.frames) == 2)
        on_path.recording.start(settings(tmp_path / "wiped.png", "wipe", 0.5))
        until(lambda: not on_path.recording.running)
        shown = rows_of(tmp_path / "wiped.csv")
        assert [row["precision_b"] for row in shown] == ["bf16", "bf16"]
        assert [row["precision_a"] for row in shown] == ["fp32", "fp32"]
        assert float(shown[0]["wipe"]) == 0.25
        desk.panes.set_active(1)
        on_path.recording.start(settings(tmp_path / "b.png", "single", 0.5))
        until(lambda: not on_path.recording.running)
        assert rows_of(tmp_path / "b.csv")[0]["precision_a"] == "bf16"

    def test_a_film_that_was_stopped_can_be_resumed(self, on_path, tmp_path, until):
        recording, seen = on_path.recording, []
        recording.open()
        assert button(recording.panel, "Resume").isHidden()
        recording.start(settings(tmp_path / "f.png", seconds=3.0))
        recording.progressed.connect(seen.append)
        until(lambda: len(seen) >= 2)
        recording.abort()
        until(lambda: not recording.running)
        done = json.loads((tmp_path / "f.json").read_text())["frames_done"]
        assert button(recording.panel, "Resume").text() == f"Resume f.png, {done} of 12 frames"
        assert f"{done} of 12 frames" in words(recording.panel)
        # The film goes on as it was begun, whatever is chosen by now.
        on_path.window.commands.record.presets["dolly"].trigger()
        button(recording.panel, "Resume").click()
        until(lambda: not recording.running)
        assert len(list(tmp_path.glob("f_*.png"))) == 12
        sidecar = json.loads((tmp_path / "f.json").read_text())
        assert (sidecar["state"], len(sidecar["camera_path"]["keyframes"])) == ("finished", 4)
        assert button(recording.panel, "Resume").isHidden()

    def test_the_next_session_offers_what_was_interrupted(
        self, on_path, tmp_path, until, make_app, write_light_field
    ):
        seen = []
        on_path.recording.start(settings(tmp_path / "f.png", seconds=50.0))
        on_path.recording.progressed.connect(seen.append)
        until(lambda: bool(seen))
        on_path.close()
        app = make_app(shown(write_light_field(), precision=Precision.FP32))
        app.recording.open()
        assert "Resume f.png" in button(app.recording.panel, "Resume").text()
        assert not button(app.recording.panel, "Resume").isHidden()
        (tmp_path / "f.json").unlink()
        app.recording.open()
        assert button(app.recording.panel, "Resume").isHidden()

    def test_an_unfinished_film_is_offered_instead_of_written_over(self, on_path, tmp_path, until):
        recording, seen = on_path.recording, []
        recording.start(settings(tmp_path / "f.png", seconds=5.0))
        recording.progressed.connect(seen.append)
        until(lambda: bool(seen))
        recording.abort()
        until(lambda: not recording.running)
        recording.start(settings(tmp_path / "g.png", seconds=0.25))
        until(lambda: not recording.running)
        assert button(recording.panel, "Resume").isHidden()
        recording.start(settings(tmp_path / "f.png", seconds=0.25))
        assert not recording.running
        assert "Resume it" in on_path.window.message.details()
        assert "f.png" in button(recording.panel, "Resume").text()
        on_path.expect_error()

    def test_closing_asks_once_and_keeps_the_film_resumable(self, on_path, tmp_path, until):
        window, recording, seen = on_path.window, on_path.recording, []
        recording.start(settings(tmp_path / "f.png", seconds=50.0))
        recording.progressed.connect(seen.append)
        until(lambda: bool(seen))

        def boxes() -> list[QMessageBox]:
            return [one for one in window.findChildren(QMessageBox) if one.isVisible()]

        def answer(text: str) -> None:
            (box,) = boxes()
            assert "A film is being made" in box.text()
            next(one for one in box.buttons() if one.text() == text).click()

        assert not window.close()
        assert not window.close()
        assert len(boxes()) == 1, "asked once"
        answer("Go on")
        assert window.isVisible()
        assert recording.running
        assert not window.close()
        answer("Close, and keep what is done")
        until(lambda: not window.isVisible())
        found = unfinished(tmp_path / "f.json")
        assert found is not None
        assert found.frames_done >= 1

    def test_nothing_is_asked_where_nothing_is_made(self, on_path):
        assert on_path.window.close()

    def test_resuming_shows_what_the_film_is_like(self, on_path, tmp_path, until):
        recording, seen = on_path.recording, []
        made = settings(tmp_path / "f.png", seconds=3.0)
        recording.open()
        recording.start(made)
        recording.progressed.connect(seen.append)
        until(lambda: bool(seen))
        recording.abort()
        until(lambda: not recording.running)
        recording.panel.show_settings(replace(made, width_px=99, seconds=7.0, title="Other"))
        recording.resume()
        assert recording.panel.settings() == made
        recording.abort()
        until(lambda: not recording.running)

    def test_closing_the_window_closes_the_film(self, on_path, tmp_path, until):
        recording, seen = on_path.recording, []
        recording.start(settings(tmp_path / "f.png", seconds=50.0))
        recording.progressed.connect(seen.append)
        until(lambda: bool(seen))
        on_path.close()
        assert json.loads((tmp_path / "f.json").read_text())["state"] == "aborted"


class LaterClock(Clock):
    """Real time, and as many seconds more as a test says."""

    later_s = 0.0

    def now_s(self) -> float:
        return super().now_s() + self.later_s


class TestLive:
    @pytest.fixture
    def app_clock(self) -> LaterClock:
        return LaterClock()

    def test_what_is_seen_is_filmed_until_it_is_stopped(self, app, app_clock, tmp_path, until):
        live, told = app.live_capture, []
        live.finished.connect(told.append)
        live.start(str(tmp_path / "f.png"))
        assert app.window.commands.record.live.isChecked()
        filming = named(app.window.pane, QLabel, "Filming the screen")
        assert filming.isVisible()
        assert filming.text().startswith("REC 00:0")
        before = app.window.pane.frames[0].seq
        app.gestures.orbit_dragged(40.0, 0.0)
        pane = app.window.pane
        until(lambda: pane.frames[0].seq > before and pane.frames[0].complete)
        until(lambda: pane.frames[0].camera.same_view(app.camera.camera()))
        app.window.repaint()
        app_clock.later_s += 0.2
        live.stop()
        until(lambda: not live.running)
        files = sorted(tmp_path.glob("f_*.png"))
        assert told[0].frames_done == len(files)
        assert np.array_equal(iio.imread(files[-1]), app.window.pane.frames[0].image)
        assert not app.window.commands.record.live.isChecked()
        assert not filming.isVisible()

    def test_nothing_of_a_film_stays_behind(self, app, on_path, tmp_path, until):
        """The thread of every film goes with it, of one that was refused as well."""

        def threads() -> int:
            return len(app.findChildren(QThread))

        before = threads()
        for name in ("a.png", "b.xyz", "c.png"):
            app.live_capture.start(str(tmp_path / name))
            app.live_capture.stop()
            until(lambda: not app.live_capture.running)
        for name in ("d.png", "e.xyz"):
            app.recording.start(settings(tmp_path / name, seconds=0.1))
            until(lambda: not app.recording.running)
        until(lambda: threads() == before)
        app.expect_error()

    def test_the_pointer_is_drawn_only_if_wanted(self, app, app_clock, tmp_path, until):
        live, pane = app.live_capture, app.window.pane
        app.window.commands.record.live_pointer.setChecked(True)
        live.start(str(tmp_path / "f.png"))
        app_clock.later_s += 1.0
        pane.pointed.emit(pane.image_center())
        filming = named(pane, QLabel, "Filming the screen")
        until(lambda: filming.text().startswith("REC 00:01"))  # as somebody looked
        app_clock.later_s += 0.2
        live.stop()
        until(lambda: not live.running)
        last = iio.imread(max(tmp_path.glob("f_*.png")))
        assert tuple(last[32, 32]) == (255, 255, 255)

    def test_every_mode_has_its_picture(self, app, until):
        view, pane = app.window.compare.view, app.window.pane
        view.set_mode(CompareMode.SIDE)
        until(lambda: len(pane.frames) == 2 and pane.frames[0].complete)
        a, b = (frame.image for frame in pane.frames)
        assert np.array_equal(pane.compared.seen_pixels(), np.concatenate([a, b], axis=1))
        view.set_mode(CompareMode.WIPE)
        assert np.array_equal(
            pane.compared.seen_pixels(), np.concatenate([a[:, :32], b[:, 32:]], axis=1)
        )
        view.set_mode(CompareMode.FLIP)
        pane.show_b(True)
        assert pane.compared.seen_pixels() is b
        view.set_mode(CompareMode.DIFFERENCE)
        assert pane.compared.seen_pixels().shape == a.shape

    def test_a_film_that_cannot_be_written_is_said(self, app, tmp_path, until):
        app.live_capture.start(str(tmp_path / "f.xyz"))
        until(lambda: not app.live_capture.running)
        assert ".xyz" in app.window.message.details()
        app.expect_error()


def test_progress_in_words():
    picture = np.zeros((2, 2, 3), np.uint8)
    amid, done = (RecordingProgress(n, 9, 61.2, picture) for n in (3, 9))
    assert progress_words(amid) == "3 of 9 frames, 1 min 01 s to go"
    assert progress_words(done) == "9 frames; finishing the file…"
    assert [wording.duration(s) for s in (4.6, 3600 * 2 + 300)] == ["5 s", "2 h 05 min"]
