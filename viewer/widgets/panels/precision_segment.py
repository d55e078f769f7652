"""One precision in the switch: its colour, its name, its key and what it is."""

from __future__ import annotations

from PyQt6.QtCore import QRect, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QAbstractButton, QSizePolicy, QWidget

from r2l_core.types import Precision
from viewer.widgets import theme

_BAR_PX = 4
_INSET_PX = 7
_KEY_SCALE = 0.88
_LINE_SCALE = 0.82
_REASON_WIDTH_PX = 360
"""A reason is wrapped where it would be wider."""
_ABOUT = {
    Precision.FP32: "32 bits, the yardstick",
    Precision.BF16: "16 bits, coarse steps",
    Precision.FP16: "16 bits, fine steps",
    Precision.INT8_STATIC_SIM: "int8, one scale a layer",
    Precision.INT8_SIM: "int8 computed in fp32",
    Precision.INT8: "8-bit integers",
    Precision.WEIGHTS_BF16: "weights in bf16",
    Precision.WEIGHTS_INT8_FAKE: "weights in 8 bits",
    Precision.DYNAMIC_INT8_FAKE: "all in 8 bits",
}
"""Half a line on what each is."""


class PrecisionSegment(QAbstractButton):
    """Checked means it runs; pending means it was chosen and is being built."""

    def __init__(
        self,
        precision: Precision,
        key: str,
        why_not: str | None,
        parent: QWidget,
        emulated: bool = False,
    ) -> None:
        """`why_not`: why it cannot run here, a sentence, or None where it can. `emulated`: it would
        be computed in another arithmetic."""
        super().__init__(parent)
        self.precision = precision
        self.simulated = emulated or theme.is_simulated(precision)
        """Whether it shows the picture of a precision, and not its speed."""
        self._key = key
        self._pending = False
        stands_in = emulated and not theme.is_simulated(precision)
        about = f"{precision} values in fp32" if stands_in else _ABOUT[precision]
        self._line = about if why_not is None else why_not
        self._wraps = why_not is not None
        # The names of the recipes are long.
        self._scale = 0.88 if precision.published_recipe else 1.0
        self.setText(str(precision))
        self.setAccessibleName(f"Precision {precision}")
        self.setEnabled(why_not is None)
        self.setToolTip(
            f"Render in {precision} ({key}): {self._line}"
            if why_not is None
            else f"{precision} cannot run here. {why_not}"
        )
        self.setAccessibleDescription(self._line)
        self.setCheckable(True)
        # A click must not take the arrow keys away from the picture.
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)

    def nextCheckState(self) -> None:
        """A click alone checks nothing: the segment is checked when its engine runs."""

    def set_pending(self, pending: bool) -> None:
        """Mark as chosen but not yet running."""
        self._pending = pending
        self.update()

    def sizeHint(self) -> QSize:
        """Room for the name, also when it is bold, for the key and for the line below."""
        name = QFontMetrics(theme.font(self, self._scale, bold=True))
        key = QFontMetrics(theme.font(self, _KEY_SCALE))
        line = self._line_metrics()
        width = name.horizontalAdvance(self.text()) + key.horizontalAdvance(self._key) + 4
        if not self._wraps:
            width = max(width, line.horizontalAdvance(self._line))
        return QSize(width + 2 * _INSET_PX, self.heightForWidth(self.width()))

    def hasHeightForWidth(self) -> bool:
        """A reason takes as many lines as it needs."""
        return self._wraps

    def heightForWidth(self, width: int) -> int:
        """Name, line and colour bar."""
        lines = self._line_metrics().height()
        if self._wraps:
            room = QRect(0, 0, self._line_room(width), 10_000)
            wrap = int(Qt.TextFlag.TextWordWrap)
            lines = self._line_metrics().boundingRect(room, wrap, self._line).height()
        name = QFontMetrics(theme.font(self, self._scale, bold=True))
        return name.height() + lines + _BAR_PX + 2

    def _line_metrics(self) -> QFontMetrics:
        return QFontMetrics(theme.font(self, _LINE_SCALE))

    @staticmethod
    def _line_room(width: int) -> int:
        return max(60, min(width, _REASON_WIDTH_PX) - 2 * _INSET_PX)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the cell, its colour bar, its name, its key and its line."""
        tones, enabled = theme.tones_of(self), self.isEnabled()
        color = theme.precision_color(self.precision, theme.is_dark(self.palette()))
        painter = QPainter(self)
        self._paint_cell(painter, tones, color)
        if not enabled:
            color.setAlphaF(0.4)
        bar = QRectF(0, self.height() - _BAR_PX, self.width(), _BAR_PX)
        theme.paint_swatch(painter, bar, color, self.simulated)
        head = QRect(_INSET_PX, 1, self.width() - 2 * _INSET_PX, self.fontMetrics().height())
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.setFont(theme.font(self, self._scale, bold=self.isChecked()))
        painter.setPen(QColor(tones.text if enabled else tones.disabled))
        painter.drawText(head, int(middle | Qt.AlignmentFlag.AlignLeft), self.text())
        painter.setFont(theme.font(self, _KEY_SCALE))
        painter.setPen(QColor(tones.muted if enabled else tones.disabled))
        painter.drawText(head, int(middle | Qt.AlignmentFlag.AlignRight), self._key)
        painter.setFont(theme.font(self, _LINE_SCALE))
        painter.setPen(QColor(tones.muted))
        below = QRect(_INSET_PX, head.bottom() + 1, self._line_room(self.width()), self.height())
        flags = Qt.TextFlag.TextWordWrap if self._wraps else Qt.TextFlag.TextSingleLine
        painter.drawText(below, int(flags), self._line)

    def _paint_cell(self, painter: QPainter, tones: theme.Tones, color: QColor) -> None:
        fill, edge = QColor(tones.button), QPen(QColor(tones.line), 1)
        if not self.isEnabled():
            fill = QColor(tones.window)
        elif self.isChecked():
            fill, edge = theme.mixed(fill, color, 0.24), QPen(color, 1)
        elif self.underMouse():
            fill = theme.mixed(fill, QColor(tones.text), 0.07)
        if self._pending:
            edge = QPen(color, 1, Qt.PenStyle.DashLine)
        cell = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setPen(edge)
        painter.setBrush(fill)
        painter.drawRect(cell)
        if self.hasFocus():
            painter.setPen(QPen(QColor(tones.text), 1))
            painter.drawRect(cell.adjusted(2, 2, -2, -_BAR_PX - 1))
