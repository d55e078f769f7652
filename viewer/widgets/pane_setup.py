"""What each of the panes A to D shows: a precision on an engine, or the ground truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from PyQt6.QtCore import QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QIcon, QPainter, QPixmap, QStandardItemModel
from PyQt6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from r2l_core.types import Availability, Precision
from viewer import theme
from viewer.widgets.flat_button import FlatButton
from viewer.widgets.flat_combo import FlatCombo
from viewer.widgets.flat_toggle import FlatToggle
from viewer.widgets.pane_choice import AUTO, PaneChoice
from viewer.widgets.pane_label import LETTERS, TRUTH

_SWATCH_PX = 10


class PaneSetup(QWidget):
    """One row a pane. Says what was chosen; the labels above the pictures say what ran."""

    panes_changed = pyqtSignal(object)
    """tuple[PaneChoice, ...] of the panes from A on."""
    active_changed = pyqtSignal(int)
    """Position of the pane that the digit keys and the engine card are about."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Panes")
        self._panes: tuple[PaneChoice, ...] = ()
        self._active = 0
        self._precisions: dict[Precision, Availability] = {}
        self._engines: dict[Precision, tuple[str, ...]] = {}
        self._truth = Availability(False, "this light field has no ground truth")
        self._rows: list[_Row] = []
        self._add = FlatButton("Add a pane", "Compare one more precision, four at most", self)
        self._add.clicked.connect(self._add_pane)
        self._list = QVBoxLayout()
        self._list.setSpacing(4)
        foot = QHBoxLayout()
        foot.addWidget(self._add)
        foot.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(self._list)
        column.addLayout(foot)

    @property
    def panes(self) -> tuple[PaneChoice, ...]:
        """What is chosen for each pane."""
        return self._panes

    @property
    def active(self) -> int:
        """Position of the active pane."""
        return self._active

    def set_offers(
        self,
        precisions: Mapping[Precision, Availability],
        truth: Availability,
        engines: Mapping[Precision, Sequence[str]],
    ) -> None:
        """Offer precisions in their order, the ground truth, and the engines of each precision."""
        self._precisions = dict(precisions)
        self._engines = {one: tuple(names) for one, names in engines.items()}
        self._truth = truth
        self._rebuild()

    def show_panes(self, panes: Sequence[PaneChoice]) -> None:
        """Show what is chosen, 1 to 4 panes; reports nothing."""
        if tuple(panes) != self._panes:
            self._panes = tuple(panes)
            self._active = min(self._active, len(self._panes) - 1)
            self._rebuild()

    def show_source(self, precision: Precision) -> None:
        """Show that the active pane shows a precision; reports nothing."""
        panes = list(self._panes) or [PaneChoice(precision)]
        if panes[self._active].source != precision:
            panes[self._active] = PaneChoice(precision)
        self.show_panes(panes)

    def set_active(self, position: int) -> None:
        """Make a pane the active one, and report it if it was not."""
        if position != self._active and position < len(self._panes):
            self._active = position
            for at, row in enumerate(self._rows):
                row.show_active(at == position)
            self.active_changed.emit(position)

    def choose(self, precision: Precision) -> None:
        """Let the active pane show another precision, as a digit key does."""
        if self._panes:
            self._replace(self._active, PaneChoice(precision))

    def add_up_to(self, count: int) -> None:
        """Have at least that many panes, as far as there are precisions for them."""
        while len(self._panes) < count and self._next_source() is not None:
            self._add_pane()

    def _replace(self, position: int, choice: PaneChoice) -> None:
        panes = list(self._panes)
        panes[position] = choice
        self._tell(panes)

    def _next_source(self) -> Precision | None:
        """The first precision that no pane shows yet, or the first at all."""
        used = {pane.source for pane in self._panes}
        able = [one for one, how in self._precisions.items() if how.available]
        return next((one for one in able if one not in used), able[0] if able else None)

    def _add_pane(self) -> None:
        source = self._next_source()
        if source is not None and len(self._panes) < len(LETTERS):
            self._tell([*self._panes, PaneChoice(source)])

    def _remove(self, position: int) -> None:
        before = self._active
        if position < before:
            self._active -= 1
        self._tell([pane for at, pane in enumerate(self._panes) if at != position])
        if self._active != before:
            self.active_changed.emit(self._active)

    def _tell(self, panes: Sequence[PaneChoice]) -> None:
        if tuple(panes) != self._panes:
            self.show_panes(panes)
            self.panes_changed.emit(self._panes)

    def _rebuild(self) -> None:
        # Rows stay where they can: the keyboard is in one of them.
        while len(self._rows) > len(self._panes):
            row = self._rows.pop()
            self._list.removeWidget(row)
            row.hide()
            row.deleteLater()
        while len(self._rows) < len(self._panes):
            self._rows.append(self._make_row(len(self._rows)))
        for at, (row, pane) in enumerate(zip(self._rows, self._panes, strict=True)):
            row.fill(pane, self._precisions, self._truth, self._engines)
            row.show_active(at == self._active)
            row.remove.setEnabled(len(self._panes) > 1)
        full = len(self._panes) >= len(LETTERS)
        self._add.setEnabled(bool(self._precisions) and not full)
        self._add.setToolTip(
            "Four panes are the most" if full else "Compare one more precision, four at most"
        )

    def _make_row(self, at: int) -> _Row:
        row = _Row(LETTERS[at], self)
        row.chosen.connect(lambda choice: self._replace(at, choice))
        row.remove.clicked.connect(lambda: self._remove(at))
        row.letter.clicked.connect(lambda: self._click_letter(at))
        self._list.addWidget(row)
        # At once: the layout alone would show it with the next event.
        row.show()
        return row

    def _click_letter(self, position: int) -> None:
        self.set_active(position)
        for at, row in enumerate(self._rows):
            row.show_active(at == self._active)


class _Row(QWidget):
    """Letter, source, engine and the button that removes the pane."""

    chosen = pyqtSignal(object)
    """PaneChoice."""

    def __init__(self, letter: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.letter = FlatToggle(letter, f"Make {letter} the active pane", self)
        self.letter.setAccessibleName(f"Pane {letter}")
        self._source, self._engine = _SourceCombo(self), FlatCombo(self)
        self._source.setAccessibleName(f"What pane {letter} shows")
        self._engine.setAccessibleName(f"Engine of pane {letter}")
        self._source.activated.connect(self._choose_source)
        self._engine.activated.connect(self._choose_engine)
        self.remove = FlatButton("×", f"Remove pane {letter}", self)
        self.remove.setAccessibleName(f"Remove pane {letter}")
        for button in (self.letter, self.remove):
            button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._choice = PaneChoice(Precision.FP32)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.letter)
        row.addWidget(self._source, 3)
        row.addWidget(self._engine, 2)
        row.addWidget(self.remove)

    def fill(
        self,
        choice: PaneChoice,
        precisions: Mapping[Precision, Availability],
        truth: Availability,
        engines: Mapping[Precision, tuple[str, ...]],
    ) -> None:
        """Offer everything, the unavailable disabled with its reason, and show `choice`."""
        self._choice = choice
        self._source.clear()
        offers = [*precisions.items(), (TRUTH, truth)]
        for at, (source, how) in enumerate(offers):
            self._source.addItem(_icon(source, self), str(source), source)
            if not how.available:
                model = self._source.model()
                assert isinstance(model, QStandardItemModel)
                item = model.item(at)
                assert item is not None
                item.setEnabled(False)
                item.setToolTip(f"{source} cannot be shown here: {how.why_not}")
        self._source.setCurrentIndex(self._source.findData(choice.source))
        names = engines.get(choice.source, ()) if isinstance(choice.source, Precision) else ()
        self._engine.clear()
        self._engine.addItems([AUTO, *names])
        self._engine.setCurrentText(choice.engine)
        self._engine.setEnabled(bool(names))
        self._engine.setToolTip(
            "The engine that renders this pane; auto takes the fastest."
            if names
            else "There is no choice of engine"
        )

    def show_active(self, on: bool) -> None:
        """Mark the active pane."""
        self.letter.setChecked(on)

    def _choose_source(self, position: int) -> None:
        self.chosen.emit(PaneChoice(self._source.itemData(position)))

    def _choose_engine(self, position: int) -> None:
        self.chosen.emit(replace(self._choice, engine=self._engine.itemText(position)))


class _SourceCombo(FlatCombo):
    """A precision behind its colour."""

    mark_px = _SWATCH_PX + 6

    def paint_mark(self, painter: QPainter, room: QRectF) -> None:
        """Paint the swatch."""
        place = QRectF(room.left(), room.center().y() - _SWATCH_PX / 2, _SWATCH_PX, _SWATCH_PX)
        _paint_source(painter, place, self.currentText(), self)


def _paint_source(painter: QPainter, place: QRectF, source: str, widget: QWidget) -> None:
    if source == TRUTH:
        color = QColor(theme.tones_of(widget).text)
    else:
        color = theme.precision_color(source, theme.is_dark(widget.palette()))
    theme.paint_swatch(painter, place, color, theme.is_simulated(source))


def _icon(source: str, widget: QWidget) -> QIcon:
    ratio = widget.devicePixelRatioF()
    pixmap = QPixmap(round(_SWATCH_PX * ratio), round(_SWATCH_PX * ratio))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    _paint_source(painter, QRectF(0, 0, _SWATCH_PX, _SWATCH_PX), str(source), widget)
    painter.end()
    return QIcon(pixmap)
