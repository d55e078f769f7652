"""Scripted runs of the real window, with real mouse and key events.

`drag`: one second of warm-up, ten of orbiting at 60 mouse events a second, release, refine until
complete, three idle; then some of the pictures that were shown are rendered exactly and compared.
`all`: every feature once, for the picture and the video of the README.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import imageio.v2 as iio
import numpy as np
from PyQt6.QtCore import QObject, QPointF, Qt, pyqtSignal
from PyQt6.QtWidgets import QWidget

from r2l_core.errors import RecordingError
from r2l_core.render.frames import Frame
from viewer.scripted.pointer import Pointer
from viewer.scripted.tour_film import Film, pixels
from viewer.scripted.tour_scenes import Script, compare, learning, looks, mix, timeline
from viewer.widgets.controls.timers import make_timer

if TYPE_CHECKING:
    from viewer.app import App

WARM_UP_S = 1.0
DRAG_S = 10.0
IDLE_S = 3.0
PATIENCE_S = 3.0
_ORBIT_PX_PER_EVENT = 4.0


@dataclass(frozen=True)
class TourPace:
    """events_per_s: mouse events while a button is down. hurry: seconds of the script that pass in
    a real one. patient: whether each of these events waits for the picture of the one before."""

    events_per_s: int = 60
    hurry: float = 1.0
    patient: bool = False
    window_px: tuple[int, int] = (1440, 900)


REAL_PACE = TourPace()


class Tour(QObject):
    """Runs a script in the event loop: the script yields what to wait for."""

    finished = pyqtSignal()

    def __init__(
        self, app: App, kind: str, screens: Path | None, pace: TourPace = REAL_PACE
    ) -> None:
        super().__init__(app)
        self._pace = pace
        # Films need one size, and an invisible screen may be smaller than a real one.
        app.window.setFixedSize(*pace.window_px)
        self._app = app
        self._screens = screens
        self._film = None if screens is None or kind == "drag" else Film(app, screens / "tour.mp4")
        self._last_frame: Frame | None = None
        app.rendering.frames_shown.connect(self._remember)
        self._pointer = Pointer(app.window.pane)
        look = partial(self._screenshot, "first-look.png")
        self._first_look = make_timer(self, 0, look, once=True)
        if kind == "all":
            app.window.pane.picture_painted.connect(self._painted)
        script = self._drag() if kind == "drag" else self._everything()
        self._script = script
        self._until: Callable[[], bool] = lambda: True
        self._timer = make_timer(self, 1, self._step, once=True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        app.report.first_picture.connect(self._step)

    def _now_s(self) -> float:
        return self._pace.hurry * time.perf_counter()

    def _remember(self, frames: tuple[Frame, ...]) -> None:
        self._last_frame = frames[0]

    def _step(self) -> None:
        if not self._until():
            if self._app.has_failed:
                # What is waited for may never come.
                self._finish()
            else:
                self._timer.start(5)
            return
        try:
            wait = next(self._script)
        except StopIteration:
            self._finish()
            return
        except Exception as error:
            # Nothing else would go on with the script, or close the window.
            self._app.show_error(self._unwritten(error) if isinstance(error, OSError) else error)
            self.finished.emit()
            return
        if callable(wait):
            self._until = wait
            self._timer.start(5)
        else:
            self._until = lambda: True
            self._timer.start(max(0, round(wait * 1e3 / self._pace.hurry)))

    def _finish(self) -> None:
        try:
            if self._film is not None:
                self._film.close()
            self._screenshot("window.png")
        except OSError as error:
            self._app.show_error(self._unwritten(error))
        self.finished.emit()

    def _unwritten(self, error: OSError) -> RecordingError:
        return RecordingError(
            f"The tour's pictures could not be written to {self._screens}",
            str(error),
            "Choose another folder with --screens.",
        )

    def _screenshot(self, name: str, widget: QWidget | None = None) -> None:
        if self._screens is not None:
            self._screens.mkdir(parents=True, exist_ok=True)
            image = (widget or self._app.window).grab().toImage()
            iio.imwrite(self._screens / name, pixels(image))

    def _painted(self, _seq: int, _paint_ms: float) -> None:
        """Keep the window as it was with the first picture of all, before the tour begins."""
        self._app.window.pane.picture_painted.disconnect(self._painted)
        if self._app.rendering.running is None:
            self._first_look.start()

    def _shown(self) -> bool:
        """Whether the last picture is one of where the camera is now."""
        frame, wanted = self._last_frame, self._app.camera.camera()
        return frame is not None and np.array_equal(
            frame.camera.T_world_camera, wanted.T_world_camera
        )

    def _complete(self) -> bool:
        return self._shown() and self._last_frame is not None and self._last_frame.complete

    def _measurable(self) -> bool:
        return self._last_frame is not None and self._last_frame.colors is not None

    def _complete_within(self, seconds: float) -> Callable[[], bool]:
        """Complete, or as far as a slow precision gets in that time."""
        until_s = self._now_s() + seconds
        return lambda: self._complete() or self._now_s() >= until_s

    # Scripts

    def _drag(self) -> Script:
        app, report = self._app, self._app.report
        if not app.first_state.comparing:  # several engines have no one speed
            app.render_thread.mailbox.measure(app.camera.camera())
            yield lambda: report.is_measured
        self._pointer.press()
        report.begin_watching()
        yield from self._orbit(WARM_UP_S)
        report.begin_drag()
        yield from self._orbit(DRAG_S)
        report.end_drag()
        released_s = self._now_s()
        self._pointer.release()
        yield self._complete
        report.refined(self._now_s() - released_s)
        # What is compared is asked about its background as well, for the numbers.
        yield lambda: not app.first_state.comparing or self._measurable()
        report.end_watching()
        # The panels' last reading is part of the drag, not of doing nothing.
        yield 1.5
        report.begin_idle()
        yield IDLE_S
        report.end_idle()
        yield from self._judge()

    def _judge(self) -> Script:
        """Compare what was shown during the drag with the exact pictures, one after another."""
        report = self._app.report
        while (camera := report.next_camera()) is not None:
            n_judged = report.n_judged + 1
            self._app.render_thread.mailbox.exact(camera)
            yield partial(report.has_judged, n_judged)

    def _orbit(self, seconds: float, button: Qt.MouseButton = Qt.MouseButton.LeftButton) -> Script:
        """A smooth figure while a button is down: around, and gently up and down."""
        start, events_per_s = self._now_s(), self._pace.events_per_s
        for step in range(round(seconds * events_per_s)):
            due = start + step / events_per_s
            yield max(0.0, due - self._now_s())
            if self._pace.patient:
                yield self._shown
            rise = math.sin(2 * math.pi * step / (4 * events_per_s))
            self._pointer.move(QPointF(_ORBIT_PX_PER_EVENT, 0.6 * rise), button)

    def _everything(self) -> Script:
        app, window = self._app, self._app.window
        if self._film is not None:
            self._film.start()
        app.report.begin_watching()
        yield 1.0
        self._pointer.press()
        yield from self._orbit(3.0)
        self._pointer.release()
        yield self._complete
        running = app.rendering.running
        assert running is not None
        for precision, availability in running.precisions.items():
            if availability.available:
                window.commands.precisions[precision].trigger()
                yield self._runs(precision)
                self._pointer.press()
                yield from self._orbit(1.0)
                self._pointer.release()
                yield self._complete_within(PATIENCE_S)
        window.commands.precisions[running.engine.precision].trigger()
        yield self._runs(running.engine.precision)
        self._pointer.press(Qt.MouseButton.MiddleButton)
        yield from self._orbit(0.7, Qt.MouseButton.MiddleButton)
        self._pointer.release(Qt.MouseButton.MiddleButton)
        for notch in (120, 120, 120, -120, -120):
            self._pointer.wheel(notch)
            yield 0.25
        yield self._complete
        for view in ("top", "front", "side", "home"):
            window.commands.views[view].trigger()
            yield self._complete
            yield 0.3
        for toggle in (
            window.commands.integer_zoom,
            window.commands.inertia,
            window.commands.smooth,
            window.commands.canonical,
            window.commands.hide_panels,
        ):
            for _ in range(2):
                toggle.trigger()
                yield self._complete
                yield 0.5
        yield from compare(app, PATIENCE_S, self._screenshot)
        yield from mix(app, PATIENCE_S, self._screenshot)
        yield from looks(app, PATIENCE_S, self._screenshot)
        yield from learning(app, self._screenshot)
        yield from timeline(app, PATIENCE_S, self._screenshot)
        yield self._complete
        for scheme in ("Light", "Dark", "System"):
            window.commands.themes[scheme].trigger()
            yield 0.5
            self._screenshot(f"window-{scheme.lower()}.png")
        window.commands.keys.trigger()
        yield 0.8
        self._screenshot("keys.png")
        window.commands.keys.trigger()
        window.commands.copy.trigger()
        if self._screens is not None:
            self._app.saving.save_picture(str(self._screens / "picture.png"))
        window.open_requested.emit("no-such-file.safetensors")
        yield lambda: app.has_failed
        app.expect_error()
        yield 1.0
        self._screenshot("error.png")
        window.message.dismiss()
        app.report.end_watching()
        yield self._complete
        yield 0.5

    def _runs(self, precision: object) -> Callable[[], bool]:
        def reached() -> bool:
            running = self._app.rendering.running
            return running is not None and running.engine.precision == precision

        return reached
