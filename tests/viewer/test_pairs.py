"""Any two of the panes can be wiped, flipped and subtracted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtCore import Qt

from r2l_core.geometry.scene import SceneSpec
from r2l_core.types import Precision
from tests.viewer.find import words
from viewer.app import App
from viewer.state.panes import CompareMode, PaneChoice
from viewer.widgets.controls.flat import FlatCombo

pytestmark = pytest.mark.slow


def pairs_of(app: App) -> FlatCombo:
    """The list of pairs below the picture."""
    combos = app.window.compare.view.bar.findChildren(FlatCombo)
    return next(one for one in combos if one.accessibleName() == "Compared panes")


@pytest.fixture
def three(app, until, write_light_field) -> App:
    """A and B show one light field, C another."""
    other = write_light_field("other", SceneSpec("other", 1.5, 4.5, width_px=64, height_px=64))
    panes = (
        PaneChoice(Precision.FP32),
        PaneChoice(Precision.BF16),
        PaneChoice(Precision.FP32, checkpoint=other),
    )
    app.store.set(replace(app.store.state.with_panes(panes), mode=CompareMode.WIPE))
    until(lambda: len(app.window.pane.frames) == 3 and app.window.pane.frames[0].complete)
    return app


def choose(app: App, words: str) -> None:
    combo = pairs_of(app)
    combo.activated.emit(combo.findText(words))


def test_the_list_is_there_where_there_is_a_choice(three):
    combo = pairs_of(three)
    assert combo.isVisible()
    assert combo.currentText() == "A–B"
    three.window.commands.compare.modes[CompareMode.SIDE].trigger()
    assert not combo.isVisible(), "all are seen"
    three.window.commands.compare.modes[CompareMode.FLIP].trigger()
    assert combo.isVisible()


def test_a_wipe_a_flip_and_a_difference_are_of_the_chosen_two(three, qtbot):
    pane = three.window.pane
    a, _, c = (frame.image for frame in pane.frames)
    choose(three, "C–A")
    assert three.store.state.pair == (2, 0)
    seen = pane.compared.seen_pixels()
    assert np.array_equal(seen[:, 0], c[:, 0])
    assert np.array_equal(seen[:, -1], a[:, -1])
    modes = three.window.commands.compare.modes
    modes[CompareMode.FLIP].trigger()
    assert np.array_equal(pane.compared.seen_pixels(), c)
    qtbot.keyPress(pane, Qt.Key.Key_X)
    assert np.array_equal(pane.compared.seen_pixels(), a)
    qtbot.keyRelease(pane, Qt.Key.Key_X)
    modes[CompareMode.DIFFERENCE].trigger()
    assert pane.compared.difference.pair == (pane.frames[2], pane.frames[0])
    assert pane.compared.difference.values().max() > 0.05


def test_the_strip_names_what_is_seen_whichever_pane_is_active(three, qtbot):
    footer, pane = three.window.compare.view.footer, three.window.pane
    modes = three.window.commands.compare.modes
    three.store.change(active=1)
    choose(three, "C–A")
    assert words(footer).startswith("fp32 of other and fp32")
    modes[CompareMode.DIFFERENCE].trigger()
    assert words(footer).startswith("fp32 of other and fp32")
    modes[CompareMode.FLIP].trigger()
    assert words(footer).startswith("fp32 of other\n")
    qtbot.keyPress(pane, Qt.Key.Key_X)
    assert words(footer).startswith("fp32 of ")
    assert not words(footer).startswith("fp32 of other")
    qtbot.keyRelease(pane, Qt.Key.Key_X)
    modes[CompareMode.SIDE].trigger()
    assert words(footer).startswith("bf16"), "of all that are seen, the active one"


def test_the_pair_stays_with_its_panes(three):
    choose(three, "B–C")
    three.window.compare.panes.pane_removed.emit(0)
    assert three.store.state.pair == (0, 1)
    assert [pane.source for pane in three.store.state.panes] == ["bf16", "fp32"]
    assert not pairs_of(three).isVisible(), "there is no other pair"
