"""Mouse, wheel and keys over a picture, turned into orbit, pan and zoom signals."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QFocusEvent, QHideEvent, QKeyEvent, QMouseEvent, QWheelEvent
from PyQt6.QtWidgets import QWidget

from viewer.widgets.picture.file_drop import FileDrop

GESTURES: tuple[tuple[str, str], ...] = (
    ("Drag", "Orbit"),
    ("Shift+drag, middle drag", "Pan"),
    ("Double-click", "Turn about the point there"),
    ("Wheel", "Zoom towards the pointer"),
    ("Ctrl+wheel", "Magnify the pixels under the pointer"),
    ("Ctrl+drag", "Move the magnified picture"),
    ("Click on a pose's dot", "Go to that pose of the dataset"),
    ("Right-click", "Follow this pixel through the layers"),
    ("Right-drag", "Measure this part of the pictures"),
    ("Hold X", "Show B in the flip view"),
    ("Arrow keys", "Orbit in steps"),
    ("Shift+arrow keys", "Pan in steps"),
    ("+  −", "Zoom in, out"),
    ("W A S D", "Fly ahead, left, back, right"),
    ("Q  E", "Fly down, up"),
    ("Shift while flying", "Four times as fast"),
    ("Drop a file or folder", "Open a light field or dataset"),
)
"""What can be done with the pointer and the keys of the picture, for the list of keys."""

_WHEEL_BASE = 0.999
"""Zoom factor for each eighth of a degree the wheel turns: one notch (120) is 0.887."""
_KEY_STEP_PX = 20.0
_KEY_ZOOM_NOTCHES = 120
_ARROWS: dict[int, tuple[float, float]] = {
    Qt.Key.Key_Left: (-1.0, 0.0),
    Qt.Key.Key_Right: (1.0, 0.0),
    Qt.Key.Key_Up: (0.0, -1.0),
    Qt.Key.Key_Down: (0.0, 1.0),
}
_FLIGHT: dict[int, tuple[int, int, int]] = {
    Qt.Key.Key_W: (0, 0, 1),
    Qt.Key.Key_S: (0, 0, -1),
    Qt.Key.Key_D: (1, 0, 0),
    Qt.Key.Key_A: (-1, 0, 0),
    Qt.Key.Key_E: (0, 1, 0),
    Qt.Key.Key_Q: (0, -1, 0),
}
"""Right, up and ahead of each key that flies while it is held."""
_PULLED_PX = 5.0
"""A right button that moves less far was only pressed."""
_NOTCH = 120
"""Eighths of a degree of one step of a wheel with steps."""
_COMMAND_KEYS = (
    Qt.KeyboardModifier.ControlModifier
    | Qt.KeyboardModifier.AltModifier
    | Qt.KeyboardModifier.MetaModifier
)


class PictureGestures(FileDrop):
    """Base of a widget that shows a picture: says what the user's hand does, decides nothing."""

    orbit_dragged = pyqtSignal(float, float)
    """dx, dy in logical pixels of the widget, right and down."""
    pan_dragged = pyqtSignal(float, float)
    """dx, dy in image pixels, right and down."""
    zoomed = pyqtSignal(float, float, float)
    """Factor (below 1 is closer), then the pointer's x, y from the image centre in image pixels."""
    centred = pyqtSignal(float, float)
    """The point to look at: x, y from the image centre in image pixels, right and down."""
    flight_changed = pyqtSignal(float, float, float, bool)
    """Right, up and ahead in -1..1, and whether fast; three zeros once all keys are released."""
    drag_started = pyqtSignal()
    drag_finished = pyqtSignal()
    magnified = pyqtSignal(int, QPointF)
    """Steps to magnify the pixels by, and where the pointer is in logical pixels of the widget."""
    clicked = pyqtSignal(float, float)
    """Pressed and let go in one place: x, y from the image centre in image pixels."""
    slid = pyqtSignal(float, float)
    """How far the magnified picture was pulled: dx, dy in logical pixels, right and down."""
    pointed = pyqtSignal(object)
    """Where the pointer is in logical pixels of the widget (QPointF), or None once it has left."""
    framing = pyqtSignal(QPointF, QPointF)
    framed = pyqtSignal(QPointF, QPointF)
    """Two corners of a rectangle that is being pulled, or was: from the image centre in image
    pixels."""
    picked = pyqtSignal(float, float)
    """A point to be looked into: x, y from the image centre in image pixels, right and down."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._button: Qt.MouseButton | None = None
        self._panning = False
        self._sliding = False
        self._moved = False
        self._notches = 0
        self._last = QPointF()
        self._framed_from: QPointF | None = None
        self._flight_keys: set[int] = set()
        self._flight = (0.0, 0.0, 0.0, False)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setCursor(Qt.CursorShape.OpenHandCursor)

    def logical_px_per_image_px(self) -> float:
        """Size of an image pixel in logical pixels of the widget."""
        raise NotImplementedError

    def image_center(self, near: QPointF | None = None) -> QPointF:
        """Centre of the picture in logical pixels of the widget; of several, the one `near`."""
        raise NotImplementedError

    def is_on_picture(self, at: QPointF) -> bool:
        """Whether a position in the widget lies on the picture, not beside it."""
        raise NotImplementedError

    @property
    def dragging(self) -> bool:
        """Whether a button is down and the pointer has moved since."""
        return self._button is not None and self._moved

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Remember where a drag may begin; it begins with the first movement."""
        assert event is not None
        button = event.button()
        if button == Qt.MouseButton.RightButton and self.is_on_picture(event.position()):
            self._framed_from = event.position()
        if self._button is not None or button not in (
            Qt.MouseButton.LeftButton,
            Qt.MouseButton.MiddleButton,
        ):
            return
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        self._panning = shift or button == Qt.MouseButton.MiddleButton
        self._sliding = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        self._button, self._last, self._moved = button, event.position(), False
        self.setCursor(
            Qt.CursorShape.SizeAllCursor
            if self._panning or self._sliding
            else Qt.CursorShape.ClosedHandCursor
        )

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Report the point; the second press may begin a drag like any other."""
        assert event is not None
        is_left = event.button() == Qt.MouseButton.LeftButton
        if is_left and self.is_on_picture(event.position()):
            offset = self._from_center(event.position())
            self.centred.emit(offset.x(), offset.y())
        self.mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Report how far the pointer moved since the last report."""
        assert event is not None
        self.pointed.emit(event.position())
        if self._is_framing(event.position()):
            self.framing.emit(*self._corners(event.position()))
        if self._button is None:
            return
        step = event.position() - self._last
        if step.isNull():
            return
        self._last = event.position()
        if self._sliding:
            # Moves what is seen of the picture, not the camera: that is no drag to anyone else.
            self.slid.emit(step.x(), step.y())
            return
        if not self._moved:
            self._moved = True
            self.drag_started.emit()
        if self._panning:
            size = self.logical_px_per_image_px()
            self.pan_dragged.emit(step.x() / size, step.y() / size)
        else:
            self.orbit_dragged.emit(step.x(), step.y())

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """End the drag that this button began."""
        assert event is not None
        if event.button() == Qt.MouseButton.RightButton and self._framed_from is not None:
            if self._is_framing(event.position()):
                self.framed.emit(*self._corners(event.position()))
            else:
                offset = self._from_center(self._framed_from)
                self.picked.emit(offset.x(), offset.y())
            self._framed_from = None
        if event.button() == self._button:
            stayed = not (self._moved or self._sliding)
            self._end_drag()
            if stayed and event.button() == Qt.MouseButton.LeftButton:
                offset = self._from_center(event.position())
                self.clicked.emit(offset.x(), offset.y())

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Zoom smoothly: high-resolution wheels send many small angles. Ctrl: magnify in steps."""
        assert event is not None
        eighths = event.angleDelta().y()
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self._notches += eighths
            steps = int(self._notches / _NOTCH)
            self._notches -= steps * _NOTCH
            if steps:
                self.magnified.emit(steps, event.position())
        elif eighths:
            offset = self._from_center(event.position())
            self.zoomed.emit(_WHEEL_BASE**eighths, offset.x(), offset.y())
        event.accept()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Arrows orbit (Shift: pan), plus and minus zoom about the centre, letters fly."""
        assert event is not None
        key = event.key()
        if key in _FLIGHT and not event.modifiers() & _COMMAND_KEYS:
            if not event.isAutoRepeat():
                self._flight_keys.add(key)
                fast = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
                self._tell_flight(fast)
        elif key == Qt.Key.Key_Shift and self._flight_keys:
            self._tell_flight(fast=True)
        elif key in _ARROWS:
            dx, dy = (_KEY_STEP_PX * part for part in _ARROWS[key])
            if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                size = self.logical_px_per_image_px()
                self.pan_dragged.emit(dx / size, dy / size)
            else:
                self.orbit_dragged.emit(dx, dy)
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self.zoomed.emit(_WHEEL_BASE**_KEY_ZOOM_NOTCHES, 0.0, 0.0)
        elif key in (Qt.Key.Key_Minus, Qt.Key.Key_Underscore):
            self.zoomed.emit(_WHEEL_BASE**-_KEY_ZOOM_NOTCHES, 0.0, 0.0)
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent | None) -> None:
        """End a flight with its last key."""
        assert event is not None
        key = event.key()
        if key in self._flight_keys:
            # Some platforms repeat a held key by releasing and pressing it.
            if not event.isAutoRepeat():
                self._flight_keys.remove(key)
                self._tell_flight(self._flight[-1])
        elif key == Qt.Key.Key_Shift and self._flight_keys:
            self._tell_flight(fast=False)
        else:
            super().keyReleaseEvent(event)

    def let_go(self) -> None:
        """End a drag and a flight as if all were released: the release may never come."""
        self._end_drag()
        self._end_flight()

    def focusOutEvent(self, event: QFocusEvent | None) -> None:
        """Without the keyboard nothing can go on."""
        self.let_go()
        super().focusOutEvent(event)

    def leaveEvent(self, event: QEvent | None) -> None:
        """Nothing is pointed at any more."""
        self.pointed.emit(None)
        super().leaveEvent(event)

    def hideEvent(self, event: QHideEvent | None) -> None:
        """End a drag and a flight with the widget."""
        self.let_go()
        super().hideEvent(event)

    def _is_framing(self, at: QPointF) -> bool:
        """Whether the right button was pulled, and not only pressed."""
        start = self._framed_from
        return start is not None and (at - start).manhattanLength() >= _PULLED_PX

    def _corners(self, at: QPointF) -> tuple[QPointF, QPointF]:
        """Both corners from the centre of the picture that the first lies on."""
        start = self._framed_from
        assert start is not None
        first = self._from_center(start)
        return first, first + (at - start) / self.logical_px_per_image_px()

    def _from_center(self, at: QPointF) -> QPointF:
        return (at - self.image_center(at)) / self.logical_px_per_image_px()

    def _tell_flight(self, fast: bool) -> None:
        ways = [_FLIGHT[key] for key in self._flight_keys]
        right, up, ahead = (float(sum(way[axis] for way in ways)) for axis in range(3))
        flight = (right, up, ahead, fast and bool(self._flight_keys))
        if flight != self._flight:
            self._flight = flight
            self.flight_changed.emit(*flight)

    def _end_flight(self) -> None:
        if self._flight_keys:
            self._flight_keys.clear()
            self._tell_flight(fast=False)

    def _end_drag(self) -> None:
        if self._button is None:
            return
        moved = self._moved
        self._button, self._moved = None, False
        self.setCursor(Qt.CursorShape.OpenHandCursor)
        if moved:
            self.drag_finished.emit()
