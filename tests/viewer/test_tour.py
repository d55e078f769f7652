"""Scripted runs of the real window, on a clock that runs faster than the real one."""

from __future__ import annotations

import gc
import json
import warnings
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from r2l_core.engines.processor import this_processor
from r2l_core.errors import EngineError
from r2l_core.types import Precision
from tests.viewer.states import shown
from viewer.app import App
from viewer.rendering import render_thread, starting
from viewer.scripted.tour import Tour, TourPace

pytestmark = pytest.mark.slow

PACE = TourPace(events_per_s=12, hurry=20.0, patient=True, window_px=(900, 600))


def film_of(path: Path) -> np.ndarray:
    """Every tenth frame of a video: a slow machine makes a long one."""
    with warnings.catch_warnings():
        # imageio leaves its pipes to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        film = np.stack([one for at, one in enumerate(iio.imiter(path)) if at % 10 == 0])
        gc.collect()
    return film


@pytest.fixture
def app(lab, write_light_field, make_app) -> App:
    """Not started yet; two precisions are enough."""
    lab.unavailable = set(Precision) - {Precision.FP32, Precision.INT8}
    return make_app(shown(write_light_field(), precision=Precision.FP32))


@pytest.fixture
def run(app, until, tmp_path):
    """Runs a tour to its end; returns its report."""

    def run(kind: str, screens: Path | None = None) -> dict:
        finished: list[bool] = []
        tour = Tour(app, kind, screens, PACE)
        tour.finished.connect(lambda: finished.append(True))
        app.start()
        until(lambda: bool(finished))
        app.report.write(tmp_path / "r.json")
        return json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))

    return run


def test_drag_measures_everything(app, run):
    values = run("drag")
    values.pop("psnr_db_shown_mean")  # infinite where all that was shown was exact
    assert [key for key, value in values.items() if value is None] == []
    assert (values["errors"], values["stale_frames"]) == (0, 0)
    assert not app.has_failed
    assert values.pop("processor") == this_processor().name
    for key, value in values.items():
        assert value >= 0, key
    assert values["first_preview_s"] <= values["first_frame_s"]
    assert values["images_per_s"] > 0
    assert values["latency_ms_p50"] <= values["latency_ms_p95"]
    assert values["gui_blocked_ms_p99"] <= values["gui_blocked_ms_max"]


def test_drag_turns_the_camera_and_ends_on_the_exact_picture(app, run, tmp_path):
    run("drag", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["window.png"]
    assert app.camera.orbit.azimuth_deg != app.rendering.running.scene.home().azimuth_deg
    frame = app.window.pane.frame
    assert frame.complete
    np.testing.assert_array_equal(frame.camera.T_world_camera, app.camera.camera().T_world_camera)
    assert not app.window.pane.dragging


def test_all_films_every_feature(app, run, lab, tmp_path, monkeypatch):
    monkeypatch.setattr(render_thread, "first_look", starting.first_look)
    screens = tmp_path / "new" / "out"
    values = run("all", screens)
    assert (values["errors"], values["stale_frames"]) == (0, 0)
    assert not app.has_failed, "the error it provokes does not count"
    assert {path.name for path in screens.iterdir()} == {
        "tour.mp4",
        "window.png",
        "window-light.png",
        "window-dark.png",
        "window-system.png",
        "keys.png",
        "error.png",
        "picture.png",
        "timeline.png",
        "display.png",
        "match-window.png",
        "region.png",
        "first-look.png",
        "added.png",
        "pair.png",
        "mix.png",
        "gizmo.png",
        "learn.png",
        "preferences.png",
        "edit-key.png",
        "record.png",
        *(f"compare-{mode}.png" for mode in ("side", "wipe", "flip", "difference")),
    }
    film = film_of(screens / "tour.mp4")
    assert film.shape[1:] == (600, 900, 3)
    assert len(film) >= 3
    assert film[-1].std() > 1
    picture = iio.imread(screens / "window.png")
    assert picture.shape == (600, 900, 3)
    assert iio.imread(screens / "picture.png").shape == (64, 64, 3)
    light, dark = (iio.imread(screens / f"window-{name}.png") for name in ("light", "dark"))
    assert light.mean() > dark.mean() + 20
    assert len(lab.built) == 3, "each precision was visited, and a mix"


@pytest.mark.parametrize("kind", ["drag", "all"])
def test_a_folder_that_cannot_be_written_ends_it(app, run, tmp_path, kind, capsys):
    (tmp_path / "file").touch()
    assert run(kind, tmp_path / "file")["errors"] == 1
    assert app.has_failed
    assert "--screens" in capsys.readouterr().err


def test_a_renderer_that_fails_ends_it(app, run, lab):
    def fail(_seq: int) -> None:
        if app.report.has_picture:
            lab.shade_error = EngineError("The lab failed", "of itself", "Repair it.")

    app.window.pane.picture_painted.connect(fail)
    assert run("drag")["errors"] > 0


def test_a_precision_that_fails_ends_it(app, run, lab):
    def fail() -> None:
        lab.build_error = RuntimeError("no room") if lab.built else None

    lab.on_build = fail
    assert run("all")["errors"] == 1
    assert app.rendering.running.engine.precision is Precision.FP32
