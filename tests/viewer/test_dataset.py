"""Datasets in the window: opened beside the light field, gone through, compared with."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QComboBox, QLabel, QListView

from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.scene import PRESETS
from r2l_core.images.metrics import compare
from r2l_core.types import Precision
from tests.viewer.conftest import SCENE
from tests.viewer.find import button, named
from tests.viewer.small_datasets import VIEWS, write_views
from tests.viewer.states import shown
from viewer.app import App
from viewer.state.panes import SCENE_TRUTH, TRUTH, TRUTHS, CompareMode, PaneChoice
from viewer.widgets.controls.flat import FlatButton, FlatCombo
from viewer.widgets.picture.message_bar import MessageBar

pytestmark = pytest.mark.slow


TAUGHT = replace(PRESETS["demo"], width_px=64, height_px=64)
"""A scene that has a truth of its own."""


def split_box(app: App) -> FlatCombo:
    boxes = app.window.dataset.findChildren(FlatCombo)
    (found,) = (one for one in boxes if one.accessibleName() == "Split of the dataset")
    return found


def bar(app: App) -> MessageBar:
    return app.window.findChild(MessageBar)


def label(app: App, accessible_name: str) -> str:
    """Text of the visible label of that name, or nothing."""
    found = [
        one.text()
        for one in app.window.findChildren(QLabel)
        if one.accessibleName() == accessible_name and one.isVisible()
    ]
    return found[0] if found else ""


def views(app: App) -> QListView:
    (found,) = app.window.dataset.findChildren(
        QListView, "", Qt.FindChildOption.FindDirectChildrenOnly
    )
    return found


def selected(app: App) -> list[int]:
    return [index.row() for index in views(app).selectedIndexes()]


def words(app: App) -> list[str]:
    return [one.text() for one in app.window.dataset.findChildren(QLabel) if one.isVisible()]


def action(app: App, text: str) -> QAction:
    (found,) = (a for a in app.window.actions() if a.text().replace("&", "") == text)
    return found


class TestOpening:
    def test_it_is_offered_beside_the_light_field(self, app, dataset):
        assert (dataset.split, views(app).model().rowCount()) == ("test", VIEWS)
        assert "toys" in words(app)
        assert "blender, 32×24." in words(app)
        assert "4 poses, not at a pose" in words(app)
        assert app.rendering.running.scene.name == "tiny", "a file that has a scene keeps it"
        assert not app.has_failed

    def test_there_are_poses_to_go_to_only_then(self, app, open_dataset, folder):
        assert not action(app, "Next pose").isEnabled()
        assert action(app, "Next pose").statusTip() == "No dataset is open"
        open_dataset(folder)
        assert action(app, "Next pose").isEnabled()

    def test_a_dropped_folder_is_a_dataset(self, app, until, folder):
        app.window.pane.file_dropped.emit(str(folder))
        until(lambda: app.dataset.dataset is not None)
        assert not bar(app).isVisible()

    def test_what_is_none_is_said_and_can_be_tried_again(self, app, until, tmp_path):
        (tmp_path / "later").mkdir()
        app.window.dataset_requested.emit(str(tmp_path / "later"))
        until(lambda: bar(app).isVisible())
        assert "later cannot be opened" in bar(app).details()
        assert label(app, "Busy") == ""
        write_views(tmp_path / "later")
        bar(app).retry_requested.emit()
        until(lambda: app.dataset.dataset is not None)
        assert not bar(app).isVisible()

    def test_one_without_a_test_split_opens_another(self, app, open_dataset, tmp_path):
        assert open_dataset(write_views(tmp_path / "one", ("train",))).split == "train"

    def test_a_bad_test_split_is_not_passed_over(self, app, until, folder):
        (folder / "transforms_test.json").write_text("{", encoding="utf-8")
        app.window.dataset_requested.emit(str(folder))
        until(lambda: bar(app).isVisible())
        assert "transforms_test.json" in bar(app).details()

    def test_the_last_one_asked_for_counts(self, app, until, folder, tmp_path):
        app.window.dataset_requested.emit(str(folder))
        app.window.dataset_requested.emit(str(write_views(tmp_path / "other")))
        until(lambda: not app.dataset.opening)
        assert app.dataset.dataset.name == "other"

    @pytest.mark.parametrize("there", [True, False])
    def test_a_comparison_with_its_photographs_can_be_asked_for_at_the_start(
        self, make_app, write_light_field, folder, until, there
    ):
        state = shown(write_light_field(), precision=Precision.FP32)
        panes = (PaneChoice(TRUTH), *state.panes)
        state = replace(state, panes=panes, mode=CompareMode.SIDE)
        app = make_app(state, str(folder if there else folder / "missing"))
        app.start()
        assert not app.render_thread.mailbox.pending(), "without it there is no truth to ask for"
        if there:
            until(lambda: len(app.window.pane.frames) == 2)
            assert not app.has_failed
            assert app.window.pane.frames[0].engine.engine == TRUTH
        else:
            until(lambda: "no ground truth" in bar(app).details())
            app.expect_error()

    def test_it_can_be_given_at_the_start(self, make_app, write_light_field, folder, until):
        theirs = make_app(shown(write_light_field(), precision=Precision.FP32), str(folder))
        theirs.start()
        until(lambda: theirs.report.has_picture and theirs.dataset.dataset is not None)
        assert "toys" in words(theirs)

    def test_another_split_moves_no_camera(self, app, until, dataset):
        before = app.camera.camera()
        box = split_box(app)
        box.setCurrentText("train")
        box.activated.emit(box.currentIndex())
        until(lambda: app.dataset.dataset is not dataset)
        assert (app.dataset.dataset.split, box.currentText()) == ("train", "train")
        assert app.dataset.dataset.scene is dataset.scene
        assert app.camera.camera().same_view(before)

    def test_a_split_that_cannot_be_opened_leaves_the_old_one(self, app, until, dataset, folder):
        (folder / "transforms_train.json").write_text("{ not JSON")
        box = split_box(app)
        box.setCurrentText("train")
        box.activated.emit(box.currentIndex())
        until(lambda: bar(app).isVisible())
        assert (app.dataset.dataset, box.currentText()) == (dataset, "test")


class TestThumbnails:
    def test_they_are_the_pictures(self, app, until, dataset):
        model = views(app).model()
        role = Qt.ItemDataRole.DecorationRole
        until(lambda: all(model.index(at).data(role) is not None for at in range(VIEWS)))
        colors = [model.index(at).data(role).toImage().pixelColor(9, 9) for at in range(VIEWS)]
        assert [color.red() for color in colors] == [20, 60, 100, 140]
        assert model.index(2).data(Qt.ItemDataRole.ToolTipRole) == "3: test/r_2"

    def test_one_that_cannot_be_read_says_why(self, app, until, open_dataset, folder):
        path = folder / "test" / "r_1.png"
        path.write_bytes(path.read_bytes()[:-30])
        open_dataset(folder)
        tip = lambda: views(app).model().index(1).data(Qt.ItemDataRole.ToolTipRole)  # noqa: E731
        until(lambda: "damaged" in tip())
        assert not bar(app).isVisible()
        assert not views(app).grab().isNull()

    def test_only_those_in_sight_are_read(self, app, dataset):
        asked = []
        app.window.dataset.thumbnail_wanted.connect(lambda at, _px: asked.append(at))
        names = [str(at) for at in range(900)]
        app.window.dataset.show_dataset("many", "", ("test",), "test", names)
        views(app).grab()
        assert 0 < len(asked) < 100


def press(app: App, text: str) -> None:
    buttons = app.window.dataset.findChildren(FlatButton)
    next(one for one in buttons if one.text() == text and not one.isHidden()).click()


class TestSize:
    def test_a_click_on_a_thumbnail_keeps_the_render_size_and_offers_the_photograph_s(
        self, app, until, dataset
    ):
        app.store.change(render_size_px=(64, 48))
        views(app).clicked.emit(views(app).model().index(2))
        until(lambda: complete(app))
        camera = app.camera.camera()
        assert (camera.width_px, camera.height_px) == (64, 48)
        assert selected(app) == [2]
        press(app, "Render 32×24 as the photograph")
        assert app.camera.camera() is dataset.cameras[2]
        until(lambda: complete(app))
        offers = [one.text() for one in app.window.dataset.findChildren(FlatButton)]
        assert not any(
            one.isVisible() and one.text().startswith("Render")
            for one in app.window.dataset.findChildren(FlatButton)
        ), offers

    def test_nothing_moves_from_under_the_pointer(self, app, until, dataset):
        app.store.change(render_size_px=(64, 48))
        app.window.show_dataset_open()
        app.window.grab()
        before = views(app).mapTo(app.window, views(app).rect().topLeft())
        app.dataset.go_to(2)
        until(lambda: complete(app))
        app.window.grab()
        assert any(
            one.isVisible() and one.text().startswith("Render")
            for one in app.window.dataset.findChildren(FlatButton)
        )
        assert views(app).mapTo(app.window, views(app).rect().topLeft()) == before

    def test_another_shape_is_taken_with_about_as_many_pixels(self, app, dataset):
        app.store.change(render_size_px=(60, 60))
        app.dataset.go_to(1)
        camera = app.camera.camera()
        assert (camera.width_px, camera.height_px) == (69, 52)


def test_a_dataset_that_does_not_belong_to_the_light_field_is_noted(app, until, dataset):
    def note() -> str:
        return label(app, "Does not fit")

    views(app).clicked.emit(views(app).model().index(0))
    assert note() == ""
    app.rendering.set_scene(replace(SCENE, near=7.0, far=9.0))
    until(lambda: app.rendering.running.scene.far == 9.0)
    until(lambda: bool(note()))
    assert "It may not belong to this light field" in note()
    assert "its near and far are 2 and 6, not 7 and 9" in note()
    for near, far, fits in ((2.7, 5.4, True), (1.0, 6.0, False), (3.9, 4.1, False)):
        app.rendering.set_scene(replace(SCENE, near=near, far=far))
        until(lambda wanted=far: app.rendering.running.scene.far == wanted)
        assert (note() == "") == fits, "depths that the photographs cover may be narrower"


def test_a_few_cameras_outside_the_trained_views_are_no_misfit(app, until, dataset):
    # One of the four stands at 22.1 degrees, the others above this.
    reach = replace(SCENE, origin_radius=4.0, bound_radius=1.0, min_elevation_deg=22.3)
    app.rendering.set_scene(reach)
    until(lambda: app.rendering.running.scene.min_elevation_deg == 22.3)
    assert label(app, "Does not fit") == ""
    app.rendering.set_scene(replace(reach, min_elevation_deg=60.0))
    until(lambda: app.rendering.running.scene.min_elevation_deg == 60.0)
    assert "4 of its 4 cameras are outside the trained views" in label(app, "Does not fit")


class TestPoses:
    def test_a_click_makes_the_camera_exactly_that_pose(self, app, until, dataset):
        views(app).clicked.emit(views(app).model().index(2))
        until(lambda: complete(app))
        assert app.window.pane.frame.camera is dataset.cameras[2]
        assert selected(app) == [2]
        assert "3 of 4 · test/r_2" in words(app)

    def test_a_gesture_goes_on_from_there(self, app, until, dataset):
        app.dataset.go_to(1)
        app.gestures.orbit_dragged(0.001, 0.0)
        camera = app.camera.camera()
        assert not camera.same_view(dataset.cameras[1])
        pose = dataset.cameras[1].T_world_camera
        np.testing.assert_allclose(camera.T_world_camera, pose, atol=1e-4)
        assert selected(app) == []
        app.camera.undo()
        assert app.camera.camera() is dataset.cameras[1]
        assert selected(app) == [1]

    def test_keys_step_round_and_round(self, app, qtbot, dataset):
        app.window.activateWindow()
        seen = []
        app.dataset.go_to(2)
        for key in (Qt.Key.Key_Period, Qt.Key.Key_Period, Qt.Key.Key_Comma):
            qtbot.keyClick(app.window.pane, key)
            seen += selected(app)
        assert seen == [3, 0, 3]

    @pytest.mark.parametrize("text", ["Nearest pose", "Next pose"])
    def test_the_nearest_pose(self, app, dataset, text):
        pose = dataset.cameras[3]
        app.camera.set_orbit(Orbit.nearest_to(pose, (0, 0, 0), 4.0).orbited(7.0, 3.0))
        action(app, text).trigger()
        assert app.camera.camera() is pose

    def test_steps_go_on_from_where_one_was(self, app, dataset):
        app.dataset.go_to(1)
        app.gestures.orbit_dragged(500.0, 10.0)
        app.dataset.step(1)
        assert selected(app) == [2]

    def test_smooth_moves_end_exactly_there(self, app, until, dataset):
        app.camera.mover.set_smooth(True)
        app.dataset.go_to(3)
        assert app.camera.pose is None
        until(lambda: app.camera.pose is dataset.cameras[3])
        assert selected(app) == [3]

    def test_another_render_size_stretches_the_pose(self, app, dataset):
        app.dataset.go_to(0)
        app.store.change(render_size_px=(64, 48))
        camera = app.camera.camera()
        assert (camera.width_px, camera.height_px) == (64, 48)
        np.testing.assert_array_equal(camera.T_world_camera, dataset.cameras[0].T_world_camera)
        assert camera.fov_y_deg == pytest.approx(dataset.cameras[0].fov_y_deg)


@pytest.fixture
def with_truth(app, until, dataset) -> Callable[[Callable[[], bool]], None]:
    """Beside fp32 stands the truth, at the first pose."""
    app.dataset.go_to(0)
    app.window.commands.compare.modes[CompareMode.SIDE].trigger()
    app.window.compare.panes.show_panes([PaneChoice(Precision.FP32), PaneChoice(TRUTH)])
    app.window.compare.panes.panes_changed.emit(app.window.compare.panes.panes)
    until(lambda: len(app.window.pane.frames) == 2 and complete(app))


def complete(app: App) -> bool:
    frames = app.window.pane.frames
    return frames[0].complete and frames[0].camera.same_view(app.camera.camera())


@pytest.mark.usefixtures("with_truth")
class TestTruth:
    def test_at_a_pose_it_is_the_picture(self, app, until, dataset):
        shown = app.window.pane.frames[1]
        assert (shown.engine.engine, shown.why_blank) == (TRUTH, "")
        assert "toys, test" in shown.engine.kernel
        np.testing.assert_array_equal(shown.colors, dataset.image(0))
        until(lambda: "dB" in all_words(app) or "PSNR" in all_words(app))

    def test_its_mask_leaves_pixels_out(self, app, until, dataset, open_dataset, tmp_path):
        folder = write_views(tmp_path / "masked")
        mask = np.zeros((24, 32), np.uint8)
        mask[:, :8] = 255
        Image.fromarray(mask).save(folder / "mask.png")
        for poses in folder.glob("*.json"):
            values = json.loads(poses.read_text())
            for frame in values["frames"]:
                frame["mask_path"] = "mask.png"
            poses.write_text(json.dumps(values))
        open_dataset(folder)
        app.dataset.go_to(1)
        until(lambda: complete(app) and "masked" in app.window.pane.frames[1].engine.kernel)
        until(lambda: app.window.pane.frames[1].counted is not None)
        frame, truth = app.window.pane.frames
        expected = compare(frame.colors, truth.colors, mask > 0).psnr_db
        until(lambda: f"{expected:.2f}" in all_words(app))
        assert "only the 25.0 % of the pixels that count" in all_words(app)

    def test_elsewhere_it_says_that_there_is_none(self, app, until):
        app.gestures.orbit_dragged(40.0, 0.0)
        until(lambda: complete(app))
        pane = app.window.pane
        assert pane.frames[1].why_blank == "not at a pose of the dataset"
        assert pane.compared.difference.pair is None
        until(lambda: "not at a pose" in all_words(app))
        app.window.compare.view.set_active(1)
        assert pane.copied_image().isNull()
        for mode in (CompareMode.WIPE, CompareMode.FLIP, CompareMode.DIFFERENCE):
            app.window.compare.view.set_mode(mode)
            assert not pane.grab().isNull()
        app.dataset.go_to(2)
        until(lambda: complete(app) and not pane.frames[1].why_blank)
        assert pane.compared.difference.pair is not None

    def test_at_another_size_it_is_averaged_over_the_area_of_each_pixel(self, app, until, dataset):
        app.store.change(render_size_px=(16, 12))
        until(lambda: complete(app) and app.window.pane.frames[1].image.shape == (12, 16, 3))
        shown = app.window.pane.frames[1]
        assert shown.why_blank == ""
        areas = dataset.image(0).reshape(12, 2, 16, 2, 3).mean(axis=(1, 3))
        np.testing.assert_allclose(shown.colors, areas, atol=1e-6)

    def test_the_scenes_own_truth_stands_beside_the_photographs(
        self, app, until, write_light_field
    ):
        assert truths_offered(app) == [TRUTH], "this scene has none of its own"
        app.window.open_requested.emit(write_light_field("taught", TAUGHT))
        until(lambda: app.rendering.running.name == "taught" and complete(app))
        assert truths_offered(app) == [TRUTH, SCENE_TRUTH]
        button(app.window.compare.panes, "Add a pane").click()
        choose_source(app, "C", SCENE_TRUTH)
        app.dataset.go_to(0)
        until(lambda: len(app.window.pane.frames) == 3 and complete(app))
        _, photograph, scene = app.window.pane.frames
        assert (photograph.engine.engine, scene.engine.engine) == (TRUTH, SCENE_TRUTH)
        assert "the scene's teacher" in scene.engine.kernel
        until(lambda: "scene truth vs truth" in app.window.compare.metrics.as_csv())
        app.gestures.orbit_dragged(40.0, 0.0)
        until(lambda: complete(app) and bool(app.window.pane.frames[1].why_blank))
        assert not app.window.pane.frames[2].why_blank
        press(app, "Close dataset")
        until(lambda: app.rendering.running.wish.dataset is None and complete(app))
        assert truths_offered(app) == [TRUTH]
        assert [str(one.source) for one in app.store.state.panes] == ["fp32", TRUTH, TRUTH]

    def test_closing_the_dataset_leaves_the_truth_of_the_scene_if_it_has_one(self, app, until):
        press(app, "Close dataset")
        until(lambda: app.store.state.dataset is None)
        assert app.dataset.dataset is None
        assert not action(app, "Next pose").isEnabled()
        assert [one for one in words(app) if "toys" in one] == []
        assert app.window.pane.frames
        assert [str(one.source) for one in app.store.state.panes] == ["fp32", "fp32"]

    def test_a_scene_that_names_an_unknown_teacher_has_no_truth(
        self, app, until, write_light_field
    ):
        path = write_light_field("untaught", replace(TAUGHT, teacher="nobody"))
        app.window.open_requested.emit(path)
        until(lambda: app.rendering.running.name == "untaught" and complete(app))
        press(app, "Close dataset")
        assert [str(one.source) for one in app.store.state.panes] == ["fp32", "fp32"]
        until(lambda: app.rendering.running.wish.dataset is None and complete(app))
        assert not app.has_failed

    def test_another_dataset_takes_its_place(self, app, until, open_dataset, tmp_path):
        open_dataset(write_views(tmp_path / "other", ("val",)))
        app.dataset.go_to(1)
        until(lambda: complete(app) and "other, val" in app.window.pane.frames[1].engine.kernel)
        assert not app.window.pane.frames[1].why_blank


def source_of(app: App, letter: str) -> QComboBox:
    return named(app.window, QComboBox, f"What pane {letter} shows")


def truths_offered(app: App) -> list[str]:
    """What can be chosen in pane A beside precisions."""
    box = source_of(app, "A")
    model = box.model()
    return [
        box.itemText(at)
        for at in range(box.count())
        if box.itemData(at) in TRUTHS
        and model.flags(model.index(at, 0)) & Qt.ItemFlag.ItemIsEnabled
    ]


def choose_source(app: App, letter: str, source: str) -> None:
    box = source_of(app, letter)
    box.setCurrentIndex(box.findData(source))
    box.activated.emit(box.currentIndex())


def all_words(app: App) -> str:
    metrics = app.window.compare.metrics
    return " ".join(
        [metrics.accessibleDescription(), *(o.text() for o in metrics.findChildren(QLabel))]
    )


@pytest.fixture
def released(write_released) -> str:
    return write_released("lego")


class TestScenes:
    def test_a_released_file_takes_the_datasets_scene(self, app, until, dataset, released):
        app.window.open_requested.emit(released)
        until(lambda: app.rendering.running.name == "lego")
        running = app.rendering.running
        assert running.scene == dataset.scene
        assert "dataset toys" in running.notes[0]
        assert label(app, "What was assumed").startswith("Note (+1): The file names no scene")
        assert "this was assumed" in running.notes[1]

    def test_also_where_the_dataset_comes_later(self, app, until, released, open_dataset, folder):
        app.window.open_requested.emit(released)
        until(lambda: app.rendering.running.name == "lego")
        assert "blender:lego, by the file's name" in app.rendering.running.notes[0]
        dataset = open_dataset(folder)
        assert app.rendering.running.scene == dataset.scene
        assert not any("blender:lego" in note for note in app.rendering.running.notes)

    def test_a_preset_comes_before_the_dataset(self, app, until, released, open_dataset, folder):
        app.window.open_requested.emit(released)
        app.window.commands.scenes.presets["blender:lego"].trigger()
        until(lambda: app.rendering.running.scene == PRESETS["blender:lego"])
        open_dataset(folder)
        assert app.rendering.running.scene == PRESETS["blender:lego"]
        assert not any("dataset" in note for note in app.rendering.running.notes)

    def test_a_preset_can_be_chosen_and_left(self, app, until):
        scenes = app.window.commands.scenes.presets
        assert [name for name, one in scenes.items() if one.isChecked()] == [None]
        scenes["llff:fern"].trigger()
        until(lambda: app.rendering.running.scene == PRESETS["llff:fern"])
        assert [name for name, one in scenes.items() if one.isChecked()] == ["llff:fern"]
        assert label(app, "What was assumed") == ""
        scenes[None].trigger()
        until(lambda: app.rendering.running.scene.name == "tiny")

    def test_every_note_is_in_the_tooltip(self, app):
        app.window.scene.show_notes(("One was assumed.", "Two was, too."))
        assert label(app, "What was assumed") == "Note (+1): One was assumed."
        (shown,) = (
            one
            for one in app.window.findChildren(QLabel)
            if one.accessibleName() == "What was assumed"
        )
        assert shown.toolTip() == "One was assumed.\nTwo was, too."


def test_closing_ends_an_opening(app, folder):
    app.window.dataset_requested.emit(str(folder))
    app.close()
    assert app.dataset.dataset is None
