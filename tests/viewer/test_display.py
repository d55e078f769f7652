"""Exposure, offset and single channels: what is seen changes, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PyQt6.QtCore import Qt

from tests.viewer.find import button, named, words
from viewer.state.display_options import Channel, DisplayOptions
from viewer.widgets.compare.comparison import displayed
from viewer.widgets.controls.value_spin import ValueSpin

IMAGES = arrays.arrays(np.uint8, (4, 5, 3))


@given(IMAGES)
def test_a_picture_as_it_is_is_the_picture_itself(image):
    assert displayed(image, DisplayOptions()) is image


@given(IMAGES, st.sampled_from([Channel.RED, Channel.GREEN, Channel.BLUE]))
def test_one_channel_is_grey_of_its_own_values(image, channel):
    seen = displayed(image, DisplayOptions(channel=channel))
    at = [Channel.RED, Channel.GREEN, Channel.BLUE].index(channel)
    assert np.array_equal(seen, np.repeat(image[..., at : at + 1], 3, axis=2))


@given(st.integers(0, 255))
def test_a_grey_has_its_own_luminance(level):
    image = np.full((1, 1, 3), level, np.uint8)
    assert np.array_equal(displayed(image, DisplayOptions(channel=Channel.LUMINANCE)), image)


def test_a_stop_doubles_linear_light_and_an_offset_adds_to_it():
    # 0.2140 and 0.4280 of white are 127.5 and 175.2 of 255 in sRGB.
    image = np.full((1, 1, 3), 128, np.uint8)
    assert abs(int(displayed(image, DisplayOptions(exposure_ev=1.0))[0, 0, 0]) - 176) <= 1
    assert abs(int(displayed(image, DisplayOptions(offset=0.214))[0, 0, 0]) - 175) <= 1
    assert displayed(image, DisplayOptions(exposure_ev=10.0)).min() == 255
    assert displayed(image, DisplayOptions(offset=-1.0)).max() == 0


class TestInTheWindow:
    @pytest.fixture
    def panel(self, app):
        return app.window.compare.display

    def test_a_channel_is_shown_and_said_and_leaves_the_pixels(self, qtbot, app, panel):
        pane = app.window.pane
        before = pane.frame.image.copy()
        qtbot.mouseClick(button(panel, "Blue"), Qt.MouseButton.LeftButton)
        assert app.store.state.display.channel is Channel.BLUE
        seen = pane.compared.seen_pixels()
        assert np.array_equal(seen[..., 0], before[..., 2])
        assert np.array_equal(pane.frame.image, before)
        assert "Blue" in words(app.window.centralWidget())
        copied = pane.copied_image()
        colors = {copied.pixelColor(x, 0).getRgb()[:3] for x in range(copied.width())}
        assert colors == {tuple(int(one) for one in pixel) for pixel in before[0]}

    def test_exposure_is_typed_and_taken_back(self, qtbot, app, panel):
        named(panel, ValueSpin, "Exposure").setValue(2.0)
        assert app.store.state.display.exposure_ev == 2.0
        assert "+2.0 EV" in words(app.window.centralWidget())
        as_it_is = button(panel, "As it is")
        qtbot.mouseClick(as_it_is, Qt.MouseButton.LeftButton)
        assert app.store.state.display == DisplayOptions()
        assert not as_it_is.isEnabled()
        assert "EV" not in words(app.window.centralWidget())

    def test_nothing_is_rendered_anew(self, app, panel, until):
        # By the engine; what a first look has made, it makes anew.
        until(lambda: app.window.pane.frame.complete and app.window.pane.frame.epoch > 0)
        seq = app.window.pane.frame.seq
        named(panel, ValueSpin, "Offset").setValue(0.1)
        app.rendering.refresh()
        until(lambda: app.window.pane.frame.seq > seq)
        assert app.window.pane.frame.seq == seq + 1, "only what was asked for at the end"
