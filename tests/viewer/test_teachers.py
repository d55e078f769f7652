"""A teacher that `teach` made, shown in the window like a light field."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PyQt6.QtWidgets import QComboBox, QLabel

from r2l_core.checkpoints.radiance import save_radiance
from r2l_core.model.radiance.field import RadianceField, RadianceTeacher
from r2l_core.model.radiance.grid import Grid
from r2l_core.model.radiance.space import Space
from r2l_core.types import Precision
from tests.viewer.conftest import SCENE
from tests.viewer.find import named, words
from viewer.app import App
from viewer.state.panes import CompareMode, PaneChoice
from viewer.widgets.panels.record_settings import RecordSettings

pytestmark = pytest.mark.slow


@pytest.fixture
def teacher(tmp_path) -> Path:
    """A cube of coloured fog."""
    torch.manual_seed(0)
    side = 4
    space = Space("box", 2.0, 6.0)
    grid = Grid(space, (-1.0,) * 3, (1.0,) * 3, (side,) * 3, torch.arange(side**3))
    field = RadianceField(grid, (1.0, 1.0, 1.0))
    field.density.data += 6.0
    field.features.data.normal_()
    path = tmp_path / "fog.safetensors"
    save_radiance(RadianceTeacher("fog", SCENE, field.eval()), path)
    return path


@pytest.fixture
def opened(app, teacher, until) -> App:
    app.window.open_requested.emit(str(teacher))
    until(lambda: app.window.windowTitle().startswith("fog"))
    until(lambda: app.window.pane.frame.epoch == app.rendering.running.epoch)
    until(lambda: app.window.pane.frame.complete)
    return app


def test_it_is_shown_in_its_own_engine_and_said_to_be_one(opened):
    info = opened.window.pane.frame.engine
    assert (info.engine, info.precision) == ("radiance", Precision.FP32)
    assert opened.window.pane.frame.image.std() > 1.0
    assert "a teacher" in words(opened.window.scene)


def test_it_is_offered_in_float32_alone(opened):
    assert list(opened.window.commands.precisions) == [Precision.FP32]
    assert opened.window.commands.precisions[Precision.FP32].isChecked()


def test_panes_are_offered_no_other_precision_of_it(opened):
    opened.window.commands.compare.modes[CompareMode.SIDE].trigger()
    assert [pane.source for pane in opened.store.state.panes] == [Precision.FP32, Precision.FP32]
    for letter in "AB":
        box = named(opened.window, QComboBox, f"What pane {letter} shows")
        assert box.findData(Precision.INT8) == -1


def test_a_pane_of_a_light_field_beside_it_is_offered_all(opened, write_light_field, until):
    panes = (
        PaneChoice(Precision.FP32),
        PaneChoice(Precision.FP32, checkpoint=write_light_field("beside")),
    )
    opened.store.set(replace(opened.store.state, panes=panes, mode=CompareMode.SIDE, active=1))
    until(lambda: len(opened.rendering.running.engines) == 2)
    boxes = [named(opened.window, QComboBox, f"What pane {letter} shows") for letter in "AB"]
    assert [box.findData(Precision.INT8) >= 0 for box in boxes] == [False, True]
    opened.window.commands.precisions[Precision.INT8].trigger()
    until(lambda: opened.rendering.running.engines[1].precision is Precision.INT8)
    assert not opened.has_failed
    opened.store.change(active=0)
    assert list(opened.window.commands.precisions) == [Precision.FP32]


def test_what_was_chosen_for_a_light_field_comes_back_with_one(
    app, teacher, write_light_field, until
):
    app.window.commands.precisions[Precision.BF16].trigger()
    until(lambda: app.rendering.running.engine.precision is Precision.BF16)
    app.window.open_requested.emit(str(teacher))
    until(lambda: app.window.windowTitle().startswith("fog"))
    assert app.window.commands.precisions[Precision.FP32].isChecked()
    app.window.open_requested.emit(write_light_field("other"))
    until(lambda: app.window.windowTitle().startswith("other"))
    assert app.rendering.running.engine.precision is Precision.BF16


def test_it_stands_beside_its_light_field(app, teacher, until):
    panes = (PaneChoice(Precision.FP32), PaneChoice(Precision.FP32, checkpoint=str(teacher)))
    app.store.set(replace(app.store.state, panes=panes, mode=CompareMode.SIDE))
    until(lambda: len(app.window.pane.frames) == 2)
    until(lambda: app.window.pane.frames[0].complete)
    engines = [frame.engine.engine for frame in app.window.pane.frames]
    assert engines == ["lab", "radiance"]


def test_no_film_is_made_of_it(opened, tmp_path):
    opened.window.commands.record.presets["turntable"].trigger()
    opened.recording.start(RecordSettings(32, 24, 4.0, 1.0, "single", str(tmp_path / "film.mp4")))
    assert "films are rendered by light fields" in opened.window.message.details()


def test_it_has_no_layers_to_follow_a_pixel_through(opened, until):
    opened.window.pane.pixel_picked.emit(10, 10)
    until(
        lambda: any(
            "a teacher has no layers" in label.text()
            for label in opened.window.findChildren(QLabel)
        )
    )
    assert not opened.window.message.isVisible()
