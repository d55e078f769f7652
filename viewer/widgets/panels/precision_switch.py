"""The choice of precision in groups, each with its colour, its key and what it is, or why not."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtCore import QSize, pyqtSignal
from PyQt6.QtGui import QPalette, QResizeEvent
from PyQt6.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from r2l_core.types import Availability, Precision
from viewer.widgets import theme
from viewer.widgets.controls import wording
from viewer.widgets.panels.precision_segment import PrecisionSegment

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

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
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
