"""The time axis with its keyframes and the playhead."""

from __future__ import annotations

import math

from PyQt6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QSizePolicy, QToolTip, QWidget

from viewer.widgets import theme
from viewer.widgets.panels.timeline_readout import TimelineReadout, clock

_MARGIN_PX = 12
_HEIGHT_PX = 44
_AXIS_Y_PX = 16
_KEY_PX = 6.0
_GRAB_PX = 9.0
_LEAST_SPAN_S = 2.0
_ROOM = 1.12
"""Free axis after the end, as a share of the path: the last keyframe can be moved there."""
_NUDGE_S = 0.1
_TICKS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 21600, 86400)
_TICK_GAP_PX = 58
_EMPTY = "No camera path: K adds the present view, or choose a preset"

_UNDO_KEYS = {"Ctrl+Z": "undo", "Ctrl+Shift+Z": "redo", "Ctrl+Y": "redo"}


class TimelineTrack(QWidget):
    """Drag a keyframe to retime it, drag anywhere else to scrub.

    Keys: left and right mark another keyframe, with Shift they retime the marked one, with Ctrl
    they change its place; Delete, Space, Ctrl+Z and Ctrl+Shift+Z as everywhere.
    """

    scrubbed = pyqtSignal(float)
    """Seconds to show."""
    selected = pyqtSignal(int)
    retimed = pyqtSignal(int, float)
    """A keyframe, and the seconds it is to be reached at; may be before or after others."""
    moved = pyqtSignal(int, int)
    """A keyframe, and the place it is to have among the others."""
    delete_requested = pyqtSignal()
    play_requested = pyqtSignal()
    undo_requested = pyqtSignal()
    redo_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Camera path")
        self.setAccessibleDescription(
            "Left and right choose a keyframe, Shift retimes it, Ctrl changes its place."
        )
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._readout = TimelineReadout()
        self._seconds = 0.0
        self._dragged: int | None = None
        self._drag_s: float | None = None
        self._pressed_x = 0.0
        self._scrubs = False

    def sizeHint(self) -> QSize:
        """As wide as there is room."""
        return QSize(420, _HEIGHT_PX)

    def minimumSizeHint(self) -> QSize:
        """Still enough for a few keyframes."""
        return QSize(120, _HEIGHT_PX)

    def show_readout(self, readout: TimelineReadout) -> None:
        """Show another path."""
        self._readout = readout
        self._dragged = self._drag_s = None
        self.update()

    def show_time(self, seconds: float) -> None:
        """Move the playhead."""
        self._seconds = seconds
        self.update()

    # Places

    @property
    def _span_s(self) -> float:
        return max(_LEAST_SPAN_S, self._readout.seconds * _ROOM)

    def x_of(self, seconds: float) -> float:
        """Where a time lies, in logical pixels."""
        return _MARGIN_PX + seconds / self._span_s * (self.width() - 2 * _MARGIN_PX)

    def _seconds_at(self, x: float) -> float:
        share = (x - _MARGIN_PX) / max(1, self.width() - 2 * _MARGIN_PX)
        return max(0.0, share * self._span_s)

    def _key_at(self, x: float) -> int | None:
        times = self._readout.key_seconds
        nearest = min(range(len(times)), key=lambda at: abs(self.x_of(times[at]) - x), default=None)
        if nearest is None or abs(self.x_of(times[nearest]) - x) > _GRAB_PX:
            return None
        return nearest

    # Input

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Take a keyframe, or begin to scrub."""
        assert event is not None
        if event.button() != Qt.MouseButton.LeftButton or not self._readout.key_seconds:
            return
        x = event.position().x()
        self._pressed_x, self._dragged = x, self._key_at(x)
        if self._dragged is None:
            self._scrubs = True
            self._scrub(x)
        else:
            # Its keys are about this keyframe now; elsewhere they stay those of the picture.
            self.setFocus(Qt.FocusReason.MouseFocusReason)
            self.selected.emit(self._dragged)
            # Showing the selection has let go of it.
            self._dragged = self._key_at(x)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Move what is held; say what is pointed at."""
        assert event is not None
        x = event.position().x()
        if self._scrubs:
            self._scrub(x)
        elif self._dragged is not None:
            if self._drag_s is not None or abs(x - self._pressed_x) > 3:
                self._drag_s = self._seconds_at(x)
                QToolTip.showText(event.globalPosition().toPoint(), clock(self._drag_s), self)
                self.update()
        else:
            over = self._key_at(x)
            self.setCursor(
                Qt.CursorShape.ArrowCursor if over is None else Qt.CursorShape.SizeHorCursor
            )
            self.setToolTip(
                ""
                if over is None
                else f"Keyframe {over + 1} at {clock(self._readout.key_seconds[over])}"
            )

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """A keyframe that was dragged has its new time: one edit, however long the drag."""
        assert event is not None
        if event.button() != Qt.MouseButton.LeftButton:
            return
        self._scrubs = False
        index, seconds = self._dragged, self._drag_s
        self._dragged = self._drag_s = None
        if index is not None and seconds is not None:
            self.retimed.emit(index, seconds)
        self.update()

    def event(self, event: QEvent | None) -> bool:
        """Undo belongs to the path while the path has the keyboard, and not to the camera."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride:
            chord = event.keyCombination()
            if _name(chord.key(), chord.keyboardModifiers()) in _UNDO_KEYS:
                event.accept()
                return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """See the class."""
        assert event is not None
        key, modifiers = Qt.Key(event.key()), event.modifiers()
        wanted = _UNDO_KEYS.get(_name(key, modifiers))
        if wanted is not None:
            (self.undo_requested if wanted == "undo" else self.redo_requested).emit()
        elif key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self._step(1 if key == Qt.Key.Key_Right else -1, modifiers)
        elif key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.delete_requested.emit()
        elif key == Qt.Key.Key_Space:
            self.play_requested.emit()
        else:
            super().keyPressEvent(event)

    def _step(self, by: int, modifiers: Qt.KeyboardModifier) -> None:
        times, at = self._readout.key_seconds, self._readout.selected
        if not times:
            return
        if at is None:
            self.selected.emit(0)
        elif modifiers & Qt.KeyboardModifier.ShiftModifier:
            self.retimed.emit(at, max(0.0, times[at] + by * _NUDGE_S))
        elif 0 <= at + by < len(times):
            if modifiers & Qt.KeyboardModifier.ControlModifier:
                self.moved.emit(at, at + by)
            else:
                self.selected.emit(at + by)

    def _scrub(self, x: float) -> None:
        self.scrubbed.emit(min(self._seconds_at(x), self._readout.seconds))

    # Painting

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint axis, keyframes and playhead."""
        painter = QPainter(self)
        tones = theme.tones_of(self)
        readout = self._readout
        if not readout.key_seconds:
            painter.setPen(QColor(tones.muted))
            text = self.fontMetrics().elidedText(
                _EMPTY, Qt.TextElideMode.ElideRight, self.width() - 2 * _MARGIN_PX
            )
            flags = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
            painter.drawText(self.rect().adjusted(_MARGIN_PX, 0, 0, 0), int(flags), text)
        else:
            self._paint_axis(painter, tones)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            for index, seconds in enumerate(readout.key_seconds):
                held = index == self._dragged and self._drag_s is not None
                shown_s = self._drag_s if held and self._drag_s is not None else seconds
                self._paint_key(painter, tones, self.x_of(shown_s), index == readout.selected)
            self._paint_playhead(painter, tones)
        if self.hasFocus():
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(tones.accent), 1))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))

    def _paint_axis(self, painter: QPainter, tones: theme.Tones) -> None:
        readout, y = self._readout, _AXIS_Y_PX
        left, right = self.x_of(0.0), self.width() - _MARGIN_PX
        painter.setPen(QPen(QColor(tones.line), 2))
        painter.drawLine(QPointF(left, y), QPointF(right, y))
        if readout.loop and readout.key_seconds:
            pen = QPen(QColor(tones.muted), 2, Qt.PenStyle.DotLine)
            painter.setPen(pen)
            last = self.x_of(readout.key_seconds[-1])
            painter.drawLine(QPointF(last, y), QPointF(self.x_of(readout.seconds), y))
        painter.setPen(QPen(QColor(tones.muted), 2))
        painter.drawLine(QPointF(left, y), QPointF(self.x_of(readout.key_seconds[-1]), y))
        per_s = (right - left) / self._span_s
        step = next((one for one in _TICKS_S if one * per_s >= _TICK_GAP_PX), _TICKS_S[-1])
        painter.setFont(theme.font(self, 0.85, tabular=True))
        painter.setPen(QColor(tones.muted))
        # Words end before the edge, or they would be cut off there.
        for number in range(math.floor(self._span_s / step) + 1):
            x = self.x_of(number * step)
            painter.drawLine(QPointF(x, y + 7), QPointF(x, y + 11))
            words = f"{number * step:g} s"
            width = painter.fontMetrics().horizontalAdvance(words)
            if x + width / 2 <= self.width():
                box = QRectF(max(0.0, x - width / 2), y + 13, width + 1, self.height() - y - 13)
                painter.drawText(box, int(Qt.AlignmentFlag.AlignTop), words)

    def _paint_key(self, painter: QPainter, tones: theme.Tones, x: float, chosen: bool) -> None:
        size = _KEY_PX * (1.25 if chosen else 1.0)
        diamond = QPolygonF(
            [
                QPointF(x, _AXIS_Y_PX - size),
                QPointF(x + size, _AXIS_Y_PX),
                QPointF(x, _AXIS_Y_PX + size),
                QPointF(x - size, _AXIS_Y_PX),
            ]
        )
        painter.setPen(QPen(QColor(tones.text), 1.5 if chosen else 1))
        painter.setBrush(QColor(tones.accent if chosen else tones.button))
        painter.drawPolygon(diamond)

    def _paint_playhead(self, painter: QPainter, tones: theme.Tones) -> None:
        x = self.x_of(self._seconds)
        painter.setPen(QPen(QColor(tones.text), 1.5))
        painter.drawLine(QPointF(x, 2), QPointF(x, _AXIS_Y_PX + 10))
        painter.setBrush(QColor(tones.text))
        painter.drawPolygon(QPolygonF([QPointF(x - 4, 0), QPointF(x + 4, 0), QPointF(x, 6)]))


def _name(key: Qt.Key, modifiers: Qt.KeyboardModifier) -> str:
    control = bool(modifiers & Qt.KeyboardModifier.ControlModifier)
    shift = bool(modifiers & Qt.KeyboardModifier.ShiftModifier)
    letter = {Qt.Key.Key_Z: "Z", Qt.Key.Key_Y: "Y"}.get(key, "")
    return f"{'Ctrl+' if control else ''}{'Shift+' if shift else ''}{letter}"
