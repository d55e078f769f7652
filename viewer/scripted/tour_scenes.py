"""Parts of a tour that need no hand on the picture: comparing, mixes of layers, ways of showing and
measuring, learning, and the camera path."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Protocol

from PyQt6.QtWidgets import QWidget

from viewer.scripted.pointer import Pointer
from viewer.state.display_options import Channel, DisplayOptions
from viewer.state.panes import EIGHT_BITS, CompareMode, PaneChoice
from viewer.state.region import Region
from viewer.widgets.compare.compare_pane import ComparePane
from viewer.widgets.panels.key_panel import KeySettings
from viewer.widgets.panels.orientation_gizmo import OrientationGizmo

if TYPE_CHECKING:
    from viewer.app import App

Wait = float | Callable[[], bool]
"""Seconds, or a condition to wait for."""
Script = Generator[Wait, None, None]

_PATH_S = 1.5
_LAYERS = 4
"""How many a mix of the tour leaves in fp32."""


class Screenshot(Protocol):
    """Writes a picture of the window, or of one of its dialogs."""

    def __call__(self, name: str, widget: QWidget | None = None) -> None: ...


def compare(app: App, patience_s: float, screenshot: Screenshot) -> Script:
    """Every way of comparing once, two precisions at the same time, then the first of three wiped
    against the last; in the end one again."""
    view, pane = app.window.compare.view, app.window.pane
    for mode in list(CompareMode)[1:]:
        view.set_mode(mode)
        yield _within(patience_s, lambda: _are_complete(pane))
        yield 0.5
        screenshot(f"compare-{mode.lower()}.png")
    panes = app.window.compare.panes
    view.set_mode(CompareMode.SIDE)
    panes.add_up_to(3)
    n_panes = len(panes.panes)
    yield 0.2
    screenshot("added.png")
    yield _within(patience_s, lambda: len(pane.frames) == n_panes and pane.frames[0].complete)
    view.bar.pair_chosen.emit(0, n_panes - 1)
    view.set_mode(CompareMode.WIPE)
    yield 0.5
    screenshot("pair.png")
    while len(panes.panes) > 2:
        panes.pane_removed.emit(len(panes.panes) - 1)
    view.set_mode(CompareMode.SINGLE)
    yield lambda: len(pane.frames) == 1


def mix(app: App, patience_s: float, screenshot: Screenshot) -> Script:
    """Eight bits with some layers in fp32, and the panel of layers; in the end as before."""
    from r2l_core.model.light_field import LightField
    from r2l_core.model.quantized import body_layers

    running, before = app.rendering.running, app.store.state
    assert running is not None
    eight = [one for one in EIGHT_BITS if running.precisions[one].available]
    if not eight or not isinstance(running.light_field, LightField):
        return
    some = frozenset(body_layers(running.light_field.network)[:_LAYERS])
    app.store.set(before.with_pane(before.active, PaneChoice(eight[0], layers_in_fp32=some)))
    yield lambda: app.rendering.running is not None and app.rendering.running.engine.mix != ""
    app.window.open_panel("Layers")
    yield _within(patience_s, lambda: bool(app.window.pane.frames) and _is_complete(app))
    screenshot("mix.png")
    app.window.open_panel("Performance")
    app.store.set(before)
    wish = before.shown_panes
    yield lambda: app.rendering.running is not None and app.rendering.running.wish.panes == wish


def learning(app: App, screenshot: Screenshot) -> Script:
    """The panel in which a light field is learned; nothing is begun."""
    app.learning.open()
    yield 0.5
    screenshot("learn.png")
    app.window.open_panel("Camera")
    yield 0.2


def looks(app: App, patience_s: float, screenshot: Screenshot) -> Script:
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
    (gizmo,) = window.camera.findChildren(OrientationGizmo)
    hand = Pointer(gizmo)
    hand.press(at=gizmo.place_of("Y"))
    hand.release()
    yield 0.5
    screenshot("gizmo.png")
    window.commands.views["home"].trigger()
    window.commands.preferences.trigger()
    yield 0.5
    screenshot("preferences.png", app.habits.dialog)
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


def _is_complete(app: App) -> bool:
    frame = app.window.pane.frame
    return frame is not None and frame.complete


def timeline(app: App, patience_s: float, screenshot: Screenshot) -> Script:
    """Three keyframes, one of them edited, the path over the picture, and a ride along it; then
    home without it."""
    commands, editor = app.window.commands, app.camera_path.editor
    for view in ("front", "side", "home"):
        commands.views[view].trigger()
        yield 0.3
        commands.record.add_key.trigger()
    if editor.path is not None:
        editor.use(editor.path.lasting(_PATH_S))
    app.camera_path.player.select(1)
    commands.record.edit_key.trigger()
    app.camera_path.panel.edited.emit(KeySettings(app.camera.camera().fov_y_deg, eases=True))
    yield 0.3
    screenshot("edit-key.png", app.camera_path.panel)
    app.camera_path.panel.close()
    commands.views["top"].trigger()
    yield 0.5
    screenshot("timeline.png")
    commands.record.play.trigger()
    give_up_s = time.perf_counter() + _PATH_S + patience_s
    yield lambda: not app.camera_path.player.playing or time.perf_counter() >= give_up_s
    commands.record.record.trigger()
    yield 0.3
    screenshot("record.png", app.recording.panel)
    app.recording.panel.close()
    editor.use(None)
    commands.views["home"].trigger()
