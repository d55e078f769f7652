"""How many pixels are rendered: what was typed, or what the window has room for."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2l_core.geometry.scene import PRESETS
from viewer.state.panes import CompareMode
from viewer.state.viewpoint import fitted_to_shape, home_of, same_short_side

HOME = home_of(PRESETS["demo"])
SIDES = st.tuples(st.integers(8, 4000), st.integers(8, 4000))


@given(SIDES, SIDES)
def test_the_shorter_side_keeps_its_field_of_view(before, after):
    def short_deg(view, size) -> float:
        camera = view.camera(*size)
        return math.degrees(2 * math.atan(min(size) / 2 / camera.focal_px))

    seen = same_short_side(HOME, before, after)
    if seen.fov_x_deg < 170:
        assert short_deg(seen, after) == pytest.approx(short_deg(HOME, before))
    assert same_short_side(HOME, before, before).fov_x_deg == pytest.approx(HOME.fov_x_deg)


@given(SIDES, SIDES)
def test_a_pose_is_never_stretched(shape, size):
    pose = HOME.camera(*shape)
    width, height = fitted_to_shape(pose, size)
    assert width <= max(size[0], 1)
    assert height <= max(size[1], 1)
    # To the rounding of a side.
    assert abs(width * shape[1] - height * shape[0]) <= max(shape)


class TestInTheWindow:
    def match(self, app, until) -> tuple[int, int]:
        app.window.scene.match_window_chosen.emit()
        return self.matched(app, until)

    def matched(self, app, until) -> tuple[int, int]:
        def fits() -> bool:
            frame, room = app.window.pane.frame, app.window.pane.room_px()
            return frame is not None and frame.image.shape[:2] == room[::-1]

        until(fits)
        return app.window.pane.room_px()

    def test_the_picture_is_as_large_as_its_room_and_follows_it(self, app, until):
        app.window.resize(900, 620)
        first = self.match(app, until)
        assert app.window.pane.placement.scale == 1
        app.window.resize(980, 700)
        assert self.matched(app, until) != first
        assert app.store.state.match_window

    def test_a_size_of_its_own_ends_it(self, app, until):
        app.window.resize(900, 620)
        self.match(app, until)
        app.window.scene.render_size_chosen.emit(64, 48)
        until(lambda: app.window.pane.frame.image.shape[:2] == (48, 64))
        app.window.resize(980, 700)
        assert app.store.state.render_size_px == (64, 48)
        assert not app.store.state.match_window

    def test_two_pictures_share_the_room(self, app, until):
        app.window.resize(1100, 620)
        width, _ = self.match(app, until)
        app.window.compare.view.set_mode(CompareMode.SIDE)
        until(lambda: len(app.window.pane.frames) == 2)
        narrow, _ = self.matched(app, until)
        assert narrow < 0.51 * width
