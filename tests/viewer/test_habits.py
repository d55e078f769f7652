"""What a person likes is kept; axes of the scene to look along."""

from __future__ import annotations

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QCheckBox

from r2l_core.geometry.orbit import Orbit
from tests.viewer.find import button, named
from tests.viewer.states import shown
from viewer.camera.motion import Flight
from viewer.state.preferences import Preferences
from viewer.widgets.controls.flat import FlatCombo
from viewer.widgets.controls.value_spin import ValueSpin
from viewer.widgets.panels.orientation_gizmo import OrientationGizmo


def test_flights_are_as_fast_as_wished():
    orbit = Orbit(30.0, 20.0, 4.0)
    usual = Flight(1, 0, 0).moved(orbit, 1.0).pivot
    fast = Flight(1, 0, 0, speed=3.0).moved(orbit, 1.0).pivot
    assert fast == pytest.approx([3 * one for one in usual])


class TestPreferences:
    def box(self, app, text: str) -> QCheckBox:
        boxes = app.habits.dialog.findChildren(QCheckBox)
        return next(one for one in boxes if one.text().startswith(text))

    def test_toggles_are_those_of_the_menus(self, app):
        app.window.commands.preferences.trigger()
        assert app.habits.dialog.isVisible()
        self.box(app, "Inertia").setChecked(True)
        assert app.window.commands.inertia.isChecked()
        app.window.commands.smooth.setChecked(True)
        assert self.box(app, "Smooth moves").isChecked()

    def test_what_was_chosen_is_there_at_the_next_start(self, app, make_app):
        self.box(app, "Smooth moves").setChecked(True)
        named(app.habits.dialog, ValueSpin, "Fly speed").setValue(2.5)
        named(app.habits.dialog, ValueSpin, "Target rate").setValue(45)
        assert app.store.state.target_fps == 45
        app.close()
        again = make_app(shown("demo"))
        assert again.window.commands.smooth.isChecked()
        assert not again.window.commands.inertia.isChecked()
        assert named(again.habits.dialog, ValueSpin, "Fly speed").value() == 2.5
        assert again.store.state.target_fps == 45

    def test_the_theme_is_that_of_the_menu(self, app):
        app.window.commands.preferences.trigger()
        themes = named(app.habits.dialog, FlatCombo, "Theme")
        themes.activated.emit(themes.findText("Light"))
        assert app.window.commands.themes["Light"].isChecked()
        themes.activated.emit(themes.findText("System"))

    def test_the_first_steps_can_be_seen_again(self, qtbot, app):
        hint = next(one for one in app.window.pane.children() if "First steps" in _name(one))
        hint.hide()
        qtbot.mouseClick(
            button(app.habits.dialog, "Show the first steps"), Qt.MouseButton.LeftButton
        )
        assert not hint.isHidden()


@pytest.mark.parametrize("stored", ["", "fast", "nan", "1e9", "-2"])
def test_numbers_that_cannot_be_are_the_usual_ones(stored):
    class Settings(dict):
        def value(self, key):
            return self.get(key)

        def setValue(self, key, value):
            self[key] = value

        def sync(self):
            pass

    assert Preferences(Settings(fly_speed=stored)).number("fly_speed", 1.0, 0.05, 20.0) == 1.0


class TestAxes:
    @pytest.fixture
    def gizmo(self, qtbot) -> OrientationGizmo:
        gizmo = OrientationGizmo()
        qtbot.addWidget(gizmo)
        gizmo.resize(gizmo.sizeHint())
        return gizmo

    def test_ends_lie_where_the_camera_sees_them(self, gizmo):
        gizmo.show_orbit(Orbit(0.0, 0.0, 4.0))  # from +X: Y is at the right, Z above
        middle = gizmo.rect().center()
        assert gizmo.place_of("Y").x() > middle.x() + 20
        assert gizmo.place_of("Z").y() < middle.y() - 20
        assert abs(gizmo.place_of("X").x() - middle.x()) < 2

    @pytest.mark.parametrize(
        ("name", "angles"), [("Y", (90.0, 0.0)), ("−X", (180.0, 0.0)), ("Z", (30.0, 90.0))]
    )
    def test_a_click_looks_from_that_end(self, qtbot, gizmo, name, angles):
        before = Orbit(30.0, 20.0, 4.0, (0.1, 0.2, 0.3))
        gizmo.show_orbit(before)
        with qtbot.waitSignal(gizmo.orbit_chosen) as chosen:
            at = gizmo.place_of(name).toPoint()
            qtbot.mouseClick(gizmo, Qt.MouseButton.LeftButton, pos=at)
        (orbit,) = chosen.args
        assert (orbit.azimuth_deg, orbit.elevation_deg) == angles
        assert (orbit.radius, orbit.pivot) == (before.radius, before.pivot)

    def test_it_turns_with_the_camera(self, app):
        gizmo = app.window.camera.findChild(OrientationGizmo)
        before = gizmo.place_of("X")
        app.gestures.orbit_dragged(60, 0)
        assert gizmo.place_of("X") != before


def _name(one) -> str:
    return getattr(one, "accessibleName", str)()
