"""Several panes in the whole viewer: what is rendered, what is said about it, what is not."""

from __future__ import annotations

import gc
import json
import math
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from PyQt6.QtCore import QPointF
from PyQt6.QtWidgets import QComboBox, QFileDialog, QMenu

from r2l_core.checkpoints.opening import load_light_field
from r2l_core.engines.reference import ReferenceEngine
from r2l_core.evaluation.evaluation import Evaluation
from r2l_core.evaluation.ground_truth import TeacherReference
from r2l_core.geometry.scene import PRESETS, SceneSpec
from r2l_core.images.difference import DifferenceKind
from r2l_core.images.metrics import compare
from r2l_core.model.light_field import LightField
from r2l_core.model.module import R2LNetwork
from r2l_core.model.network import NetworkConfig
from r2l_core.render.frames import Frame, RenderRequest
from r2l_core.render.progressive_image import render_image
from r2l_core.render.sources import NetworkSource
from r2l_core.types import Precision
from tests.viewer.find import button, named, words
from tests.viewer.states import shown
from viewer.app import App
from viewer.compare import analysis
from viewer.compare.helper_process import HelperProcess
from viewer.state.panes import TRUTH, CompareMode, PaneChoice
from viewer.widgets.compare import pane_label
from viewer.widgets.compare.pane_label import PaneLabel
from viewer.widgets.controls.flat import FlatButton
from viewer.widgets.panels.metrics_panel import MetricsReadout

pytestmark = pytest.mark.slow

SCENE = SceneSpec("tiny", width_px=64, height_px=64)
DEMO_SCENE = replace(PRESETS["demo"], width_px=64, height_px=64)


class Desk:
    """A running app that compares, and everything it was shown."""

    def __init__(self, app: App, until) -> None:
        self.app, self.until = app, until
        self.sets: list[tuple[Frame, ...]] = []
        self.metrics: list[MetricsReadout] = []
        app.rendering.frames_shown.connect(self.sets.append)
        app.compare.analyst.metrics_ready.connect(self.metrics.append)

    def choose(self, *panes: PaneChoice, mode: CompareMode = CompareMode.SIDE) -> None:
        state = self.app.store.state.with_panes(panes)
        self.app.store.set(replace(state, mode=mode))
        self.until(lambda: self.complete(len(panes)))

    def complete(self, n_panes: int) -> bool:
        camera = self.app.camera.camera()
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
    desk.app.gestures.orbit_dragged(40, 10)
    desk.until(lambda: desk.complete(3))
    for frames in desk.sets:
        assert len({(f.seq, f.epoch, f.stride, f.camera) for f in frames}) == 1
    assert [f.engine.precision for f in desk.sets[-1]] == ["fp32", "bf16", "int8"]


def test_measuring_leaves_the_processors_to_the_picture(desk, monkeypatch):
    threads = []
    monkeypatch.setattr(
        analysis,
        "pair_metrics",
        lambda *_: threads.append(torch.get_num_threads()) or MetricsReadout(),
    )
    desk.choose(PaneChoice(Precision.FP32), PaneChoice(Precision.BF16))
    desk.until(lambda: bool(threads))
    assert set(threads) == {1}


def test_no_numbers_before_the_background_is_computed(desk):
    desk.choose(PaneChoice(Precision.FP32), PaneChoice(Precision.BF16))
    desk.until(lambda: bool(desk.metrics) and not desk.metrics[-1].why_not)
    frames = tuple(replace(frame, colors=None) for frame in desk.sets[-1])
    desk.app.compare.analyst.compare(frames)
    assert "the background is not computed yet" in desk.metrics[-1].why_not


def test_numbers_come_with_complete_pictures_only(desk):
    desk.choose(PaneChoice(Precision.FP32), PaneChoice(Precision.BF16))
    desk.until(lambda: bool(desk.metrics) and bool(desk.metrics[-1].pairs))
    (pair,) = desk.metrics[-1].pairs
    assert (pair.image_name, pair.reference_name) == ("fp32", "bf16")
    # The lab's engines are all the same.
    assert pair.psnr_db == float("inf")
    assert pair.max_error_levels == 0
    desk.metrics.clear()
    desk.app.compare.show_frames(tuple(replace(frame, stride=2) for frame in desk.sets[-1]))
    assert not desk.metrics[0].pairs
    assert "complete" in desk.metrics[0].why_not


def test_one_picture_has_no_numbers(desk):
    desk.choose(PaneChoice(Precision.FP32), PaneChoice(Precision.BF16))
    desk.metrics.clear()
    desk.app.window.commands.compare.modes[CompareMode.SINGLE].trigger()
    desk.until(lambda: any("only one" in readout.why_not for readout in desk.metrics))
    assert len(desk.app.rendering.running.wish.panes) == 1


def test_another_way_to_show_it_renders_nothing(desk, lab, qtbot, monkeypatch):
    mailbox, asked = desk.app.render_thread.mailbox, []
    submit = mailbox.submit

    def note(request: RenderRequest) -> None:
        asked.append(request.seq)
        submit(request)

    monkeypatch.setattr(mailbox, "submit", note)
    desk.choose(PaneChoice(Precision.FP32), PaneChoice(Precision.BF16))
    # The background is asked about last, for the numbers; new engines may be asked twice.
    desk.until(lambda: desk.sets[-1][0].colors is not None and desk.sets[-1][0].seq == asked[-1])
    tiles, sets, requests = len(lab.tiles), len(desk.sets), len(asked)
    modes = desk.app.window.commands.compare.modes
    for mode in (CompareMode.WIPE, CompareMode.FLIP, CompareMode.DIFFERENCE, CompareMode.SIDE):
        modes[mode].trigger()
        qtbot.wait(20)
    view = desk.app.window.compare.view
    for kind in DifferenceKind:
        view.set_difference(replace(view.pane.compared.difference.options, kind=kind))
        qtbot.wait(10)
    assert len(lab.tiles) == tiles
    assert len(desk.sets) == sets
    assert len(asked) == requests


def test_a_pane_that_is_added_has_its_place_at_once_and_fills(desk, lab, until):
    window, pane = desk.app.window, desk.app.window.pane
    side = window.commands.compare.modes[CompareMode.SIDE].trigger
    for count, one_more in ((2, side), (3, button(window.compare.panes, "Add a pane").click)):
        built = threading.Event()
        lab.on_build = built.wait
        frames, room_px = pane.frames, pane.room_px()
        one_more()
        assert (pane.frames, pane.compared.awaited) == (frames, (count - 1,))
        assert math.prod(pane.room_px()) < math.prod(room_px), "there is room for it"
        empty = pane.grab().toImage()
        built.set()
        until(lambda wanted=count: len(pane.frames) == wanted)
        assert pane.compared.awaited == ()
        assert pane.grab().toImage() != empty


def test_the_truth_is_offered_where_the_scene_has_a_teacher(desk, until, write_light_field):
    running = desk.app.rendering.running
    assert not running.truths[TRUTH].available
    path = write_light_field("taught", DEMO_SCENE)
    desk.app.rendering.want(shown(path, precision=Precision.FP32))
    until(lambda: desk.app.rendering.running.name == "taught")
    assert desk.app.rendering.running.truths[TRUTH].available
    desk.choose(PaneChoice(Precision.FP32), PaneChoice("truth"))
    assert desk.sets[-1][1].engine.engine == "truth"
    assert desk.sets[-1][1].network_rays == 0


def test_a_pane_that_cannot_be_built_leaves_the_others(desk, lab):
    desk.choose(PaneChoice(Precision.FP32), PaneChoice(Precision.BF16))
    running = desk.app.rendering.running
    lab.unavailable = {Precision.INT8}
    state = desk.app.store.state
    desk.app.store.set(state.with_pane(1, PaneChoice(Precision.INT8)))
    desk.until(lambda: desk.app.has_failed)
    assert desk.app.rendering.running is running


def mix_of(desk: Desk) -> frozenset[str]:
    """The layers that the first pane runs in fp32 now."""
    return desk.app.rendering.running.wish.panes[0].layers_in_fp32


def test_layers_are_switched_measured_and_saved(desk, tmp_path):
    desk.choose(PaneChoice(Precision.INT8_SIM), PaneChoice(Precision.FP32))
    desk.app.window.compare.layers.layer_toggled.emit("body.0.body.0", True)
    layers = frozenset({"body.0.body.0"})
    desk.until(lambda: mix_of(desk) == layers)
    desk.app.window.compare.layers.save_requested.emit()
    dialog = desk.app.window.findChild(QFileDialog)
    assert dialog.selectedFiles()[0].endswith("r2l-mix.json")
    dialog.fileSelected.emit(str(tmp_path / "mix.json"))
    dialog.close()
    assert json.loads((tmp_path / "mix.json").read_text()) == {"body.0.body.0": "fp32"}
    desk.app.window.compare.layers.restore_requested.emit()
    desk.until(lambda: not mix_of(desk))
    desk.app.window.compare.layers.worst_requested.emit()
    desk.until(lambda: len(mix_of(desk)) == 4)


def test_opening_the_panel_measures_the_layers_and_changes_nothing(desk):
    desk.choose(PaneChoice(Precision.INT8_SIM), PaneChoice(Precision.FP32))
    strip = desk.app.window.compare.layers
    keep = next(one for one in strip.findChildren(FlatButton) if one.text().startswith("Keep"))
    assert not keep.isEnabled()
    running = desk.app.rendering.running
    desk.app.window.open_panel("Layers")
    desk.until(keep.isEnabled)
    assert desk.app.rendering.running is running
    assert not mix_of(desk)
    keep.click()
    desk.until(lambda: len(mix_of(desk)) == 4)


def test_a_picked_pixel_raises_what_is_said_of_it(desk):
    desk.choose(PaneChoice(Precision.INT8_SIM), PaneChoice(Precision.FP32))
    seen = []
    desk.app.window.layers_seen.connect(seen.append)
    desk.app.window.pane.pixel_picked.emit(30, 30)
    desk.until(lambda: seen[-1:] == [True] and desk.app.window.compare.divergence.has_lines)


def test_a_pixel_is_followed_through_the_layers(desk):
    found = []
    desk.app.compare.analyst.divergence_ready.connect(found.append)
    desk.choose(PaneChoice(Precision.INT8_SIM), PaneChoice(Precision.FP32))
    desk.app.window.pane.pixel_picked.emit(30, 30)
    desk.until(lambda: bool(found))
    assert [line.precision for line in found[0].lines] == ["int8-sim"]
    assert len(found[0].lines[0].relative_errors) == 3  # the head and two blocks


class TestAnotherLightField:
    """In a pane, beside the open one."""

    @pytest.fixture
    def other(self, write_light_field) -> str:
        """Nearer, on black, with rays as the camera makes them: nothing as in the open one."""
        scene = SceneSpec(
            "other", near=1.5, far=4.5, background_rgb=(0.0, 0.0, 0.0), width_px=32, height_px=32
        )
        return write_light_field("other", scene)

    def pane(self, checkpoint: str) -> PaneChoice:
        return PaneChoice(Precision.FP32, checkpoint=checkpoint)

    def test_it_is_rendered_in_its_own_scene(self, desk, other, monkeypatch):
        desk.choose(PaneChoice(Precision.FP32), self.pane(other))
        own, shown = desk.sets[-1]
        light_field = load_light_field(other)
        expected = render_image(
            NetworkSource(ReferenceEngine(light_field), light_field.scene), shown.camera
        )
        np.testing.assert_allclose(shown.colors, expected.numpy(), atol=1e-5)
        assert np.abs(own.colors - shown.colors).max() > 0.1
        assert (own.light_field, shown.light_field) == ("tiny", "other")
        painted: list[PaneLabel] = []
        monkeypatch.setattr(pane_label, "paint_label", lambda *args: painted.append(args[2]))
        # Labels that look as before are kept as they were painted.
        desk.app.window.compare.view.set_active(1)
        desk.app.window.pane.grab()
        labels = [(one.name, one.light_field) for one in painted]
        assert labels == [("fp32", "tiny"), ("fp32", "other")]
        desk.until(lambda: bool(desk.metrics) and bool(desk.metrics[-1].pairs))
        (pair,) = desk.metrics[-1].pairs
        assert (pair.image_name, pair.reference_name) == ("fp32 of tiny", "fp32 of other")
        assert pair.psnr_db == pytest.approx(compare(own.colors, shown.colors).psnr_db, abs=1e-6)
        # The open one is still the open one.
        assert desk.app.rendering.running.name == "tiny"
        assert desk.app.rendering.running.scene == SCENE

    def test_a_released_file_may_be_one(self, desk, tmp_path):
        network = R2LNetwork(NetworkConfig(depth=6, width=16, n_sample=4, n_frequencies=10))
        path = tmp_path / "released.tar"
        torch.save({"network_fn_state_dict": network.state_dict()}, path)
        desk.choose(PaneChoice(Precision.FP32), self.pane(str(path)))
        shown = desk.sets[-1][1]
        assert (shown.light_field, shown.why_blank) == ("released", "")
        # What was assumed about it is said.
        running = desk.app.rendering.running
        assert any(note.startswith("released: No scene was given") for note in running.notes)
        light_field = load_light_field(str(path))
        expected = render_image(
            NetworkSource(ReferenceEngine(light_field), light_field.scene), shown.camera
        )
        np.testing.assert_allclose(shown.colors, expected.numpy(), atol=1e-5)

    @pytest.mark.parametrize(
        ("kind", "why"), [("missing", "no such file"), ("nan", "NaN"), ("text", "it is a text")]
    )
    def test_one_that_cannot_be_opened_says_why_in_its_pane(self, desk, damaged, kind, why):
        bad = str(damaged(kind))
        desk.choose(PaneChoice(Precision.FP32), self.pane(bad), PaneChoice(Precision.BF16))
        a, b, c = desk.sets[-1]
        assert why in b.why_blank
        assert b.why_blank.startswith(kind)
        assert (a.why_blank, c.why_blank) == ("", "")
        desk.until(lambda: desk.app.has_failed)
        assert bad in desk.app.window.message.details()
        desk.until(lambda: bool(desk.metrics) and bool(desk.metrics[-1].pairs))
        assert [(pair.image, pair.reference) for pair in desk.metrics[-1].pairs] == [("A", "C")]
        assert desk.metrics[-1].missing == (("B", b.why_blank),)
        # It is said once, and the window goes on.
        desk.app.expect_error()
        desk.choose(PaneChoice(Precision.INT8), self.pane(bad), PaneChoice(Precision.BF16))
        assert not desk.app.has_failed

    def test_it_may_appear_later(self, desk, write_light_field, tmp_path):
        path = str(tmp_path / "late.safetensors")
        desk.choose(PaneChoice(Precision.FP32), self.pane(path))
        assert desk.sets[-1][1].why_blank
        desk.until(lambda: desk.app.has_failed)
        desk.metrics.clear()
        write_light_field("late")
        desk.app.window.message.retry_requested.emit()
        desk.until(lambda: not desk.sets[-1][1].why_blank)
        desk.app.expect_error()

    def test_a_precision_it_cannot_run_in_is_its_own_affair(self, desk, lab, other):
        lab.unavailable = {Precision.INT8}
        desk.choose(PaneChoice(Precision.FP32), PaneChoice(Precision.INT8, checkpoint=other))
        assert "no int8" in desk.sets[-1][1].why_blank
        desk.until(lambda: desk.app.has_failed)
        desk.app.expect_error()

    def test_it_is_let_go_with_its_pane_and_not_before(self, desk, lab, other):
        modes = desk.app.window.commands.compare.modes
        desk.choose(PaneChoice(Precision.FP32), self.pane(other))
        engine = lab.built[-1]
        modes[CompareMode.SINGLE].trigger()
        desk.until(lambda: len(desk.app.rendering.running.wish.panes) == 1)
        assert other in desk.app.rendering.running.sha256
        desk.choose(PaneChoice(Precision.FP32), self.pane(other))
        assert lab.built[-1] is engine, "a look at one picture is no reason to open it again"
        desk.choose(PaneChoice(Precision.FP32), PaneChoice(Precision.BF16))
        desk.until(lambda: other not in desk.app.rendering.running.sha256)
        gc.collect()
        left = {one.name for one in gc.get_objects() if type(one) is LightField}
        assert "tiny" in left
        assert "other" not in left
        assert engine() is None

    def test_files_used_last_are_offered(self, desk, other):
        desk.choose(PaneChoice(Precision.FP32), self.pane(other))
        running = desk.app.rendering.running
        desk.choose(PaneChoice(Precision.FP32), PaneChoice(Precision.BF16))
        menu = desk.app.window.compare.panes.findChildren(QMenu)[1]
        offered = {action.text(): action for action in menu.actions()}
        assert {"tiny (the open one)", "other", "demo"} <= set(offered)
        offered["other"].trigger()
        desk.until(lambda: other in desk.app.rendering.running.sha256)
        assert desk.app.rendering.running.wish == running.wish

    def test_a_file_dropped_on_a_pane_is_shown_there(self, desk, other, qtbot):
        desk.choose(PaneChoice(Precision.FP32), PaneChoice(Precision.BF16))
        pane = desk.app.window.pane
        at = QPointF(0.75 * pane.width(), pane.height() / 2)
        assert "Show other.safetensors in pane B" in pane.drop_words(other, at)
        pane.take_drop(other, at)
        desk.until(lambda: other in desk.app.rendering.running.sha256)
        assert desk.app.window.compare.panes.panes[1].checkpoint == other
        # Beside the pictures, or where only one is seen, it is opened in their place.
        with qtbot.waitSignal(pane.file_dropped):
            pane.take_drop(other, QPointF(1, 1))
        desk.until(lambda: desk.app.rendering.running.name == "other")

    def test_a_session_keeps_it_and_knows_it_again(
        self, desk, other, tmp_path, write_light_field, until
    ):
        desk.choose(PaneChoice(Precision.FP32), self.pane(other))
        file = tmp_path / "s.json"
        desk.app.sessions.save(str(file))
        saved = json.loads(file.read_text())
        assert saved["panes"][1]["checkpoint"] == other
        assert saved["panes"][1]["sha256"] == load_light_field(other).sha256
        assert saved["sha256"] == desk.app.rendering.running.light_field.sha256
        desk.choose(PaneChoice(Precision.FP32), PaneChoice(Precision.BF16))
        desk.app.sessions.open(str(file))
        until(lambda: desk.app.window.compare.panes.panes[1].checkpoint == other)
        assert not desk.app.has_failed
        desk.choose(PaneChoice(Precision.FP32), PaneChoice(Precision.BF16))
        write_light_field("other", replace(SCENE, far=7.0))
        desk.app.sessions.open(str(file))
        until(lambda: desk.app.has_failed)
        assert "another other.safetensors" in desk.app.window.message.details()
        desk.app.expect_error()

    def test_films_and_layers_are_of_the_open_one(self, desk, other):
        desk.choose(PaneChoice(Precision.INT8_SIM, checkpoint=other), PaneChoice(Precision.FP32))
        running = desk.app.rendering.running
        desk.app.window.compare.layers.layer_toggled.emit("body.0.body.0", True)
        assert not any(pane.layers_in_fp32 for pane in desk.app.store.state.panes)
        assert "of the open" in analysis.divergence_at(running, desk.sets[-1], 3, 4).why_not
        desk.app.window.commands.record.presets["turntable"].trigger()
        recording = desk.app.recording
        recording.open()
        modes = named(recording.panel, QComboBox, "What is recorded")
        modes.setCurrentIndex(modes.findData("wipe"))
        modes.activated.emit(modes.currentIndex())
        assert "another light field" in words(recording.panel)


def test_numbers_are_those_of_an_evaluation(desk, until, write_light_field):
    path = write_light_field("taught", replace(DEMO_SCENE, bound_radius=1.0))
    desk.app.rendering.want(shown(path, precision=Precision.FP32))
    until(lambda: desk.app.rendering.running.name == "taught")
    desk.choose(PaneChoice("truth"), PaneChoice(Precision.FP32))
    until(lambda: bool(desk.metrics) and bool(desk.metrics[-1].pairs))
    (pair,) = desk.metrics[-1].pairs
    light_field = load_light_field(path)
    reference = TeacherReference(light_field.scene, [desk.app.camera.camera()])
    evaluation = Evaluation(light_field, [Precision.FP32], light_field.ray_mode(), reference)
    list(evaluation.run())
    expected = evaluation.report()["precisions"]["fp32"]
    # The truth is what is measured against, in whichever pane it is.
    assert (pair.image, pair.reference) == ("B", "A")
    for name, found in (
        ("psnr_db_mean", pair.psnr_db),
        ("psnr_db_pooled", pair.psnr_db),
        ("ssim_mean", pair.ssim),
        ("flip_mean", pair.flip),
        ("max_abs_mean", pair.max_error_levels / 255),
        ("mean_abs_mean", pair.mean_error_levels / 255),
        ("off_by_1_255_percent_mean", pair.off_percent),
    ):
        assert found == pytest.approx(expected[name], abs=1e-6), name
    # So do the maps, which go the other way about: A against B.
    view = desk.app.window.compare.view.pane.compared.difference
    assert view.values().max() * 255 == pytest.approx(pair.max_error_levels, abs=1e-4)
    assert analysis.flip_map(HelperProcess(), *desk.sets[-1]).mean() == pytest.approx(
        pair.flip, abs=1e-6
    )


def test_a_wish_that_fails_leaves_the_panes_as_they_were(desk, lab):
    desk.choose(PaneChoice(Precision.FP32), PaneChoice(Precision.BF16))
    lab.unavailable = {Precision.INT8}
    desk.app.window.commands.precisions[Precision.INT8].trigger()
    desk.until(lambda: desk.app.has_failed)
    panes = desk.app.store.state.panes
    assert [pane.source for pane in panes] == ["fp32", "bf16"]
    desk.app.expect_error()
