"""Turns gestures into cameras and requests, and frames into what the window shows."""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import replace

from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from r2l_core.camera import Camera, Orbit, focal_from_angle
from r2l_core.scene import PRESETS, SceneSpec
from r2l_core.types import Frame, Precision, RenderRequest
from viewer.mailbox import Mailbox, Wish
from viewer.render_thread import Running
from viewer.widgets.performance_panel import PerformanceReadout

DEGREES_PER_PX = 0.35
"""Orbit speed: a drag across an 800-pixel pane turns the scene by about 280 degrees."""

_RADIUS_RANGE_IN_VIEW_RADII = (0.05, 20.0)
_READOUT_MS = 200
_RATE_WINDOW_S = 1.0
_INERTIA_HALF_LIFE_S = 0.18
_INERTIA_STOP_DEG_PER_S = 1.0
_INERTIA_TICK_MS = 16

_VIEWS_DEG = {
    "front": (-90.0, 0.0),
    "side": (0.0, 0.0),
    "top": (-90.0, 90.0),
}
"""Azimuth and elevation of the named views."""


class Controller(QObject):
    """Owns the camera and what is wished for; shows only frames that are not stale."""

    frame_shown = pyqtSignal(object)
    """A Frame that went to the window."""
    orbit_changed = pyqtSignal(object, float)
    """Orbit and horizontal field of view in degrees."""
    badge_changed = pyqtSignal(object)
    """str or None: a quiet remark on the view."""
    readout_ready = pyqtSignal(object)
    """PerformanceReadout."""
    kept = pyqtSignal(object)
    """The Running that goes on after a change failed."""

    def __init__(self, mailbox: Mailbox, wish: Wish, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._mailbox = mailbox
        self._wish = wish
        self._running: Running | None = None
        scene = PRESETS["demo"]
        self._orbit = scene.home()
        self._fov_x_deg = math.degrees(scene.camera_angle_x_rad)
        self._width_px, self._height_px = scene.width_px, scene.height_px
        self._target_fps = 30.0
        self._seq = 0
        self._shown_seq = -1
        self._performance = _Performance()
        self._readout_timer = QTimer(self, interval=_READOUT_MS)
        self._readout_timer.timeout.connect(self._read_out)
        self._inertia = False
        self._velocity = _Velocity()
        self._glide_timer = QTimer(self, interval=_INERTIA_TICK_MS)
        self._glide_timer.timeout.connect(self._glide)

    @property
    def orbit(self) -> Orbit:
        """Where the camera is."""
        return self._orbit

    @property
    def running(self) -> Running | None:
        """What renders now; None before the first light field is open."""
        return self._running

    def camera(self) -> Camera:
        """The camera of the next request."""
        focal_px = focal_from_angle(self._width_px, math.radians(self._fov_x_deg))
        return self._orbit.camera(self._width_px, self._height_px, focal_px)

    def start(self) -> None:
        """Ask for the first light field."""
        self._mailbox.want(self._wish)

    # Wishes

    def choose_precision(self, precision: Precision) -> None:
        """Ask for another precision of the same light field."""
        self.want(replace(self._wish, precision=precision))

    def open(self, checkpoint: str) -> None:
        """Ask for another light field, with the same engine choices."""
        self.want(replace(self._wish, checkpoint=checkpoint, scene=None))

    def set_canonical(self, on: bool) -> None:
        """Re-base rays on the trained sphere, or leave them as the camera makes them."""
        self.want(replace(self._wish, rays="canonical" if on else "plain"))

    def want(self, wish: Wish) -> None:
        """Ask for exactly this."""
        self._wish = wish
        self._mailbox.want(wish)

    def running_changed(self, running: Running) -> None:
        """The render thread has something new to render with."""
        before, self._running = self._running, running
        if before is None or (
            (before.wish.checkpoint, before.scene) != (running.wish.checkpoint, running.scene)
        ):
            self._enter(running.scene)
        self.refresh()

    def failed(self, wish: Wish) -> None:
        """A wish failed; what ran before runs on."""
        # One that was made since is still to be answered.
        if self._running is not None and wish == self._wish:
            self._wish = self._running.wish
            self.kept.emit(self._running)

    def _enter(self, scene: SceneSpec) -> None:
        self._glide_timer.stop()
        # Frames that answer requests made until now have the camera of another scene.
        self._shown_seq = self._seq + 1
        self._orbit = scene.home()
        self._fov_x_deg = math.degrees(scene.camera_angle_x_rad)
        self._width_px, self._height_px = scene.width_px, scene.height_px
        self.orbit_changed.emit(self._orbit, self._fov_x_deg)

    # Gestures

    def drag_started(self) -> None:
        """The pointer went down on the picture."""
        self._glide_timer.stop()
        self._velocity.clear()

    def orbit_dragged(self, dx_px: float, dy_px: float) -> None:
        """Turn with the pointer, in logical pixels of the window."""
        azimuth, elevation = -dx_px * DEGREES_PER_PX, dy_px * DEGREES_PER_PX
        self._velocity.add(azimuth, elevation)
        self._move(self._orbit.orbited(azimuth, elevation))

    def drag_finished(self) -> None:
        """The pointer went up; with inertia the camera glides on."""
        if self._inertia and self._velocity.measure():
            self._glide_timer.start()

    def pan_dragged(self, dx_px: float, dy_px: float) -> None:
        """Move the pivot with the pointer, in image pixels."""
        self._move(self._orbit.panned(dx_px, dy_px, self.camera().focal_px))

    def zoomed(self, factor: float, x_px: float, y_px: float) -> None:
        """Change the distance, keeping what lies under the pointer (image pixels) in place."""
        reach = self._scene().view_radius
        low, high = (share * reach for share in _RADIUS_RANGE_IN_VIEW_RADII)
        focal_px = self.camera().focal_px
        self._move(self._orbit.zoomed(factor, (x_px, y_px), focal_px, (low, high)))

    def view_requested(self, name: str) -> None:
        """Go to a named view; `home` also resets the field of view."""
        self._glide_timer.stop()
        home = self._scene().home()
        if name == "home":
            self._fov_x_deg = math.degrees(self._scene().camera_angle_x_rad)
            self._move(home)
        else:
            azimuth_deg, elevation_deg = _VIEWS_DEG[name]
            self._move(replace(home, azimuth_deg=azimuth_deg, elevation_deg=elevation_deg))

    def set_orbit(self, orbit: Orbit) -> None:
        """Go to a typed camera."""
        self._glide_timer.stop()
        self._move(orbit)

    def set_fov_x_deg(self, fov_x_deg: float) -> None:
        """Change the horizontal field of view."""
        self._fov_x_deg = fov_x_deg
        self._move(self._orbit)

    def set_render_size(self, width_px: int, height_px: int) -> None:
        """Render that many pixels."""
        self._width_px, self._height_px = width_px, height_px
        self.refresh()

    def set_target_fps(self, images_per_s: float) -> None:
        """Aim for that many pictures a second while the camera moves."""
        self._target_fps = images_per_s

    def set_inertia(self, on: bool) -> None:
        """Let the camera glide on after a drag, or stop at once."""
        self._inertia = on
        if not on:
            self._glide_timer.stop()

    def _scene(self) -> SceneSpec:
        return self._running.scene if self._running else PRESETS["demo"]

    def _glide(self) -> None:
        step = self._velocity.decay()
        if step is None:
            self._glide_timer.stop()
        else:
            self._move(self._orbit.orbited(*step))

    def _move(self, orbit: Orbit) -> None:
        self._orbit = orbit
        self.orbit_changed.emit(orbit, self._fov_x_deg)
        self.refresh()

    def refresh(self) -> None:
        """Ask for a picture of the camera as it is."""
        if self._running is None:
            return
        created_s = time.perf_counter()
        camera = self.camera()
        self.badge_changed.emit(
            self._running.scene.outside_trained_views(camera.position, self._running.ray_mode)
        )
        self._seq += 1
        self._mailbox.submit(RenderRequest(self._seq, camera, 1e3 / self._target_fps, created_s))

    # Frames

    def frame_ready(self, frame: Frame) -> None:
        """Show a frame unless it is stale.

        A newer request is no reason to drop it, or the picture would freeze during a drag.
        """
        if (
            self._running is None
            or frame.epoch != self._running.epoch
            or frame.seq < self._shown_seq
        ):
            return
        self._shown_seq = frame.seq
        self._performance.add(frame)
        self.frame_shown.emit(frame)
        if frame.network_rays and not self._readout_timer.isActive():
            self._readout_timer.start()

    def painted(self, seq: int) -> None:
        """A frame's pixels reached the screen."""
        self._performance.painted(seq)

    def _read_out(self) -> None:
        self.readout_ready.emit(self._performance.readout())
        if self._performance.idle():
            self._readout_timer.stop()


class _Velocity:
    """How fast the last part of a drag turned, and how it fades: degrees and seconds."""

    def __init__(self) -> None:
        self._moves: deque[tuple[float, float, float]] = deque(maxlen=6)
        self._azimuth_per_s = self._elevation_per_s = 0.0
        self._last_s = 0.0

    def clear(self) -> None:
        self._moves.clear()

    def add(self, azimuth_deg: float, elevation_deg: float) -> None:
        self._moves.append((time.perf_counter(), azimuth_deg, elevation_deg))

    def measure(self) -> bool:
        """Take the speed at release; False where the pointer had come to rest."""
        now = time.perf_counter()
        recent = [move for move in self._moves if now - move[0] < 0.1]
        if len(recent) < 2:
            return False
        seconds = max(now - recent[0][0], 1e-3)
        self._azimuth_per_s = sum(move[1] for move in recent) / seconds
        self._elevation_per_s = sum(move[2] for move in recent) / seconds
        self._last_s = now
        return True

    def decay(self) -> tuple[float, float] | None:
        """The turn since the last call; None once it has come to rest.

        Follows the clock, so a slow frame makes a longer step and not a longer glide.
        """
        now = time.perf_counter()
        seconds, self._last_s = now - self._last_s, now
        step = self._azimuth_per_s * seconds, self._elevation_per_s * seconds
        fade = 0.5 ** (seconds / _INERTIA_HALF_LIFE_S)
        self._azimuth_per_s *= fade
        self._elevation_per_s *= fade
        speed = math.hypot(self._azimuth_per_s, self._elevation_per_s)
        return None if speed < _INERTIA_STOP_DEG_PER_S else step


class _Performance:
    """Rolling measurements of shown frames."""

    def __init__(self) -> None:
        self._frames: deque[tuple[float, Frame]] = deque(maxlen=240)
        self._latencies_ms: deque[float] = deque(maxlen=60)
        self._created_s: dict[int, float] = {}

    def add(self, frame: Frame) -> None:
        if frame.network_rays == 0:
            return  # a picture shown again: nothing was rendered that could be measured
        # The first picture of a request answers the gesture; later ones only refine it.
        if not self._frames or frame.seq > self._frames[-1][1].seq:
            self._created_s[frame.seq] = frame.created_s
        self._frames.append((time.perf_counter(), frame))

    def painted(self, seq: int) -> None:
        if (created_s := self._created_s.pop(seq, None)) is not None:
            self._latencies_ms.append((time.perf_counter() - created_s) * 1e3)
            self._created_s = {s: t for s, t in self._created_s.items() if s > seq}

    def idle(self) -> bool:
        return not self._frames or time.perf_counter() - self._frames[-1][0] > _RATE_WINDOW_S

    def readout(self) -> PerformanceReadout:
        now = time.perf_counter()
        recent = [frame for at, frame in self._frames if now - at <= _RATE_WINDOW_S]
        network_s = sum(frame.timings.total_ms for frame in recent) / 1e3
        rays = sum(frame.network_rays for frame in recent)
        last = self._frames[-1][1]
        return PerformanceReadout(
            images_per_s=len(recent) / _RATE_WINDOW_S,
            frame_ms=last.elapsed_ms,
            krays_per_s=rays / network_s / 1e3 if network_s > 0 else 0.0,
            latency_ms=self._latencies_ms[-1] if self._latencies_ms else 0.0,
            stride=last.stride,
            width_px=last.camera.width_px,
            height_px=last.camera.height_px,
            memory_mb=_resident_mb(),
            history=tuple(frame.timings.total_ms for _, frame in self._frames),
        )


def _resident_mb() -> float:
    import psutil

    return float(psutil.Process().memory_info().rss) / 1e6
