"""Edits of the camera path, which can be undone, and where on it the playhead is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PyQt6.QtCore import QObject, pyqtSignal

from r2l_core.camera_paths.camera_path import CameraPath, Keyframe
from r2l_core.camera_paths.presets import preset
from viewer.camera.controller import CameraController
from viewer.camera_path import path_edits
from viewer.state.view_state import StateStore, ViewState
from viewer.widgets.panels.key_panel import KeySettings
from viewer.widgets.panels.timeline_readout import TimelineReadout

PRESET_S = 6.0
"""How long a ready-made path takes."""
_MOST_UNDO = 200


class PathEditor(QObject):
    """The path itself is in the state; a path that comes into it otherwise is an edit as well."""

    path_changed = pyqtSignal(TimelineReadout)
    key_changed = pyqtSignal(object)
    """Keyframe that is marked, or None."""
    key_edited = pyqtSignal(int)
    """Position of the keyframe whose pose or settings were edited."""
    time_changed = pyqtSignal(float)
    """Seconds on the path."""
    replaced = pyqtSignal()
    """There is a whole other path."""

    def __init__(self, store: StateStore, camera: CameraController, parent: QObject) -> None:
        super().__init__(parent)
        self._store = store
        self._camera = camera
        self._known: CameraPath | None = None
        self._selected: int | None = None
        self._past: list[CameraPath | None] = []
        self._future: list[CameraPath | None] = []
        self._seconds = 0.0
        store.listen(self._state_changed)

    @property
    def path(self) -> CameraPath | None:
        """The path; None without keyframes."""
        return self._store.state.path

    @property
    def seconds(self) -> float:
        """Where on the path the playhead is."""
        return self._seconds

    @property
    def selected(self) -> int | None:
        """Position of the keyframe that is marked."""
        return self._selected

    def mark(self, index: int) -> None:
        """Mark a keyframe."""
        self._selected = index
        self._tell()

    def set_time(self, seconds: float) -> None:
        """Move the playhead."""
        self._seconds = seconds
        self.time_changed.emit(seconds)

    def add(self) -> None:
        """Add the present view as a keyframe, where the playhead is."""
        camera = self._camera.camera()
        key = Keyframe(camera.T_world_camera, camera.fov_y_deg)
        path, index = path_edits.inserted(self.path, key, self._seconds)
        if self.path is None and self._camera.pose is None:
            path = replace(path, pivot=self._camera.orbit.pivot)
        self._edit(path, index)
        self.set_time(path.key_seconds[index])

    def delete(self) -> None:
        """Delete the marked keyframe."""
        if self.path is not None and self._selected is not None:
            path = path_edits.removed(self.path, self._selected)
            last = len(path.keyframes) - 1 if path is not None else -1
            self._edit(path, min(self._selected, last) if path is not None else None)

    def change(self, settings: KeySettings) -> None:
        """Have the marked keyframe say something else beside its pose."""
        self._replace_marked(
            fov_y_deg=settings.fov_y_deg,
            precision_a=settings.precision_a,
            precision_b=settings.precision_b,
            wipe=settings.wipe,
            gain=settings.gain,
            eases=settings.eases,
        )

    def take_view(self) -> None:
        """Move the marked keyframe to the present view."""
        camera = self._camera.camera()
        self._replace_marked(T_world_camera=camera.T_world_camera, fov_y_deg=camera.fov_y_deg)

    def _replace_marked(self, **values: Any) -> None:
        path, index = self.path, self._selected
        if path is not None and index is not None:
            key = replace(path.keyframes[index], **values)
            # At an even speed nothing could ease.
            even = path.even_speed and not key.eases
            self._edit(replace(path.replaced(index, key), even_speed=even), index)
            self.key_edited.emit(index)

    def retime(self, index: int, seconds: float) -> None:
        """Reach a keyframe at another time, which may be before or after others."""
        if self.path is not None:
            path, index = path_edits.retimed(self.path, index, seconds)
            self._edit(path, index)
            self.set_time(path.key_seconds[index])

    def move(self, index: int, to: int) -> None:
        """Give a keyframe another place among the others."""
        if self.path is not None:
            path = path_edits.moved(self.path, index, to)
            self._edit(path, to)
            self.set_time(path.key_seconds[to])

    def set_loop(self, on: bool) -> None:
        """Lead the path back to its beginning, or not."""
        if self.path is not None and on != self.path.loop:
            self._edit(replace(self.path, loop=on), self._selected)

    def use(self, path: CameraPath | None) -> None:
        """Take a whole other path; it can be undone, too."""
        self.replaced.emit()
        self._edit(path, None)
        self.set_time(0.0)

    def use_preset(self, name: str) -> None:
        """Take a ready-made path around the scene, from the present view."""
        fov_y_deg = self._camera.camera().fov_y_deg
        radius = self._camera.scene.bound_radius
        self.use(preset(name, self._camera.orbit, fov_y_deg, PRESET_S, radius))

    def undo(self) -> None:
        """Take the last edit back."""
        if self._past:
            self._future.append(self.path)
            self._show(self._past.pop(), None)

    def redo(self) -> None:
        """Make the edit again that was undone last."""
        if self._future:
            self._past.append(self.path)
            self._show(self._future.pop(), None)

    def _edit(self, path: CameraPath | None, selected: int | None) -> None:
        self._past = [*self._past, self._known][-_MOST_UNDO:]
        self._future.clear()
        self._show(path, selected)

    def _show(self, path: CameraPath | None, selected: int | None) -> None:
        self._known, self._selected = path, selected
        self._store.change(path=path)
        self._tell()
        self.set_time(min(self._seconds, path.seconds if path is not None else 0.0))

    def _tell(self) -> None:
        path, undo, redo = self.path, bool(self._past), bool(self._future)
        if path is None:
            readout = TimelineReadout(can_undo=undo, can_redo=redo)
        else:
            readout = TimelineReadout(
                path.key_seconds, path.seconds, path.loop, self._selected, undo, redo
            )
        self.path_changed.emit(readout)
        marked = None
        if path is not None and self._selected is not None:
            marked = path.keyframes[self._selected]
        self.key_changed.emit(marked)

    def _state_changed(self, _before: ViewState, after: ViewState) -> None:
        if after.path is not self._known and self._store.state.path is after.path:
            self.use(after.path)
