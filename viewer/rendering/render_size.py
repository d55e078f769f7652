"""How many pixels are rendered: as many as were chosen, or as the window has room for."""

from __future__ import annotations

from PyQt6.QtCore import QObject

from viewer.state.view_state import StateStore, ViewState
from viewer.state.viewpoint import fitted_to_shape, same_short_side
from viewer.widgets.controls.timers import REAL_TIME, Clock
from viewer.window.main_window import MainWindow

_PAUSE_MS = 200
"""A window that is pulled larger passes many sizes."""
_LEAST_PX = 16


class RenderSizeController(QObject):
    """A picture of another shape keeps the field of view of its shorter side."""

    def __init__(
        self, window: MainWindow, store: StateStore, parent: QObject, clock: Clock = REAL_TIME
    ) -> None:
        super().__init__(parent)
        self._pane = window.pane
        self._panel = window.scene
        self._store = store
        self._timer = clock.timer(self, _PAUSE_MS, self._match, once=True)
        self._panel.render_size_chosen.connect(self.choose)
        self._panel.match_window_chosen.connect(lambda: store.change(match_window=True))
        self._pane.room_changed.connect(self._room_changed)
        store.listen(self._state_changed)

    def choose(self, width_px: int, height_px: int) -> None:
        """Render that many pixels from now on, whatever the window's size; of a pose's picture as
        many as have its shape."""
        self._store.change(match_window=False)
        self._render(width_px, height_px)

    def close(self) -> None:
        """Nobody looks any more."""
        self._timer.stop()

    def _room_changed(self) -> None:
        if self._store.state.match_window:
            self._timer.start()

    def _state_changed(self, before: ViewState, after: ViewState) -> None:
        if before.match_window != after.match_window:
            self._panel.show_match_window(after.match_window)
        # Another light field comes in a size of its own.
        other_size = before.render_size_px != after.render_size_px
        if after.match_window and (other_size or not before.match_window):
            self._timer.start()

    def _match(self) -> None:
        if self._store.state.match_window:
            width_px, height_px = self._pane.room_px()
            self._render(max(width_px, _LEAST_PX), max(height_px, _LEAST_PX))

    def _render(self, width_px: int, height_px: int) -> None:
        state = self._store.state
        size_px = (width_px, height_px)
        if state.viewpoint.pose is not None:
            self._store.change(render_size_px=fitted_to_shape(state.viewpoint.pose, size_px))
        elif size_px != state.render_size_px:
            view = same_short_side(state.viewpoint, state.render_size_px, size_px)
            self._store.change(render_size_px=size_px, viewpoint=view)
