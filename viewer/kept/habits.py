"""How a person likes to work: changed in Preferences, and kept from one start to the next."""

from __future__ import annotations

from PyQt6.QtCore import QObject

from viewer.camera.gestures import CameraGestures
from viewer.state.preferences import Preferences
from viewer.state.view_state import StateStore, ViewState
from viewer.widgets.panels.preferences_dialog import FLY_SPEED_RANGE, PreferencesDialog
from viewer.window.actions import THEMES
from viewer.window.main_window import MainWindow

_FPS_RANGE = (5.0, 120.0)


class HabitController(QObject):
    """What is chosen here is no part of a session: it is the person's, not the picture's."""

    def __init__(
        self,
        window: MainWindow,
        store: StateStore,
        gestures: CameraGestures,
        preferences: Preferences,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._window = window
        self._store = store
        self._gestures = gestures
        self._preferences = preferences
        commands = window.commands
        self._toggles = {"inertia": commands.inertia, "smooth": commands.smooth}
        self.dialog = PreferencesDialog(
            list(THEMES),
            {
                "Picture": [commands.integer_zoom, commands.fill_flat],
                "Camera": [commands.inertia, commands.smooth],
            },
            window,
        )
        self._wire()
        self._restore()

    def open(self) -> None:
        """Show the dialog."""
        themes = self._window.commands.themes.items()
        self.dialog.show_theme(next(name for name, action in themes if action.isChecked()))
        self.dialog.show()
        self.dialog.raise_()

    def set_fly_speed(self, factor: float) -> None:
        """Fly so many times as fast as usual."""
        self._gestures.set_fly_speed(factor)
        self.dialog.show_fly_speed(factor)
        self._preferences.store("fly_speed", str(factor))

    def close(self) -> None:
        """Nobody chooses any more."""
        self.dialog.close()

    def _wire(self) -> None:
        window, dialog = self._window, self.dialog
        window.commands.preferences.triggered.connect(self.open)
        dialog.theme_chosen.connect(lambda name: window.commands.themes[name].trigger())
        dialog.target_fps_edited.connect(lambda rate: self._store.change(target_fps=rate))
        dialog.fly_speed_edited.connect(self.set_fly_speed)
        dialog.hint_wanted.connect(window.show_first_steps)
        dialog.layout_reset.connect(window.commands.reset_layout.trigger)
        for key, action in self._toggles.items():
            action.toggled.connect(lambda on, name=key: self._preferences.store(name, on))
        self._store.listen(self._state_changed)

    def _restore(self) -> None:
        for key, action in self._toggles.items():
            action.setChecked(self._preferences.flag(key))
        rate = self._preferences.number("target_fps", self._store.state.target_fps, *_FPS_RANGE)
        self._store.change(target_fps=rate)
        self.dialog.show_target_fps(rate)
        self.set_fly_speed(self._preferences.number("fly_speed", 1.0, *FLY_SPEED_RANGE))

    def _state_changed(self, before: ViewState, after: ViewState) -> None:
        if before.target_fps != after.target_fps:
            self.dialog.show_target_fps(after.target_fps)
            self._preferences.store("target_fps", str(after.target_fps))
