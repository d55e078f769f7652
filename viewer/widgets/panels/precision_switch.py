"""The choice of precision: one segment each, with its colour, its key and why it is disabled."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtCore import QSize, pyqtSignal
from PyQt6.QtGui import QPalette, QResizeEvent
from PyQt6.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from r2l_core.types import Availability, Precision
from viewer.widgets import theme
from viewer.widgets.panels.precision_segment import PrecisionSegment

_GAP_PX = 3
_MAX_COLUMNS = 3


class _Segments(QWidget):
    """Segments in as many columns as their names allow."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._segments: list[PrecisionSegment] = []
        self._columns = 0
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(_GAP_PX)

    def fill(self, segments: list[PrecisionSegment]) -> None:
        """Take the place of the segments before."""
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
        columns = max(1, min(_MAX_COLUMNS, len(self._segments), fitting))
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

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Precision")
        self._segments: list[PrecisionSegment] = []
        self._offered: dict[Precision, Availability] = {}
        self._own, self._recipes = _Segments(self), _Segments(self)
        self._caption = QLabel("Published recipes", self)
        self._caption.setFont(theme.font(self, 0.9))
        self._caption.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._caption.setToolTip("What the public R2L-quant scripts compute, for comparison.")
        self._caption.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(5)
        column.addWidget(self._own)
        column.addWidget(self._caption)
        column.addWidget(self._recipes)

    def set_precisions(
        self, precisions: Mapping[Precision, Availability], active: Precision
    ) -> None:
        """Offer `precisions` in their order, the unavailable ones disabled with their reason."""
        if dict(precisions) != self._offered:
            self._offered = dict(precisions)
            self._fill()
        self.show_active(active)

    def show_active(self, precision: Precision) -> None:
        """Mark the precision that runs."""
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
            why_not = None if availability.available else availability.why_not
            segment = PrecisionSegment(precision, str(position), why_not, self)
            segment.clicked.connect(
                lambda _=False, chosen=precision: self.precision_chosen.emit(chosen)
            )
            self._segments.append(segment)
        recipes = [one for one in self._segments if one.precision.published_recipe]
        self._own.fill([one for one in self._segments if one not in recipes])
        self._recipes.fill(recipes)
        self._caption.setVisible(bool(recipes))
        self._recipes.setVisible(bool(recipes))
