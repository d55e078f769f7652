"""The choice of precision in groups, each with its colour, its key and what it is, or why not."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtCore import QRect, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPalette, QPen, QResizeEvent
from PyQt6.QtWidgets import QAbstractButton, QGridLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from r2l_core.types import Availability, Precision
from viewer.widgets import theme
from viewer.widgets.controls import wording

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


_GAP_PX = 3
_MAX_COLUMNS = 2
_REAL, _SIMULATED = "Runs here", "Simulated"
_RECIPES, _ABSENT = "Published recipes", "Not on this machine"
_GROUPS = {
    _REAL: "Computed in their own arithmetic.",
    _SIMULATED: "Rounded as they round, but computed in fp32: their picture, not their speed.",
    _RECIPES: "What the public R2L-quant scripts compute, for comparison.",
    _ABSENT: "What this machine, or the engine that was asked for, cannot run.",
}
"""Names of the groups, from the top, with what they are."""


class _Segments(QWidget):
    """Segments in as many columns as their names allow."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._segments: list[PrecisionSegment] = []
        self._columns = 0
        self._most_columns = _MAX_COLUMNS
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(_GAP_PX)

    def fill(self, segments: list[PrecisionSegment], most_columns: int) -> None:
        """Take the place of the segments before."""
        self._most_columns = most_columns
        for old in self._segments:
            self._grid.removeWidget(old)
            old.setParent(None)
            old.deleteLater()
        self._segments, self._columns = segments, 0
        for segment in segments:
            segment.setParent(self)
            segment.show()
        self._arrange()

    def minimumSizeHint(self) -> QSize:
        """One column's width: the segments move into fewer columns before anything is cut off."""
        widest = max((one.sizeHint().width() for one in self._segments), default=0)
        return QSize(widest, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Use as many columns as fit now."""
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        if not self._segments:
            return
        widest = max(segment.sizeHint().width() for segment in self._segments)
        fitting = (self.width() + _GAP_PX) // (widest + _GAP_PX)
        columns = max(1, min(self._most_columns, len(self._segments), fitting))
        if columns == self._columns:
            return
        self._columns = columns
        for segment in self._segments:
            self._grid.removeWidget(segment)
        for position, segment in enumerate(self._segments):
            self._grid.addWidget(segment, position // columns, position % columns)
        for column in range(_MAX_COLUMNS):
            self._grid.setColumnStretch(column, 1 if column < columns else 0)
        # At once, so that no paint shows the old columns at the new width.
        self._grid.activate()
        self.updateGeometry()


class PrecisionSwitch(QWidget):
    """Says which precision was chosen; shows only what it is told runs."""

    precision_chosen = pyqtSignal(Precision)

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Precision")
        self._segments: list[PrecisionSegment] = []
        self._offered: dict[Precision, Availability] = {}
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        self._groups: dict[str, tuple[QLabel, _Segments]] = {}
        for name, explanation in _GROUPS.items():
            caption, segments = QLabel(name, self), _Segments(self)
            caption.setFont(theme.font(self, 0.82))
            caption.setForegroundRole(QPalette.ColorRole.PlaceholderText)
            caption.setToolTip(explanation)
            self._groups[name] = caption, segments
            column.addWidget(caption)
            column.addWidget(segments)
            caption.hide()
            segments.hide()

    def set_precisions(self, precisions: Mapping[Precision, Availability]) -> None:
        """Offer `precisions` in their order, the unavailable ones disabled with their reason."""
        if dict(precisions) != self._offered:
            self._offered = dict(precisions)
            self._fill()

    def show_active(self, precision: Precision | None) -> None:
        """Mark the precision that runs; None where no precision does."""
        for segment in self._segments:
            segment.setChecked(segment.precision == precision)
            segment.set_pending(False)

    def show_pending(self, precision: Precision | None) -> None:
        """Mark the precision that was chosen and does not run yet; None for none."""
        for segment in self._segments:
            segment.set_pending(segment.precision == precision and not segment.isChecked())

    def _fill(self) -> None:
        self._segments = []
        for position, (precision, availability) in enumerate(self._offered.items(), start=1):
            why_not = None if availability.available else wording.sentence(availability.why_not)
            emulated = availability.available and availability.emulated
            segment = PrecisionSegment(precision, str(position), why_not, self, emulated)
            segment.clicked.connect(
                lambda _=False, chosen=precision: self.precision_chosen.emit(chosen)
            )
            self._segments.append(segment)
        for name, (caption, place) in self._groups.items():
            of_group = [one for one in self._segments if _group(one) == name]
            place.fill(of_group, 1 if name == _ABSENT else _MAX_COLUMNS)
            caption.setVisible(bool(of_group))
            place.setVisible(bool(of_group))


def _group(segment: PrecisionSegment) -> str:
    if not segment.isEnabled():
        return _ABSENT
    if segment.precision.published_recipe:
        return _RECIPES
    return _SIMULATED if segment.simulated else _REAL
