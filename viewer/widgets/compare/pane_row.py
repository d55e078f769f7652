"""One row of the pane setup: what a pane shows, on which engine, of which light field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from PyQt6.QtCore import QPoint, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QAction, QIcon, QPainter, QPalette, QPixmap
from PyQt6.QtWidgets import QHBoxLayout, QMenu, QVBoxLayout, QWidget

from r2l_core.errors import plain
from r2l_core.types import Availability, Precision
from viewer.state.panes import AUTO, SCENE_TRUTH, TRUTH, TRUTHS, PaneChoice
from viewer.widgets import theme
from viewer.widgets.controls.elided_label import ElidedLabel
from viewer.widgets.controls.flat import FlatButton, FlatCombo, FlatToggle

_SWATCH_PX = 10
_SPACE_PX = 4
_LIGHT_FIELD = "light field"
_TOLD = {
    TRUTH: "The photographs of the open dataset, at their poses",
    SCENE_TRUTH: "What the scene itself shows, from anywhere",
}
_NO_TRUTH = Availability(False, "this light field has no ground truth")


@dataclass(frozen=True)
class PaneOffers:
    """What panes can show: precisions in their order, of the open light field and of others; ground
    truths, the engines of each precision; light fields by name or path, each with a short name,
    `own` being the open one."""

    precisions: Mapping[Precision, Availability] = field(default_factory=dict)
    of_others: Mapping[Precision, Availability] = field(default_factory=dict)
    truths: Mapping[str, Availability] = field(default_factory=lambda: {TRUTH: _NO_TRUTH})
    engines: Mapping[Precision, tuple[str, ...]] = field(default_factory=dict)
    own: str = ""
    light_fields: Mapping[str, str] = field(default_factory=dict)


class PaneRow(QWidget):
    """Letter, source, engine, and the button that removes the pane; below it the light field where
    it is not the open one. The list of sources leads on to `menu`, that of light fields."""

    chosen = pyqtSignal(PaneChoice)
    file_wanted = pyqtSignal()
    """Another light field should be chosen from a file."""

    def __init__(self, letter: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.letter = FlatToggle(letter, f"Make {letter} the active pane", self)
        self.letter.setAccessibleName(f"Pane {letter}")
        self._source, self._engine = _SourceCombo(self), FlatCombo(self)
        self._source.setAccessibleName(f"What pane {letter} shows")
        self._engine.setAccessibleName(f"Engine of pane {letter}")
        self._source.activated.connect(self._choose_source)
        self._engine.activated.connect(self._choose_engine)
        self.menu = QMenu(f"Light field of pane {letter}", self)
        self.menu.setToolTipsVisible(True)
        self.remove = FlatButton("×", f"Remove pane {letter}", self)
        self.remove.setAccessibleName(f"Remove pane {letter}")
        for button in (self.letter, self.remove):
            # As narrow as they are high: their texts are signs, and the names beside them long.
            side = button.sizeHint().height()
            button.setFixedSize(side, side)
        self._light_field = ElidedLabel(parent=self)
        self._light_field.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        # Under what it is about, and apart from the next row.
        self._light_field.setContentsMargins(self.letter.width() + _SPACE_PX, 1, 0, 5)
        self._choice = PaneChoice(Precision.FP32)
        self._offers = PaneOffers()
        row = QHBoxLayout()
        row.setSpacing(_SPACE_PX)
        row.addWidget(self.letter)
        row.addWidget(self._source, 8)
        row.addWidget(self._engine, 5)
        row.addWidget(self.remove)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(row)
        column.addWidget(self._light_field)

    def fill(self, choice: PaneChoice, offers: PaneOffers) -> None:
        """Offer everything, the unavailable disabled with its reason, and show `choice`."""
        self._choice, self._offers = choice, offers
        self._source.clear()
        self._source.setToolTip(str(choice.source))
        precisions = offers.precisions if choice.checkpoint is None else offers.of_others
        sources: list[tuple[Precision | str, Availability]] = [*precisions.items()]
        sources += offers.truths.items()
        if choice.source not in dict(sources):
            # Before anything runs, nothing is offered yet.
            sources.append((choice.source, Availability(True)))
        for at, (source, how) in enumerate(sources):
            self._source.addItem(_icon(source, self), str(source), source)
            if not how.available:
                self._source.offer(at, False, f"{source} cannot be shown here: {how.why_not}")
            elif len(offers.truths) > 1 and source in TRUTHS:
                self._source.offer(at, True, _TOLD[source])
        self._source.insertSeparator(self._source.count())
        self._source.addItem("From another file…", _LIGHT_FIELD)
        self._show_source()
        precision = choice.source if isinstance(choice.source, Precision) else None
        names = offers.engines.get(precision, ()) if precision is not None else ()
        self._engine.clear()
        self._engine.addItems([AUTO, *names])
        self._engine.setCurrentText(choice.engine)
        self._engine.setEnabled(bool(names))
        self._engine.setToolTip(
            "The engine that renders this pane; auto takes the fastest."
            if names
            else "There is no choice of engine"
        )
        other = choice.checkpoint
        self._light_field.setVisible(other is not None)
        if other is not None:
            self._light_field.setText(f"of {offers.light_fields.get(other, other)}")
            self._light_field.setToolTip(plain(other))
        self._fill_menu()

    def show_active(self, on: bool) -> None:
        """Mark the active pane."""
        self.letter.setChecked(on)

    def _fill_menu(self) -> None:
        offers, shown = self._offers, self._choice.checkpoint
        self.menu.clear()
        own = offers.light_fields.get(offers.own, "")
        self._add(f"{own} (the open one)" if own else "The open light field", None, shown is None)
        self.menu.addSeparator()
        for checkpoint, name in offers.light_fields.items():
            if checkpoint != offers.own:
                self._add(name, checkpoint, checkpoint == shown)
        self.menu.addSeparator()
        file = QAction("Choose a &file…", self.menu)
        file.triggered.connect(self.file_wanted)
        self.menu.addAction(file)

    def _add(self, text: str, checkpoint: str | None, on: bool) -> None:
        # An ampersand would be taken for a mnemonic.
        action = QAction(text.replace("&", "&&"), self.menu)
        action.setCheckable(True)
        action.setChecked(on)
        action.setToolTip(plain(checkpoint or self._offers.own))
        action.triggered.connect(lambda: self.choose_light_field(checkpoint))
        self.menu.addAction(action)

    def _show_source(self) -> None:
        self._source.setCurrentIndex(self._source.findData(self._choice.source))

    def _choose_source(self, position: int) -> None:
        source = self._source.itemData(position)
        if source == _LIGHT_FIELD:
            self._show_source()
            self.menu.popup(self._source.mapToGlobal(QPoint(0, self._source.height())))
            return
        is_network = isinstance(source, Precision)
        self.chosen.emit(self._choice.showing(source) if is_network else PaneChoice(source))

    def _choose_engine(self, position: int) -> None:
        self.chosen.emit(replace(self._choice, engine=self._engine.itemText(position)))

    def choose_light_field(self, checkpoint: str | None) -> None:
        """Show another light field, or the open one; the ground truth is only of the open one."""
        choice = self._choice
        if checkpoint is not None and not isinstance(choice.source, Precision):
            able = (one for one, how in self._offers.of_others.items() if how.available)
            choice = PaneChoice(next(able, Precision.FP32))
        self.chosen.emit(replace(choice, checkpoint=checkpoint, layers_in_fp32=frozenset()))


class _SourceCombo(FlatCombo):
    """A precision behind its colour."""

    mark_px = _SWATCH_PX + 6

    def paint_mark(self, painter: QPainter, room: QRectF) -> None:
        """Paint the swatch."""
        place = QRectF(room.left(), room.center().y() - _SWATCH_PX / 2, _SWATCH_PX, _SWATCH_PX)
        _paint_source(painter, place, self.currentText(), self)


def _paint_source(painter: QPainter, place: QRectF, source: str, widget: QWidget) -> None:
    color = theme.source_color(source, widget)
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
