"""Parts of a tour that need no hand on the picture: comparing, and the camera path."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING

from viewer.state.panes import CompareMode
from viewer.widgets.compare.compare_pane import ComparePane

if TYPE_CHECKING:
    from viewer.app import App

Wait = float | Callable[[], bool]
"""Seconds, or a condition to wait for."""
Script = Generator[Wait, None, None]

_PATH_S = 1.5


def compare(app: App, patience_s: float, screenshot: Callable[[str], None]) -> Script:
    """Every way of comparing once, two precisions at the same time; in the end one again."""
    view, pane = app.window.compare.view, app.window.pane
    for mode in list(CompareMode)[1:]:
        view.set_mode(mode)
        give_up_s = time.perf_counter() + patience_s
        yield partial(_several_are_complete, pane, give_up_s)
        yield 0.5
        screenshot(f"compare-{mode.lower()}.png")
    view.set_mode(CompareMode.SINGLE)
    yield lambda: len(pane.frames) == 1


def _several_are_complete(pane: ComparePane, give_up_s: float) -> bool:
    complete = len(pane.frames) > 1 and pane.frames[0].complete
    return complete or time.perf_counter() >= give_up_s


def timeline(app: App, patience_s: float, screenshot: Callable[[str], None]) -> Script:
    """Three keyframes, the path over the picture, and a ride along it; then home without it."""
    commands, editor = app.window.commands, app.camera_path.editor
    for view in ("front", "side", "home"):
        commands.views[view].trigger()
        yield 0.3
        commands.record.add_key.trigger()
    if editor.path is not None:
        editor.use(editor.path.lasting(_PATH_S))
    commands.views["top"].trigger()
    yield 0.5
    screenshot("timeline.png")
    commands.record.play.trigger()
    give_up_s = time.perf_counter() + _PATH_S + patience_s
    yield lambda: not app.camera_path.player.playing or time.perf_counter() >= give_up_s
    commands.record.record.trigger()
    yield 0.3
    app.recording.panel.close()
    editor.use(None)
    commands.views["home"].trigger()
