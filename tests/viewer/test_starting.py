"""What a person meets first: a picture and a camera that turns, while all else is made ready."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from PyQt6.QtWidgets import QComboBox

from r2l_core.types import Precision
from tests.viewer.find import named, words
from tests.viewer.states import shown
from viewer.rendering import render_thread, starting
from viewer.state.panes import AUTO, TRUTH, CompareMode, PaneChoice
from viewer.state.resolve import Wish
from viewer.state.view_state import LightFieldChoice

pytestmark = pytest.mark.slow


@pytest.fixture
def held(lab):
    """Nothing is built until this is set."""
    event = threading.Event()

    def wait() -> None:
        assert event.wait(120)

    lab.on_build = wait
    yield event
    event.set()


@pytest.fixture
def starts(make_app, monkeypatch, write_light_field, held):
    """A window that starts with first looks."""
    monkeypatch.setattr(render_thread, "first_look", starting.first_look)
    app = make_app(shown(write_light_field(), precision=Precision.INT8, engine=AUTO))
    app.start()
    return app


def test_a_picture_comes_before_anything_is_built_and_the_camera_turns(starts, until, held):
    pane = starts.window.pane
    until(lambda: pane.frame is not None)
    assert (pane.frame.engine.engine, pane.frame.engine.precision) == ("fused", Precision.FP32)
    assert starts.rendering.running is None
    first = pane.frame.camera
    pane.orbit_dragged.emit(40.0, 0.0)
    until(lambda: not pane.frame.camera.same_view(first))
    dragged = starts.camera.camera()
    held.set()
    until(lambda: starts.report.has_picture)
    assert starts.rendering.running.engine.engine == "lab"
    assert pane.frame.engine.precision is Precision.INT8
    assert pane.frame.camera.same_view(dragged), "the camera stays where it was dragged to"


def test_the_window_is_painted_before_anything_else_begins(starts, until):
    assert starts.window.isVisible()
    assert not starts.render_thread.isRunning()
    assert "Starting the renderer…" in words(starts.window.pane)
    assert starts.window.pane.overlays.busy
    until(lambda: starts.window.pane.frame is not None)
    assert starts.render_thread.isRunning()


def test_the_scene_is_described_while_everything_loads(starts, until, held):
    panel = starts.window.scene
    until(lambda: starts.window.pane.frame is not None)
    assert "Loading" not in words(panel)
    assert "First look, in fp32" in words(panel)
    assert starts.window.windowTitle().startswith("tiny – ")
    panel.render_size_chosen.emit(32, 32)
    until(lambda: starts.window.pane.frame.image.shape == (32, 32, 3))
    held.set()
    until(lambda: starts.report.has_picture)
    assert "First look" not in words(panel)
    assert named(panel, QComboBox, "Render size in pixels").currentText() == "32×32"
    assert starts.store.state.render_size_px == (32, 32)


def test_what_cannot_be_opened_is_not_said_to_be_loading(make_app, until):
    app = make_app(shown("/nowhere.safetensors"))
    app.start()
    assert "Loading nowhere…" in words(app.window.scene)
    until(lambda: app.window.message.isVisible())
    assert "No light field" in words(app.window.scene)
    app.expect_error()


def test_a_comparison_begins_with_its_first_pane(
    make_app, monkeypatch, write_light_field, held, until
):
    monkeypatch.setattr(render_thread, "first_look", starting.first_look)
    state = shown(write_light_field(), precision=Precision.INT8, engine=AUTO)
    panes = (*state.panes, PaneChoice(Precision.BF16))
    app = make_app(replace(state, panes=panes, mode=CompareMode.SIDE))
    app.start()
    pane = app.window.pane
    until(lambda: pane.frame is not None)
    assert (len(pane.frames), pane.compared.awaited) == (1, (1,))
    held.set()
    until(lambda: len(pane.frames) == 2)
    assert pane.compared.awaited == ()
    assert [str(one.engine.precision) for one in pane.frames] == ["int8", "bf16"]


def test_what_is_asked_for_meanwhile_comes_after_it(starts, until, held):
    until(lambda: starts.window.pane.frame is not None)
    starts.rendering.choose_precision(Precision.BF16)
    held.set()
    until(lambda: starts.rendering.running is not None)
    until(lambda: starts.rendering.running.engine.precision is Precision.BF16)


def test_what_cannot_be_built_says_so_over_the_first_look(starts, lab, until, held):
    until(lambda: starts.window.pane.frame is not None)
    lab.build_error = RuntimeError("out of order")
    held.set()
    until(lambda: starts.window.message.isVisible())
    assert "Out of order" in starts.window.message.details()
    assert "engines are loading" not in words(starts.window.scene)
    assert "tiny" in words(starts.window.scene), "it is shown still"


def test_closing_meanwhile(starts, until):
    until(lambda: starts.window.pane.frame is not None)
    starts.close()
    assert starts.render_thread.isFinished()


def test_the_precision_that_was_chosen_last_is_the_next_first(app, until, make_app):
    app.window.precision.precision_chosen.emit(Precision.INT8)
    until(lambda: app.rendering.running.engine.precision is Precision.INT8)
    unsaid = replace(app.first_state, panes=())
    assert make_app(unsaid).first_state.panes == (PaneChoice(Precision.INT8),)
    assert make_app(app.first_state).first_state is app.first_state, "what is asked for counts more"


@pytest.mark.parametrize(
    "wish",
    [
        Wish(LightFieldChoice("demo", engine="torch")),
        Wish(LightFieldChoice("demo"), (PaneChoice(TRUTH),)),
        Wish(LightFieldChoice("demo"), (PaneChoice(TRUTH), PaneChoice(Precision.INT8))),
        Wish(LightFieldChoice("/nowhere.safetensors")),
    ],
)
def test_some_wishes_wait_for_the_renderer(wish):
    assert starting.first_look(wish) is None
