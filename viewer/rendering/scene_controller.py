"""Asks for what a file cannot say of its scene, and remembers the answer for that file."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PyQt6.QtCore import QObject

from r2l_core.errors import SceneError, plain
from r2l_core.geometry.scene import PRESETS, SceneSpec
from r2l_core.json_fields import stored_object
from viewer.rendering.controller import RenderController
from viewer.rendering.opening import SceneFrom
from viewer.rendering.running import Running
from viewer.state.preferences import Preferences
from viewer.state.scene_settings import SceneSettings, edited, problems, settings_of
from viewer.widgets.controls.timers import make_timer
from viewer.widgets.panels.scene_dialog import SceneDialog
from viewer.window.main_window import MainWindow

MOST_REMEMBERED = 200
_KEY = "scenes"
_SOURCES = {
    "file": "",
    "wish": "These settings are yours.",
    "dataset": "These are the open dataset's.",
    "name": "These are what its name suggests.",
    "default": "These are the Blender scenes'.",
}
"""Where settings come from, by `Running.scene_from`."""

_ASSUMED = ("name", "default")
_PAUSE_MS = 250
"""Typing may go on: engines are built anew for every scene."""


class SceneController(QObject):
    """The dialog appears by itself for files that say nothing, once; never in scripted runs."""

    def __init__(
        self,
        window: MainWindow,
        rendering: RenderController,
        preferences: Preferences,
        asks: bool,
        parent: QObject,
    ) -> None:
        """`asks`: whether there is somebody to answer."""
        super().__init__(parent)
        self._window = window
        self._rendering = rendering
        self._preferences = preferences
        self._asks = asks
        self._sha256 = ""
        self._says_scene = True
        self._scene_from: SceneFrom = "file"
        self._checkpoint = ""
        self._base = PRESETS["demo"]
        self._shown = settings_of(self._base)
        self._chosen: str | SceneSpec | None = None
        self.dialog = SceneDialog(window)
        self.dialog.offer_presets([name for name in PRESETS if ":" in name])
        self._timer = make_timer(
            self, _PAUSE_MS, lambda: rendering.set_scene(self._chosen), once=True
        )
        self.dialog.preset_chosen.connect(self._choose_preset)
        self.dialog.edited.connect(self._edit)
        self.dialog.reset_requested.connect(self._reset)
        self.dialog.finished.connect(lambda _result: self._keep())
        window.commands.scene_settings.triggered.connect(self.open)
        for scene, action in window.commands.scenes.presets.items():
            action.triggered.connect(lambda _=False, one=scene: rendering.set_scene(one))
        rendering.running_changed.connect(self.running_changed)

    def running_changed(self, running: Running) -> None:
        """Something renders: where its scene is not known, take what was answered before, or
        ask."""
        new = running.light_field.sha256 != self._sha256
        self._sha256 = running.light_field.sha256
        self._says_scene = running.light_field.says_scene
        self._scene_from = running.scene_from
        self._checkpoint = running.wish.light_field.checkpoint
        if not self._timer.isActive():
            # Settings that wait to be tried are newer than what runs.
            self._show(running)
        if not new or running.scene_from not in _ASSUMED:
            return
        remembered = self._remembered().get(self._sha256)
        scene = None if remembered is None else _parsed(remembered)
        if scene is not None:
            self._rendering.set_scene(scene)
        elif self._asks:
            self.open()

    def open(self) -> None:
        """Show the dialog."""
        self.dialog.show()
        self.dialog.raise_()

    def close(self) -> None:
        """Let nothing happen any more."""
        self._timer.stop()
        self.dialog.blockSignals(True)
        self.dialog.close()

    def _show(self, running: Running) -> None:
        wish = running.wish.light_field.scene
        self._base, self._chosen = running.scene, wish
        self._shown = settings_of(running.scene, wish if isinstance(wish, str) else None)
        self.dialog.show_settings(self._shown)
        name = plain(Path(self._checkpoint).name)
        said = f"{name} says what scene it shows."
        if not running.light_field.says_scene:
            said = f"{name} does not say what scene it shows."
        self.dialog.show_said(f"{said} {_SOURCES[running.scene_from]}".strip())

    def _choose_preset(self, name: str) -> None:
        self._base, self._shown = PRESETS[name], settings_of(PRESETS[name])
        self.dialog.show_settings(self._shown)
        self._try(name)

    def _edit(self, settings: SceneSettings) -> None:
        found = problems(self._base, self._shown, settings)
        if found:
            self.dialog.show_problems(found)
            # What was typed before is not to come while this is wrong.
            self._timer.stop()
            return
        self._base = edited(self._base, self._shown, settings)
        self._shown = settings_of(self._base)
        self.dialog.show_settings(self._shown)
        self._try(self._base)

    def _try(self, scene: str | SceneSpec | None) -> None:
        self._chosen = scene
        self._timer.start()

    def _reset(self) -> None:
        remembered = self._remembered()
        remembered.pop(self._sha256, None)
        self._preferences.store(_KEY, json.dumps(remembered))
        self._timer.stop()
        self._rendering.set_scene(None)

    def _keep(self) -> None:
        """What stands in the dialog as it is closed is the answer for this file."""
        if self._says_scene or (self._chosen is None and self._scene_from not in _ASSUMED):
            return
        scene = self._shown.preset or self._base
        remembered = self._remembered()
        remembered.pop(self._sha256, None)
        remembered[self._sha256] = scene if isinstance(scene, str) else asdict(scene)
        latest = dict(list(remembered.items())[-MOST_REMEMBERED:])
        self._preferences.store(_KEY, json.dumps(latest))

    def _remembered(self) -> dict[str, Any]:
        """Scenes by the SHA-256 of their files: names of presets, or their entries."""
        return stored_object(self._preferences.text(_KEY))


def _parsed(remembered: Any) -> str | SceneSpec | None:
    if isinstance(remembered, str):
        return remembered if remembered in PRESETS else None
    try:
        return SceneSpec.from_mapping(remembered) if isinstance(remembered, dict) else None
    except SceneError:
        return None
