"""Several panes in the whole viewer: what is rendered, what is said about it, what is not."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from r2l_core.scene import PRESETS
from r2l_core.types import Frame, Precision
from viewer.app import App
from viewer.mailbox import Wish
from viewer.widgets.compare_mode import CompareMode
from viewer.widgets.difference import DifferenceKind
from viewer.widgets.metrics_readout import MetricsReadout
from viewer.widgets.pane_choice import PaneChoice

DEMO_SCENE = replace(PRESETS["demo"], width_px=64, height_px=64)


class Desk:
    """A running app that compares, and everything it was shown."""

    def __init__(self, app: App, until) -> None:
        self.app, self.until = app, until
        self.sets: list[tuple[Frame, ...]] = []
        self.metrics: list[MetricsReadout] = []
        app.controller.frames_shown.connect(self.sets.append)
        app.comparing._analyst.metrics_ready.connect(self.metrics.append)

    def choose(self, *panes: PaneChoice, mode: CompareMode = CompareMode.SIDE) -> None:
        self.app.window.compare.show_panes(panes)
        self.app.window.commands.compare.modes[mode].trigger()
        self.app.comparing._choose()
        self.until(lambda: self.complete(len(panes)))

    def complete(self, n_panes: int) -> bool:
        camera = self.app.controller.camera()
        return bool(self.sets) and (
            len(self.sets[-1]) == n_panes
            and self.sets[-1][0].complete
            and np.array_equal(self.sets[-1][0].camera.T_world_camera, camera.T_world_camera)
        )


@pytest.fixture
def desk(app, until) -> Desk:
    return Desk(app, until)


def test_panes_show_the_same_pass_of_the_same_camera(desk):
    desk.choose(PaneChoice(Precision.FP32), PaneChoice(Precision.BF16), PaneChoice(Precision.INT8))
    desk.app.controller.orbit_dragged(40, 10)
    desk.until(lambda: desk.complete(3))
    for frames in desk.sets:
        assert len({(f.seq, f.epoch, f.stride, f.camera) for f in frames}) == 1
    assert [f.engine.precision for f in desk.sets[-1]] == ["fp32", "bf16", "int8"]


def test_numbers_come_with_complete_pictures_only(desk):
    desk.choose(PaneChoice(Precision.FP32), PaneChoice(Precision.BF16))
    desk.until(lambda: bool(desk.metrics) and bool(desk.metrics[-1].pairs))
    (pair,) = desk.metrics[-1].pairs
    assert (pair.image_name, pair.reference_name) == ("fp32", "bf16")
    # The lab's engines are all the same.
    assert pair.psnr_db == float("inf")
    assert pair.max_error_levels == 0
    desk.metrics.clear()
    desk.app.comparing._shown(tuple(replace(frame, stride=2) for frame in desk.sets[-1]))
    assert not desk.metrics[0].pairs
    assert "complete" in desk.metrics[0].why_not


def test_one_picture_has_no_numbers(desk):
    desk.choose(PaneChoice(Precision.FP32), PaneChoice(Precision.BF16))
    desk.metrics.clear()
    desk.app.window.commands.compare.modes[CompareMode.SINGLE].trigger()
    desk.until(lambda: any("only one" in readout.why_not for readout in desk.metrics))
    assert desk.app.controller.running.wish.panes == ()


def test_another_way_to_show_it_renders_nothing(desk, lab, qtbot):
    desk.choose(PaneChoice(Precision.FP32), PaneChoice(Precision.BF16))
    tiles, sets = len(lab.tiles), len(desk.sets)
    modes = desk.app.window.commands.compare.modes
    for mode in (CompareMode.WIPE, CompareMode.FLIP, CompareMode.DIFFERENCE, CompareMode.SIDE):
        modes[mode].trigger()
        qtbot.wait(20)
    view = desk.app.window.compare.view
    for kind in DifferenceKind:
        view.set_difference(replace(view.pane.difference.options, kind=kind))
        qtbot.wait(10)
    assert len(lab.tiles) == tiles
    assert len(desk.sets) == sets


def test_the_truth_is_offered_where_the_scene_has_a_teacher(desk, until, write_light_field):
    running = desk.app.controller.running
    assert not running.truth.available
    path = write_light_field("taught", DEMO_SCENE)
    desk.app.controller.want(Wish(path, precision=Precision.FP32))
    until(lambda: desk.app.controller.running.name == "taught")
    assert desk.app.controller.running.truth.available
    desk.choose(PaneChoice(Precision.FP32), PaneChoice("truth"))
    assert desk.sets[-1][1].engine.engine == "truth"
    assert desk.sets[-1][1].network_rays == 0


def test_a_pane_that_cannot_be_built_leaves_the_others(desk, lab):
    desk.choose(PaneChoice(Precision.FP32), PaneChoice(Precision.BF16))
    running = desk.app.controller.running
    lab.unavailable = {Precision.INT8}
    desk.app.controller.set_panes(
        (PaneChoice(Precision.FP32), PaneChoice(Precision.INT8)), PaneChoice(Precision.FP32)
    )
    desk.until(lambda: desk.app.has_failed)
    assert desk.app.controller.running is running


def test_layers_are_switched_measured_and_saved(desk, tmp_path):
    desk.choose(PaneChoice(Precision.INT8_SIM), PaneChoice(Precision.FP32))
    desk.app.window.compare.layer_toggled.emit("body.0.body.0", True)
    layers = frozenset({"body.0.body.0"})
    desk.until(lambda: desk.app.controller.running.wish.layers_in_fp32 == layers)
    desk.app.window.mix_save_requested.emit(str(tmp_path / "mix.json"))
    assert json.loads((tmp_path / "mix.json").read_text()) == {"body.0.body.0": "fp32"}
    desk.app.window.compare.restore_requested.emit()
    desk.until(lambda: not desk.app.controller.running.wish.layers_in_fp32)
    desk.app.window.compare.worst_requested.emit()
    desk.until(lambda: len(desk.app.controller.running.wish.layers_in_fp32) == 4)


def test_a_pixel_is_followed_through_the_layers(desk):
    found = []
    desk.app.comparing._analyst.divergence_ready.connect(found.append)
    desk.choose(PaneChoice(Precision.INT8_SIM), PaneChoice(Precision.FP32))
    desk.app.window.compare.pixel_picked.emit(30, 30)
    desk.until(lambda: bool(found))
    assert [line.precision for line in found[0].lines] == ["int8-sim"]
    assert len(found[0].lines[0].relative_errors) == 3  # the head and two blocks
