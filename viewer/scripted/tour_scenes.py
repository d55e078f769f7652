"""Parts of a tour that need no hand on the picture: comparing, ways of showing and measuring, and
the camera path."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING

from viewer.state.display_options import Channel, DisplayOptions
from viewer.state.panes import CompareMode
from viewer.state.region import Region
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
        yield _within(patience_s, lambda: _are_complete(pane))
        yield 0.5
        screenshot(f"compare-{mode.lower()}.png")
    view.set_mode(CompareMode.SINGLE)
    yield lambda: len(pane.frames) == 1


def looks(app: App, patience_s: float, screenshot: Callable[[str], None]) -> Script:
    """One channel, another exposure, the room of the window, a region against a pane, the axes,
    preferences; in the end all is as before."""
    window, store = app.window, app.store
    before = store.state
    window.open_panel("Display")
    for display in (DisplayOptions(channel=Channel.LUMINANCE), DisplayOptions(exposure_ev=-1.0)):
        window.compare.display.display_changed.emit(display)
        yield 0.5
    screenshot("display.png")
    window.compare.display.display_changed.emit(DisplayOptions())
    window.scene.match_window_chosen.emit()
    yield _within(patience_s, lambda: _fills_its_room(app))
    screenshot("match-window.png")
    window.scene.render_size_chosen.emit(*before.render_size_px)
    window.compare.view.set_mode(CompareMode.SIDE)
    yield _within(patience_s, lambda: _are_complete(window.pane))
    width_px, height_px = before.render_size_px
    part = Region(width_px // 4, height_px // 4, width_px // 2, height_px // 2)
    window.pane.region_chosen.emit(part)
    window.compare.metrics.reference_chosen.emit(1)
    window.open_panel("Difference")
    yield 1.0
    screenshot("region.png")
    window.compare.metrics.whole_requested.emit()
    window.compare.metrics.reference_chosen.emit(None)
    window.compare.view.set_mode(CompareMode.SINGLE)
    yield lambda: len(window.pane.frames) == 1
    window.open_panel("Camera")
    window.camera.orbit_edited.emit(replace(app.camera.orbit, azimuth_deg=180.0))
    yield 0.5
    window.commands.views["home"].trigger()
    window.commands.preferences.trigger()
    yield 0.5
    app.habits.dialog.close()


def _within(seconds: float, condition: Callable[[], bool]) -> Callable[[], bool]:
    """The condition, or the end of patience with a slow machine."""
    give_up_s = time.perf_counter() + seconds
    return lambda: condition() or time.perf_counter() >= give_up_s


def _fills_its_room(app: App) -> bool:
    frame, room = app.window.pane.frame, app.window.pane.room_px()
    return frame is not None and frame.image.shape[:2] == room[::-1]


def _are_complete(pane: ComparePane) -> bool:
    return len(pane.frames) > 1 and pane.frames[0].complete


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
