"""What each of the panes A to D shows: a precision on an engine, of the open light field or of
another, or the ground truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from r2l_core.types import Availability, Precision
from viewer.state.panes import LETTERS, TRUTH, PaneChoice
from viewer.state.view_state import next_source
from viewer.widgets.compare.pane_row import PaneOffers, PaneRow
from viewer.widgets.controls.flat import FlatButton
from viewer.widgets.controls.wording import distinct_names

_ADD = "Compare with one more: the truth, eight bits, another precision; four at most"


class PaneSetup(QWidget):
    """One row a pane. Says what was chosen; the labels above the pictures say what ran."""

    panes_changed = pyqtSignal(tuple)
    """tuple[PaneChoice, ...] of the panes from A on."""
    pane_removed = pyqtSignal(int)
    """Position of the pane that should go."""
    active_changed = pyqtSignal(int)
    """Position of the pane that the digit keys and the engine card are about."""
    file_wanted = pyqtSignal(int)
    """Position of the pane that should show a light field from a file."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Panes")
        # Rows stay close together, whatever room there is below them.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self._panes: tuple[PaneChoice, ...] = ()
        self._active = 0
        self._offers = PaneOffers()
        self._own = ""
        self._light_fields: tuple[str, ...] = ()
        self._rows: list[PaneRow] = []
        self._add = FlatButton("Add a pane", _ADD, self)
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
        truths: Mapping[str, Availability],
        engines: Mapping[Precision, Sequence[str]],
        of_others: Mapping[Precision, Availability],
    ) -> None:
        """Offer precisions in their order, ground truths, the engines of each precision, and the
        precisions of light fields other than the open one."""
        self._offers = replace(
            self._offers,
            precisions=dict(precisions),
            of_others=dict(of_others),
            truths=truths,
            engines={one: tuple(names) for one, names in engines.items()},
        )
        self._rebuild()

    def set_light_fields(self, own: str, others: Sequence[str]) -> None:
        """Offer light fields, names or paths: the open one, and others."""
        self._own, self._light_fields = own, tuple(others)
        self._rebuild()

    def show_panes(self, panes: Sequence[PaneChoice]) -> None:
        """Show what is chosen, 1 to 4 panes; reports nothing."""
        if tuple(panes) != self._panes:
            self._panes = tuple(panes)
            self._active = min(self._active, len(self._panes) - 1)
            self._rebuild()

    def set_active(self, position: int) -> None:
        """Make a pane the active one, and report it if it was not."""
        if position != self._active and position < len(self._panes):
            self._active = position
            for at, row in enumerate(self._rows):
                row.show_active(at == position)
            self.active_changed.emit(position)

    def show_light_field(self, position: int, checkpoint: str) -> None:
        """Let a pane show another light field, as a dropped file does."""
        if position < len(self._rows):
            self._rows[position].choose_light_field(checkpoint)

    def add_up_to(self, count: int) -> None:
        """Have at least that many panes, as far as there are precisions for them."""
        while len(self._panes) < count and self._next_source() is not None:
            self._add_pane()

    def _replace(self, position: int, choice: PaneChoice) -> None:
        panes = list(self._panes)
        panes[position] = choice
        self._tell(panes)

    def _next_source(self) -> Precision | str | None:
        return next_source(self._panes, self._offers.precisions, self._offers.truths[TRUTH])

    def _add_pane(self) -> None:
        source = self._next_source()
        if source is not None:
            self._tell([*self._panes, PaneChoice(source)])

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
        others = (pane.checkpoint for pane in self._panes if pane.checkpoint is not None)
        light_fields = filter(None, (self._own, *self._light_fields, *others))
        offers = replace(self._offers, own=self._own, light_fields=distinct_names(light_fields))
        for at, (row, pane) in enumerate(zip(self._rows, self._panes, strict=True)):
            row.fill(pane, offers)
            row.show_active(at == self._active)
            row.remove.setEnabled(len(self._panes) > 1)
        full = len(self._panes) >= len(LETTERS)
        self._add.setEnabled(bool(offers.precisions) and not full)
        self._add.setToolTip("Four panes are the most" if full else _ADD)

    def _make_row(self, at: int) -> PaneRow:
        row = PaneRow(LETTERS[at], self)
        row.file_wanted.connect(lambda: self.file_wanted.emit(at))
        row.chosen.connect(lambda choice: self._replace(at, choice))
        row.remove.clicked.connect(lambda: self.pane_removed.emit(at))
        row.letter.clicked.connect(lambda: self._click_letter(at))
        self._list.addWidget(row)
        # At once: the layout alone would show it with the next event.
        row.show()
        return row

    def _click_letter(self, position: int) -> None:
        self.set_active(position)
        for at, row in enumerate(self._rows):
            row.show_active(at == self._active)
