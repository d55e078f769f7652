"""Films made in the window: of the path, and of what is seen."""

from __future__ import annotations

import gc
import json
import warnings
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from r2l_core.types import Precision
from viewer.app import App
from viewer.widgets.compare_mode import CompareMode
from viewer.widgets.record_settings import RecordProgress, RecordSettings, duration


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

    def test_two_panes_side_by_side(self, on_path, tmp_path, until):
        on_path.window.compare.view.set_mode(CompareMode.SIDE)
        until(lambda: len(on_path.window.pane.frames) == 2)
        recording = on_path.recording
        recording.open()
        modes = recording.panel._mode
        assert [modes.itemData(at) for at in range(modes.count())] == [
            "single",
            "side",
            "wipe",
            "difference",
        ]
        recording.start(settings(tmp_path / "f.png", "side", 0.25))
        until(lambda: not recording.running)
        assert iio.imread(tmp_path / "f_00000.png").shape == (24, 64, 3)
        sidecar = json.loads((tmp_path / "f.json").read_text())
        panes = [pane.source for pane in on_path.window.compare.panes.panes]
        assert sidecar["precisions"] == panes

    def test_stopping_keeps_what_is_done(self, on_path, lab, tmp_path, until):
        recording, seen = on_path.recording, []
        recording.start(settings(tmp_path / "f.png", seconds=50.0))
        recording._thread.progressed.connect(seen.append)
        until(lambda: len(seen) >= 2)
        recording.abort()
        until(lambda: not recording.running)
        sidecar = json.loads((tmp_path / "f.json").read_text())
        assert sidecar["state"] == "aborted"
        assert sidecar["frames_done"] == len(list(tmp_path.glob("f_*.png"))) >= 2
        assert "of 200 frames" in recording.panel._words.text()

    def test_a_pause_lasts_until_it_is_over(self, on_path, lab, tmp_path, until, qtbot):
        recording, seen = on_path.recording, []
        recording.start(settings(tmp_path / "f.png", seconds=2.0))
        recording._thread.set_paused(True)
        recording._thread.progressed.connect(seen.append)
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
        assert ".avi" in on_path.window._view.message.details()
        assert recording.panel._start.isEnabled()
        on_path.expect_error()

    def test_an_engine_that_fails_ends_the_film_alone(self, on_path, lab, tmp_path, until):
        lab.build_error = RuntimeError("no room")
        recording = on_path.recording
        recording.start(settings(tmp_path / "f.png"))
        until(lambda: not recording.running)
        assert "No room" in on_path.window._view.message.details()
        assert on_path.controller.running is not None
        on_path.expect_error()

    def test_without_a_path_there_is_nothing_to_start(self, app, tmp_path):
        app.window.commands.record.record.trigger()
        assert app.recording.panel.isVisible()
        assert not app.recording.panel.isModal()
        assert not app.recording.panel._start.isEnabled()
        app.recording.start(settings(tmp_path / "f.png"))
        assert not app.recording.running
        assert "no camera path" in app.window._view.message.details()
        app.expect_error()

    def test_a_mix_of_layers_is_refused(self, on_path, tmp_path, until):
        on_path.controller.choose_precision(Precision.INT8)
        on_path.controller.switch_layer("body.0.body.0", True)
        until(lambda: bool(on_path.controller.running.wish.layers_in_fp32))
        on_path.recording.start(settings(tmp_path / "f.png"))
        assert not on_path.recording.running
        on_path.expect_error()

    def test_closing_the_window_closes_the_film(self, on_path, tmp_path, until):
        recording, seen = on_path.recording, []
        recording.start(settings(tmp_path / "f.png", seconds=50.0))
        recording._thread.progressed.connect(seen.append)
        until(lambda: bool(seen))
        on_path.close()
        assert json.loads((tmp_path / "f.json").read_text())["state"] == "aborted"


class TestLive:
    def test_what_is_seen_is_filmed_until_it_is_stopped(self, app, tmp_path, until):
        live, told = app.living, []
        live.finished.connect(told.append)
        live.start(str(tmp_path / "f.png"))
        assert app.window.commands.record.live.isChecked()
        before = app.window.pane.frames[0].seq
        app.controller.orbit_dragged(40.0, 0.0)
        until(lambda: app.window.pane.frames[0].seq > before and app.window.pane.frames[0].complete)
        app.window.repaint()
        live._began_s -= 0.2  # that much later
        live.stop()
        until(lambda: not live.running)
        files = sorted(tmp_path.glob("f_*.png"))
        assert told[0].frames_done == len(files)
        assert np.array_equal(iio.imread(files[-1]), app.window.pane.frames[0].image)
        assert not app.window.commands.record.live.isChecked()

    def test_the_pointer_is_drawn_only_if_wanted(self, app, tmp_path, until):
        live, pane = app.living, app.window.pane
        app.window.commands.record.live_pointer.setChecked(True)
        live.start(str(tmp_path / "f.png"))
        pane.pointed.emit(pane.image_center())
        live._look()
        live._began_s -= 0.2
        live.stop()
        until(lambda: not live.running)
        last = iio.imread(max(tmp_path.glob("f_*.png")))
        assert tuple(last[32, 32]) == (255, 255, 255)

    def test_every_mode_has_its_picture(self, app, until):
        view, pane = app.window.compare.view, app.window.pane
        view.set_mode(CompareMode.SIDE)
        until(lambda: len(pane.frames) == 2 and pane.frames[0].complete)
        a, b = (frame.image for frame in pane.frames)
        assert np.array_equal(pane.seen_pixels(), np.concatenate([a, b], axis=1))
        view.set_mode(CompareMode.WIPE)
        assert np.array_equal(pane.seen_pixels(), np.concatenate([a[:, :32], b[:, 32:]], axis=1))
        view.set_mode(CompareMode.FLIP)
        pane.show_b(True)
        assert pane.seen_pixels() is b
        view.set_mode(CompareMode.DIFFERENCE)
        assert pane.seen_pixels().shape == a.shape

    def test_a_film_that_cannot_be_written_is_said(self, app, tmp_path, until):
        app.living.start(str(tmp_path / "f.xyz"))
        until(lambda: not app.living.running)
        assert ".xyz" in app.window._view.message.details()
        app.expect_error()


def test_progress_in_words():
    picture = np.zeros((2, 2, 3), np.uint8)
    assert RecordProgress(3, 9, 61.2, picture).words == "3 of 9 frames, 1 min 01 s to go"
    assert [duration(s) for s in (4.6, 3600 * 2 + 300)] == ["5 s", "2 h 05 min"]
