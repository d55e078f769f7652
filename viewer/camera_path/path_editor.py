"""The camera path of the window: edits that can be undone, and playing it by the clock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PyQt6.QtCore import QObject, pyqtSignal

from r2l_core.camera_paths.camera_path import CameraPath, Keyframe, PathView
from r2l_core.camera_paths.presets import preset
from r2l_core.render.frames import Frame
from viewer.camera_path import path_edits
from viewer.camera_path.path_drawing import PathDrawing
from viewer.rendering.controller import Controller
from viewer.widgets.controls.timers import REAL_TIME, Clock
from viewer.widgets.panels.key_panel import KeySettings
from viewer.widgets.panels.timeline_readout import TimelineReadout

PRESET_S = 6.0
"""How long a ready-made path takes."""
_TICK_MS = 16
_MOST_UNDO = 200


class PathEditor(QObject):
    """Moves the camera through the controller, which asks for pictures as for any other move."""

    path_changed = pyqtSignal(TimelineReadout)
    time_changed = pyqtSignal(float)
    """Seconds on the path."""
    playing_changed = pyqtSignal(bool)
    overlay_changed = pyqtSignal(object)
    """PathOverlay for the frame that is shown, or None."""
    key_changed = pyqtSignal(object)
    """Keyframe that is marked, or None."""
    passed = pyqtSignal(PathView)
    """PathView of where on the path the camera went."""

    def __init__(
        self, controller: Controller, parent: QObject | None = None, clock: Clock = REAL_TIME
    ) -> None:
        super().__init__(parent)
        self._clock = clock
        self._controller = controller
        self._path: CameraPath | None = None
        self._drawing: PathDrawing | None = None
        self._selected: int | None = None
        self._past: list[CameraPath | None] = []
        self._future: list[CameraPath | None] = []
        self._seconds = 0.0
        self._started_s = 0.0
        self._frame: Frame | None = None
        self._has_overlay = False
        self._timer = clock.timer(self, _TICK_MS, self._advance)
        controller.ride_ended.connect(self._left)

    @property
    def path(self) -> CameraPath | None:
        """The path; None without keyframes."""
        return self._path

    @property
    def seconds(self) -> float:
        """Where on the path the playhead is."""
        return self._seconds

    @property
    def playing(self) -> bool:
        """Whether the camera moves along the path."""
        return self._timer.isActive()

    # Edits

    def add(self) -> None:
        """Add the present view as a keyframe, where the playhead is."""
        camera = self._controller.camera()
        key = Keyframe(camera.T_world_camera, camera.fov_y_deg)
        path, index = path_edits.inserted(self._path, key, self._seconds)
        self._edit(path, index)
        self._set_time(path.key_seconds[index])

    def delete(self) -> None:
        """Delete the marked keyframe."""
        if self._path is not None and self._selected is not None:
            path = path_edits.removed(self._path, self._selected)
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
        )

    def take_view(self) -> None:
        """Move the marked keyframe to the present view."""
        camera = self._controller.camera()
        self._replace_marked(T_world_camera=camera.T_world_camera, fov_y_deg=camera.fov_y_deg)

    def _replace_marked(self, **values: Any) -> None:
        path, index = self._path, self._selected
        if path is not None and index is not None:
            key = replace(path.keyframes[index], **values)
            self._edit(path.replaced(index, key), index)
            self._stand_at(index)

    def retime(self, index: int, seconds: float) -> None:
        """Reach a keyframe at another time, which may be before or after others."""
        if self._path is not None:
            path, index = path_edits.retimed(self._path, index, seconds)
            self._edit(path, index)
            self._set_time(path.key_seconds[index])

    def move(self, index: int, to: int) -> None:
        """Give a keyframe another place among the others."""
        if self._path is not None:
            path = path_edits.moved(self._path, index, to)
            self._edit(path, to)
            self._set_time(path.key_seconds[to])

    def set_loop(self, on: bool) -> None:
        """Lead the path back to its beginning, or not."""
        if self._path is not None and on != self._path.loop:
            self._edit(replace(self._path, loop=on), self._selected)

    def use(self, path: CameraPath | None) -> None:
        """Take a whole other path; it can be undone, too."""
        self.pause()
        self._edit(path, None)
        self._set_time(0.0)

    def use_preset(self, name: str) -> None:
        """Take a ready-made path around the scene, from the present view."""
        running = self._controller.running
        if running is not None:
            fov_y_deg = self._controller.camera().fov_y_deg
            radius = running.scene.bound_radius
            self.use(preset(name, self._controller.orbit, fov_y_deg, PRESET_S, radius))

    def undo(self) -> None:
        """Take the last edit back."""
        if self._past:
            self._future.append(self._path)
            self._show(self._past.pop(), None)

    def redo(self) -> None:
        """Make the edit again that was undone last."""
        if self._future:
            self._past.append(self._path)
            self._show(self._future.pop(), None)

    def _edit(self, path: CameraPath | None, selected: int | None) -> None:
        self._past = [*self._past, self._path][-_MOST_UNDO:]
        self._future.clear()
        self._show(path, selected)

    def _show(self, path: CameraPath | None, selected: int | None) -> None:
        self._path, self._selected = path, selected
        self._drawing = None
        if path is None or path.seconds == 0:
            self.pause()
        self._tell()
        self._set_time(min(self._seconds, path.seconds if path is not None else 0.0))

    def _tell(self) -> None:
        path, undo, redo = self._path, bool(self._past), bool(self._future)
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
        self._draw()

    # Going there

    def select(self, index: int) -> None:
        """Mark a keyframe and go to its view."""
        path = self._path
        if path is not None and 0 <= index < len(path.keyframes):
            self.pause()
            self._selected = index
            self._tell()
            self._stand_at(index)

    def _stand_at(self, index: int) -> None:
        assert self._path is not None
        key = self._path.keyframes[index]
        self._set_time(self._path.key_seconds[index])
        self._controller.begin_ride()
        self._controller.ride(key.T_world_camera, key.fov_y_deg)
        self.passed.emit(self._path.at(self._seconds))

    def scrub(self, seconds: float) -> None:
        """Go to a moment of the path."""
        if self._path is not None:
            self.pause()
            self._go(seconds)

    def set_playing(self, on: bool) -> None:
        """Move along the path from where the playhead is, at the path's own pace, or stop."""
        if on:
            self.play()
        else:
            self.pause()

    def toggle(self) -> None:
        """Play, or pause."""
        self.set_playing(not self.playing)

    def play(self) -> None:
        """Move along the path; from its beginning where the playhead is at the end."""
        path = self._path
        if path is None or path.seconds == 0 or self.playing:
            self.playing_changed.emit(self.playing)
            return
        start_s = 0.0 if self._seconds >= path.seconds else self._seconds
        self._started_s = self._clock.now_s() - start_s
        self._controller.begin_ride()
        self._timer.start()
        self.playing_changed.emit(True)
        self._draw()
        self._go(start_s)

    def pause(self) -> None:
        """Stop where the camera is."""
        if self.playing:
            self._timer.stop()
            self.playing_changed.emit(False)
            self._draw()

    def close(self) -> None:
        """Stand still: nobody looks any more."""
        self._timer.stop()

    def _advance(self) -> None:
        path = self._path
        assert path is not None
        # By the clock, not by steps: a slow picture makes the path coarser, never longer.
        seconds = self._clock.now_s() - self._started_s
        if seconds >= path.seconds and not path.loop:
            self._go(path.seconds)
            self.pause()
        else:
            self._go(seconds % path.seconds)

    def _go(self, seconds: float) -> None:
        assert self._path is not None
        view: PathView = self._path.at(seconds)
        self._set_time(seconds)
        self._controller.ride(view.T_world_camera, view.fov_y_deg)
        self.passed.emit(view)

    def _set_time(self, seconds: float) -> None:
        self._seconds = seconds
        self.time_changed.emit(seconds)

    def _left(self) -> None:
        """Whoever takes the camera elsewhere has ended the ride."""
        self.pause()

    # Drawing

    def frames_shown(self, frames: tuple[Frame, ...]) -> None:
        """Draw the path as the camera of these pictures sees it."""
        self._frame = frames[0]
        self._draw()

    def _draw(self) -> None:
        path, frame = self._path, self._frame
        # From a camera on the path itself nothing but a line through the eye is to be seen.
        if path is None or frame is None or self.playing:
            overlay = None
        else:
            self._drawing = self._drawing or PathDrawing(path)
            overlay = self._drawing.seen_by(frame.camera, self._selected)
        if overlay is not None or self._has_overlay:
            self._has_overlay = overlay is not None
            self.overlay_changed.emit(overlay)
