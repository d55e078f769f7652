"""Takes the camera along its path: by the clock, by hand, or to one keyframe."""

from __future__ import annotations

from PyQt6.QtCore import QObject, pyqtSignal

from r2l_core.camera_paths.camera_path import PathView
from viewer.camera.ride import Ride
from viewer.camera_path.path_editor import PathEditor
from viewer.widgets.controls.timers import REAL_TIME, Clock
from viewer.widgets.panels.timeline_readout import TimelineReadout

_TICK_MS = 16


class PathPlayer(QObject):
    """Whoever takes the camera elsewhere has ended the ride, and with it playing."""

    playing_changed = pyqtSignal(bool)
    passed = pyqtSignal(PathView)
    """Where on the path the camera went."""

    def __init__(
        self, editor: PathEditor, ride: Ride, parent: QObject, clock: Clock = REAL_TIME
    ) -> None:
        super().__init__(parent)
        self._editor = editor
        self._ride = ride
        self._clock = clock
        self._started_s = 0.0
        self._timer = clock.timer(self, _TICK_MS, self._advance)
        ride.ended.connect(self.pause)
        editor.replaced.connect(self.pause)
        editor.path_changed.connect(self._path_changed)
        editor.key_edited.connect(self._stand_at)

    @property
    def playing(self) -> bool:
        """Whether the camera moves along the path."""
        return self._timer.isActive()

    def select(self, index: int) -> None:
        """Mark a keyframe and go to its view."""
        path = self._editor.path
        if path is not None and 0 <= index < len(path.keyframes):
            self.pause()
            self._editor.mark(index)
            self._stand_at(index)

    def scrub(self, seconds: float) -> None:
        """Go to a moment of the path."""
        if self._editor.path is not None:
            self.pause()
            self._go(seconds)

    def set_playing(self, on: bool) -> None:
        """Move along the path from where the playhead is, at the path's own pace, or stop."""
        if on:
            self.play()
        else:
            self.pause()

    def play(self) -> None:
        """Move along the path; from its beginning where the playhead is at the end."""
        path, seconds = self._editor.path, self._editor.seconds
        if path is None or path.seconds == 0 or self.playing:
            self.playing_changed.emit(self.playing)
            return
        start_s = 0.0 if seconds >= path.seconds else seconds
        self._started_s = self._clock.now_s() - start_s
        self._ride.begin()
        self._timer.start()
        self.playing_changed.emit(True)
        self._go(start_s)

    def pause(self) -> None:
        """Stop where the camera is."""
        if self.playing:
            self._timer.stop()
            self.playing_changed.emit(False)

    def close(self) -> None:
        """Stand still: nobody looks any more."""
        self._timer.stop()

    def _path_changed(self, readout: TimelineReadout) -> None:
        if readout.seconds == 0:
            self.pause()

    def _stand_at(self, index: int) -> None:
        path = self._editor.path
        assert path is not None
        key = path.keyframes[index]
        self._editor.set_time(path.key_seconds[index])
        self._ride.begin()
        self._ride.to(key.T_world_camera, key.fov_y_deg)
        self.passed.emit(path.at(self._editor.seconds))

    def _advance(self) -> None:
        path = self._editor.path
        assert path is not None
        # By the clock, not by steps: a slow picture makes the path coarser, never longer.
        seconds = self._clock.now_s() - self._started_s
        if seconds >= path.seconds and not path.loop:
            self._go(path.seconds)
            self.pause()
        else:
            self._go(seconds % path.seconds)

    def _go(self, seconds: float) -> None:
        path = self._editor.path
        assert path is not None
        view = path.at(seconds)
        self._editor.set_time(seconds)
        self._ride.to(view.T_world_camera, view.fov_y_deg)
        self.passed.emit(view)
