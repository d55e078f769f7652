"""What a file cannot say of its scene: guessed, asked for, remembered."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from PyQt6.QtWidgets import QLineEdit

from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.scene import PRESETS, SceneSpec
from r2l_core.types import Precision
from tests.viewer.states import shown
from viewer.app import App
from viewer.state.scene_settings import SceneSettings, edited, guessed_preset, problems, settings_of
from viewer.widgets.controls.flat import FlatCombo
from viewer.widgets.controls.value_spin import ValueSpin
from viewer.widgets.panels.scene_dialog import SceneDialog

pytestmark = pytest.mark.slow

LEGO = PRESETS["blender:lego"]


@pytest.mark.parametrize(
    ("name", "preset"),
    [
        ("lego.tar", "blender:lego"),
        ("/some/where/R2L_Lego_W256D88.tar", "blender:lego"),
        ("nerfv3.2_fern-ckpt.tar", "llff:fern"),
        ("barbershop.tar", "donerf:barbershop"),
        ("legolas.tar", None),
        ("lego_and_ship.tar", None),
        ("ckpt.tar", None),
        ("demo.safetensors", None),
        ("", None),
    ],
)
def test_presets_are_guessed_from_names(name, preset):
    assert guessed_preset(name) == preset


class TestEdits:
    def change(self, scene: SceneSpec, **changed) -> SceneSpec:
        shown = settings_of(scene)
        after = replace(shown, **changed)
        assert not problems(scene, shown, after)
        return edited(scene, shown, after)

    @pytest.mark.parametrize("preset", PRESETS)
    def test_every_preset_is_shown_and_left_as_it_is(self, preset):
        shown = settings_of(PRESETS[preset])
        assert shown.preset == preset
        assert edited(PRESETS[preset], shown, shown) == PRESETS[preset]

    def test_nothing_else_changes(self):
        scene = PRESETS["donerf:barbershop"]
        made = self.change(scene, far=9.0)
        assert made == replace(scene, far=9.0), "and near keeps all of its digits"
        assert self.change(LEGO, background="#ff0080").background_rgb == (1.0, 0.0, 128 / 255)
        made = self.change(LEGO, fov_x_deg=50.0, width_px=800)
        assert made == replace(LEGO, camera_angle_x_rad=math.radians(50.0), width_px=800)

    def test_an_object_reaches_from_near_to_far(self):
        assert self.change(LEGO, near=1.0, far=7.0).bound_radius == 3.0
        assert self.change(PRESETS["llff:fern"], far=2.0).bound_radius == 1e4

    def test_the_sphere_is_where_the_camera_stands(self):
        made = self.change(replace(LEGO, origin_radius=None), sphere_radius=4.5)
        assert (made.origin_radius, made.view_radius) == (4.5, 4.5)
        assert self.change(LEGO, sphere_radius=0.0).origin_radius is None

    def test_another_type_takes_what_surrounds_it(self):
        made = self.change(LEGO, kind="forward")
        fern = PRESETS["llff:fern"]
        assert made.nerf_ndc
        assert (made.home(), made.bound_radius) == (fern.home(), fern.bound_radius)
        assert (made.near, made.far, made.width_px, made.name) == (2.0, 6.0, 400, "lego")
        assert settings_of(made).kind == "forward"
        back = self.change(made, kind="object")
        assert settings_of(back) == replace(settings_of(LEGO), preset="", sphere_radius=0.0)

    @pytest.mark.parametrize(
        ("change", "name", "why"),
        [
            ({"far": 2.0}, "far", "more than near, 2"),
            ({"far": 0.0}, "far", "more than near, 2"),
            ({"background": "white"}, "background", "colour such as"),
            ({"background": "#12345g"}, "background", "colour such as"),
            ({"sphere_radius": 1.5}, "sphere_radius", "half of far − near, 2"),
            ({"far": 60.0}, "sphere_radius", "half of far − near, 29"),
        ],
    )
    def test_what_cannot_be_is_said_beside_it(self, change, name, why):
        shown = settings_of(LEGO)
        found = problems(LEGO, shown, replace(shown, **change))
        assert list(found) == [name]
        assert why in found[name]


@pytest.fixture
def dialog(qtbot) -> SceneDialog:
    dialog = SceneDialog()
    qtbot.addWidget(dialog)
    dialog.offer_presets(list(PRESETS))
    dialog.show_settings(settings_of(LEGO))
    return dialog


def spin(dialog: SceneDialog, name: str) -> ValueSpin:
    (found,) = (s for s in dialog.findChildren(ValueSpin) if s.accessibleName() == name)
    return found


def combo(dialog: SceneDialog, name: str) -> FlatCombo:
    (found,) = (c for c in dialog.findChildren(FlatCombo) if c.accessibleName() == name)
    return found


class TestDialog:
    def test_it_shows_a_preset(self, dialog):
        assert combo(dialog, "Preset").currentText() == "blender:lego"
        assert spin(dialog, "Focal length").value() == pytest.approx(555.6, abs=0.1)
        assert spin(dialog, "Trained sphere").value() == 4.031

    def test_each_edit_is_told_and_makes_settings_of_ones_own(self, dialog):
        told: list[SceneSettings] = []
        dialog.edited.connect(told.append)
        spin(dialog, "Near").setValue(1.5)
        spin(dialog, "Focal length").setValue(200.0)
        dialog.findChild(QLineEdit, "background").textEdited.emit("#000000")
        lego = replace(settings_of(LEGO), preset="")
        assert told[0] == replace(lego, near=1.5)
        assert told[1].fov_x_deg == pytest.approx(90.0)
        assert told[2].background == "#000000"
        assert combo(dialog, "Preset").currentText() == "Own settings"

    def test_showing_reports_nothing(self, dialog):
        dialog.edited.connect(lambda _settings: pytest.fail("nobody edited anything"))
        dialog.preset_chosen.connect(lambda _name: pytest.fail("nobody chose anything"))
        dialog.show_settings(settings_of(PRESETS["llff:room"]))
        dialog.show_settings(replace(settings_of(LEGO), sphere_radius=0.0))
        assert spin(dialog, "Trained sphere").text() == "not known"

    def test_reasons_stand_beside_what_they_are_about(self, dialog):
        dialog.show_problems({"far": "must be more than near, 2"})
        assert dialog.reasons() == {"far": "must be more than near, 2"}
        dialog.show_problems({})
        assert dialog.reasons() == {}


@pytest.fixture
def open_app(make_app, until):
    def opened(checkpoint: str, asks: bool = True) -> App:
        app = make_app(shown(checkpoint, precision=Precision.FP32), asks=asks)
        app.start()
        until(lambda: app.report.has_picture)
        return app

    return opened


class TestAsking:
    def test_a_file_without_a_scene_is_asked_about(self, open_app, write_released):
        app = open_app(write_released("lego"))
        assert app.scenes.dialog.isVisible()
        assert not app.scenes.dialog.isModal()
        assert app.rendering.running.scene == LEGO, "until somebody says otherwise"

    def test_others_are_not(self, open_app, write_light_field):
        assert not open_app(write_light_field()).scenes.dialog.isVisible()

    def test_nobody_is_asked_in_scripted_runs(self, open_app, write_released):
        assert not open_app(write_released("lego"), asks=False).scenes.dialog.isVisible()

    def test_the_picture_follows_and_the_camera_stays(self, open_app, until, write_released):
        app = open_app(write_released("lego"))
        app.camera.set_orbit(Orbit(10.0, 20.0, 3.5))
        for field, value in (("Near", 1.0), ("Far", 7.0)):
            spin(app.scenes.dialog, field).setValue(value)
        until(lambda: app.rendering.running.scene.far == 7.0)
        assert app.rendering.running.scene.near == 1.0
        assert app.camera.orbit == Orbit(10.0, 20.0, 3.5)
        assert app.rendering.running.wish.light_field.scene == app.rendering.running.scene

    def test_a_preset_brings_its_first_view(self, open_app, until, write_released):
        app = open_app(write_released("lego"))
        box = combo(app.scenes.dialog, "Preset")
        box.activated.emit(box.findData("llff:fern"))
        until(lambda: app.rendering.running.scene == PRESETS["llff:fern"])
        assert app.camera.orbit == PRESETS["llff:fern"].home()
        assert app.window.commands.scenes.presets["llff:fern"].isChecked()

    def test_what_cannot_be_is_not_tried(self, open_app, qtbot, write_released):
        app = open_app(write_released("lego"))
        spin(app.scenes.dialog, "Far").setValue(1.0)
        assert "more than near" in app.scenes.dialog.reasons()["far"]
        qtbot.wait(300)
        assert app.rendering.running.scene == LEGO
        assert not app.has_failed

    def test_the_answer_is_remembered_for_that_file(self, open_app, until, write_released):
        path, other = write_released("lego"), write_released("ship12")
        app = open_app(path)
        spin(app.scenes.dialog, "Far").setValue(7.0)
        until(lambda: app.rendering.running.scene.far == 7.0)
        app.scenes.dialog.close()
        assert not app.scenes.dialog.isVisible()
        app.rendering.open(other)
        until(lambda: app.rendering.running.name == "ship12")
        assert app.scenes.dialog.isVisible(), "that is another file"
        assert app.rendering.running.scene.far == 6.0
        app.scenes.dialog.close()
        app.rendering.open(path)
        until(lambda: app.rendering.running.scene.far == 7.0)
        assert not app.scenes.dialog.isVisible()
        app.window.commands.scene_settings.trigger()
        assert app.scenes.dialog.isVisible()
        app.scenes.dialog.reset_requested.emit()
        until(lambda: app.rendering.running.scene == LEGO)

    def test_what_was_remembered_may_be_anything(self, make_app, until, write_released):
        path = write_released("lego")
        first = make_app(shown(path, precision=Precision.FP32), asks=True)
        first.start()
        until(lambda: first.report.has_picture)
        sha256 = first.rendering.running.light_field.sha256
        guessed = replace(first.rendering.running, scene_from="default")
        other = SimpleNamespace(sha256="another file", says_scene=True)
        for kept in ("[", "[]", json.dumps({sha256: [1]}), json.dumps({sha256: "no:preset"})):
            first.preferences.store("scenes", kept)
            first.scenes.running_changed(replace(guessed, scene_from="file", light_field=other))
            first.scenes.running_changed(guessed)
        assert not first.has_failed

    def test_native_files_may_be_without_a_scene(self, open_app, write_light_field):
        path = Path(write_light_field("bare"))
        data = path.read_bytes()
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        del header["__metadata__"]["scene"]
        text = json.dumps(header).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
        app = open_app(str(path))
        assert app.scenes.dialog.isVisible()
        assert "No scene was given" in app.rendering.running.notes[0]

    def test_assumptions_come_from_the_command_line(self, make_app, until, write_released):
        path = write_released("lego")
        app = make_app(shown(path, precision=Precision.FP32, assumed=("res_scale=0.5",)))
        app.start()
        until(lambda: app.report.has_picture)
        assert app.rendering.running.light_field.network.res_scale == 0.5
        app.rendering.want(shown(path, precision=Precision.FP32, assumed=("res_scale=big",)))
        until(lambda: app.has_failed)
        assert "res_scale=big" in app.window.message.details()
        app.expect_error()
