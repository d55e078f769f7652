"""How much signal each layer keeps when it is quantised, as bars that can be clicked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PyQt6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PyQt6.QtWidgets import QSizePolicy, QToolTip, QWidget

from viewer.widgets import theme

_LEAST_BAR_PX = 5
_ROW_PX = 58
_ROW_GAP_PX = 19
"""Below a row, for the numbers of its layers."""
_NUMBER_EVERY = 10
_AXIS_PX = 24
_LIFTED_PX = 5
"""The zero of an axis, to end with its row."""
_TOP_DB = 60.0
"""Where the axis ends at least; it grows in steps of 20."""
_STEPS: dict[int, tuple[int, int]] = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}


@dataclass(frozen=True)
class LayerSensitivity:
    """A layer: signal to quantisation noise of the picture's rays in dB when it is int8 alone.

    `high`: it runs in float32 now. sqnr_db: NaN where it was not measured, infinite where
    int8 changes nothing.
    """

    name: str
    sqnr_db: float
    high: bool = False

    @property
    def words(self) -> str:
        """For a tooltip."""
        if math.isnan(self.sqnr_db):
            ratio = "not measured"
        else:
            ratio = "no noise at all" if math.isinf(self.sqnr_db) else f"{self.sqnr_db:.1f} dB"
        return f"{self.name}: {ratio}, runs in {'fp32' if self.high else 'int8'}"


class LayerBars(QWidget):
    """As many rows of bars as the width asks for, in the order of the network.

    The keyboard: arrows, Home and End choose a layer, Space or Enter toggles it.
    """

    layer_toggled = pyqtSignal(str, bool)
    """Name of a layer, and whether it should run in float32."""
    pointed = pyqtSignal(str)
    """What is to be said of the layer under the pointer; empty where there is none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layers: tuple[LayerSensitivity, ...] = ()
        self._current = 0
        self._hovered = -1
        self._switchable = True
        self.setAccessibleName("Signal to quantisation noise of each layer in dB")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setMouseTracking(True)
        self.setFont(theme.font(self, 0.85, tabular=True))
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def show_layers(self, layers: Sequence[LayerSensitivity]) -> None:
        """Show these, in this order."""
        self._layers = tuple(layers)
        self._choose(self._current)
        self.updateGeometry()
        self.update()

    def set_switchable(self, on: bool) -> None:
        """Whether a click switches a layer."""
        self._switchable = on

    def hasHeightForWidth(self) -> bool:
        """Narrower means more rows."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Height of all rows."""
        rows = -(-max(len(self._layers), 1) // self._per_row(width))
        return rows * (_ROW_PX + _ROW_GAP_PX)

    def sizeHint(self) -> QSize:
        """Two rows of a usual network."""
        return QSize(240, self.heightForWidth(240))

    def minimumSizeHint(self) -> QSize:
        """Some bars."""
        return QSize(_AXIS_PX + 12 * _LEAST_BAR_PX, _ROW_PX + _ROW_GAP_PX)

    def _per_row(self, width: int) -> int:
        most = max(1, (width - _AXIS_PX) // _LEAST_BAR_PX)
        rows = -(-max(len(self._layers), 1) // most)
        # Rows of one length: 44 and 44 rather than 47 and 41.
        return -(-max(len(self._layers), 1) // rows)

    def _bar(self, position: int) -> QRectF:
        """Where the bar of a layer may be, from the top of its row to its foot."""
        per_row = self._per_row(self.width())
        pitch = (self.width() - _AXIS_PX) / per_row
        row, column = divmod(position, per_row)
        top = row * (_ROW_PX + _ROW_GAP_PX)
        return QRectF(_AXIS_PX + column * pitch, top, pitch, _ROW_PX)

    def _at(self, point: QPointF) -> int:
        per_row = self._per_row(self.width())
        row = int(point.y() // (_ROW_PX + _ROW_GAP_PX))
        column = int((point.x() - _AXIS_PX) / ((self.width() - _AXIS_PX) / per_row))
        position = row * per_row + column
        inside = point.x() >= _AXIS_PX and 0 <= column < per_row
        return position if inside and 0 <= position < len(self._layers) else -1

    # Input

    def _choose(self, position: int) -> None:
        self._current = min(max(position, 0), max(len(self._layers) - 1, 0))
        if self._layers:
            self.setAccessibleDescription(self._layers[self._current].words)
        self.update()

    def _toggle(self) -> None:
        if self._layers and self._switchable:
            layer = self._layers[self._current]
            self.layer_toggled.emit(layer.name, not layer.high)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """A click toggles the layer under the pointer."""
        assert event is not None
        position = self._at(event.position())
        if event.button() == Qt.MouseButton.LeftButton and position >= 0:
            self._choose(position)
            self._toggle()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Mark the layer under the pointer."""
        assert event is not None
        self._hover(self._at(event.position()))

    def leaveEvent(self, event: QEvent | None) -> None:
        """Mark none."""
        super().leaveEvent(event)
        self._hover(-1)

    def _hover(self, position: int) -> None:
        if position != self._hovered:
            self._hovered = position
            over = position >= 0
            self.pointed.emit(self._words(position) if over else "")
            self.setCursor(
                Qt.CursorShape.PointingHandCursor if over else Qt.CursorShape.ArrowCursor
            )
            self.update()

    def _words(self, position: int) -> str:
        return f"{position + 1} of {len(self._layers)}, {self._layers[position].words}"

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Choose a layer and toggle it."""
        assert event is not None
        key = event.key()
        if key in _STEPS:
            columns, rows = _STEPS[key]
            self._choose(self._current + columns + rows * self._per_row(self.width()))
        elif key == Qt.Key.Key_Home:
            self._choose(0)
        elif key == Qt.Key.Key_End:
            self._choose(len(self._layers) - 1)
        elif key in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._toggle()
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent | None) -> bool:
        """A tooltip for each bar."""
        if event is not None and event.type() == QEvent.Type.ToolTip:
            assert isinstance(event, QHelpEvent)
            position = self._at(QPointF(event.pos()))
            if position >= 0:
                words = f"Layer {self._words(position)}."
                QToolTip.showText(event.globalPos(), words, self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)

    # Painting

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint ground, grid and bars."""
        painter, tones, dark = QPainter(self), theme.tones_of(self), theme.is_dark(self.palette())
        measured = [one.sqnr_db for one in self._layers if math.isfinite(one.sqnr_db)]
        top_db = max(_TOP_DB, 20 * math.ceil(max(measured, default=0) / 20))
        per_row = self._per_row(self.width())
        for first in range(0, max(len(self._layers), 1), per_row):
            ground = self._bar(first).united(self._bar(first + per_row - 1))
            self._paint_ground(painter, ground, tones, top_db)
            self._paint_numbers(painter, first, per_row, tones)
        int8, high = theme.precision_color("int8", dark), QColor(tones.muted)
        for position, layer in enumerate(self._layers):
            self._paint_bar(painter, position, layer, high if layer.high else int8, top_db)

    def _paint_ground(
        self, painter: QPainter, ground: QRectF, tones: theme.Tones, top_db: float
    ) -> None:
        painter.fillRect(ground, QColor(tones.base))
        numbers = QRect(0, 0, _AXIS_PX - 5, self.fontMetrics().height())
        # As many lines as have room for their numbers, of which the lowest is lifted a little.
        apart = (numbers.height() + _LIFTED_PX) * top_db / ground.height()
        for db in range(0, round(top_db), 20 * math.ceil(apart / 20)):
            y = round(ground.bottom() - db / top_db * ground.height())
            if db:
                painter.fillRect(QRectF(ground.left(), y, ground.width(), 1), QColor(tones.button))
            numbers.moveCenter(
                QPoint(numbers.center().x(), min(y, round(ground.bottom()) - _LIFTED_PX))
            )
            painter.setPen(QColor(tones.muted))
            painter.drawText(numbers, int(Qt.AlignmentFlag.AlignRight), str(db))

    def _paint_numbers(
        self, painter: QPainter, first: int, per_row: int, tones: theme.Tones
    ) -> None:
        """Count the layers below their bars: the first of a row, and every tenth."""
        painter.setPen(QColor(tones.muted))
        metrics, free = self.fontMetrics(), 0.0
        for position in range(first, min(first + per_row, len(self._layers))):
            number = position + 1
            if position != first and number % _NUMBER_EVERY:
                continue
            text = f"layer {number}" if position == first else str(number)
            bar, width = self._bar(position), metrics.horizontalAdvance(text)
            left = bar.left() if position == first else bar.center().x() - width / 2
            if left >= free and left + width <= self.width():
                painter.drawText(QPointF(left, bar.bottom() + metrics.ascent() + 2), text)
                free = left + width + 6

    def _paint_bar(
        self,
        painter: QPainter,
        position: int,
        layer: LayerSensitivity,
        color: QColor,
        top_db: float,
    ) -> None:
        room, tones = self._bar(position), theme.tones_of(self)
        gap = 1 if room.width() < 10 else 2
        if position == self._hovered:
            painter.fillRect(room, theme.mixed(QColor(tones.base), QColor(tones.text), 0.16))
        finite = layer.sqnr_db if math.isfinite(layer.sqnr_db) else top_db
        share = 0.0 if math.isnan(layer.sqnr_db) else min(max(finite / top_db, 0.02), 1.0)
        bar = QRectF(room)
        bar.setTop(round(room.bottom() - share * room.height()))
        bar.setRight(room.right() - gap)
        # High precision is told by shape as well: only the outline of the bar stays.
        if layer.high:
            painter.setPen(QPen(color, 1))
            painter.drawRect(bar.adjusted(0.5, 0.5, -0.5, -0.5))
        else:
            painter.fillRect(bar, color)
        if position == self._current and self.hasFocus():
            painter.setPen(QPen(QColor(tones.text), 1))
            painter.drawRect(room.adjusted(-0.5, 0.5, -gap + 0.5, -0.5))
