"""The line below the picture: how panes are compared, and the tools of that way."""

from __future__ import annotations

import itertools

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QButtonGroup, QHBoxLayout, QSizePolicy, QSpacerItem, QWidget

from viewer.state.display_options import DifferenceOptions
from viewer.state.panes import LETTERS, CompareMode
from viewer.widgets import theme
from viewer.widgets.compare.color_bar import ColorBar
from viewer.widgets.compare.difference_scale import DifferenceReadout
from viewer.widgets.controls import wording
from viewer.widgets.controls.elided_label import ElidedLabel
from viewer.widgets.controls.flat import FlatButton, FlatCombo, FlatToggle

_EXPLAINED = {
    CompareMode.SINGLE: "One pane",
    CompareMode.SIDE: "All panes beside each other, on one pixel grid",
    CompareMode.WIPE: "Two panes in one place, with a line between them that can be dragged",
    CompareMode.FLIP: "One pane, and another while X is held",
    CompareMode.DIFFERENCE: "How much one pane differs from another",
}
_INSET_PX = 10
_ROUND_PAIR_PX = 30
"""What the list of pairs needs beside its letters."""


class CompareBar(QWidget):
    """Says what was chosen; shows what it is told."""

    mode_chosen = pyqtSignal(CompareMode)
    pair_chosen = pyqtSignal(int, int)
    """Positions of the two panes to be wiped, flipped or subtracted."""
    upright_chosen = pyqtSignal(bool)
    b_held = pyqtSignal(bool)
    fit_requested = pyqtSignal()
    one_to_one_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Compare")
        self._modes = {mode: FlatToggle(mode, _EXPLAINED[mode], self) for mode in CompareMode}
        group = QButtonGroup(self)
        row = QHBoxLayout(self)
        row.setContentsMargins(_INSET_PX, 3, _INSET_PX, 1)
        row.setSpacing(2)
        for mode, button in self._modes.items():
            button.setToolTip(f"{_EXPLAINED[mode]} (C goes through all)")
            group.addButton(button)
            button.clicked.connect(lambda _=False, one=mode: self.mode_chosen.emit(one))
            row.addWidget(button)
        # Which a narrow window does without.
        row.addItem(QSpacerItem(8, 0, QSizePolicy.Policy.Maximum))
        self._upright = FlatButton("Divider: upright", "Let the divider lie level, or stand", self)
        self._upright.clicked.connect(lambda: self.upright_chosen.emit(not self._stands))
        self._stands = True
        self._hold = FlatButton("Hold for B", "Shows B while it is held, as X does", self)
        self._hold.pressed.connect(lambda: self.b_held.emit(True))
        self._hold.released.connect(lambda: self.b_held.emit(False))
        self._pairs = FlatCombo(self)
        self._pairs.setAccessibleName("Compared panes")
        self._pairs.setToolTip("The two panes that are wiped, flipped or subtracted.")
        pairs = ("–".join(pair) for pair in itertools.permutations(LETTERS, 2))
        widest = max(self.fontMetrics().horizontalAdvance(pair) for pair in pairs)
        self._pairs.setMinimumWidth(widest + _ROUND_PAIR_PX)
        self._pairs.activated.connect(lambda at: self.pair_chosen.emit(*self._pairs.itemData(at)))
        self._mode = CompareMode.SINGLE
        self._kind = ElidedLabel(parent=self)
        self._kind.setFont(theme.font(self, tabular=True))
        self._colors = ColorBar(names_unit=False, parent=self)
        self._colors.setMaximumWidth(240)
        for tool in (self._pairs, self._upright, self._hold, self._kind):
            row.addWidget(tool)
        row.addWidget(self._colors, 2)
        row.addStretch(1)
        fit = FlatButton("Fit", "Show all of the picture (Ctrl+0)", self)
        fit.clicked.connect(lambda: self.fit_requested.emit())
        exact = FlatButton("1:1", "One screen pixel for each pixel (Ctrl+Alt+0)", self)
        exact.clicked.connect(lambda: self.one_to_one_requested.emit())
        row.addWidget(fit)
        row.addWidget(exact)
        self.show_mode(CompareMode.SINGLE)

    def show_mode(self, mode: CompareMode) -> None:
        """Mark the mode and offer its tools."""
        self._mode = mode
        self._modes[mode].setChecked(True)
        self._offer_pairs()
        self._upright.setVisible(mode is CompareMode.WIPE)
        self._hold.setVisible(mode is CompareMode.FLIP)
        self._kind.setVisible(mode is CompareMode.DIFFERENCE)
        self._colors.setVisible(mode is CompareMode.DIFFERENCE)

    def show_pairs(self, n_panes: int, pair: tuple[int, int]) -> None:
        """Offer every two of the panes, and show which are compared; reports nothing."""
        pairs = list(itertools.permutations(range(n_panes), 2))
        if [self._pairs.itemData(at) for at in range(self._pairs.count())] != pairs:
            self._pairs.clear()
            for one in pairs:
                self._pairs.addItem("–".join(LETTERS[at] for at in one), one)
        self._pairs.setCurrentIndex(pairs.index(pair) if pair in pairs else 0)
        b = LETTERS[pair[1]]
        self._hold.setText(f"Hold for {b}")
        self._hold.setToolTip(f"Shows {b} while it is held, as X does")
        self._offer_pairs()

    def _offer_pairs(self) -> None:
        pairwise = self._mode not in (CompareMode.SINGLE, CompareMode.SIDE)
        self._pairs.setVisible(pairwise and self._pairs.count() > 2)

    def show_upright(self, on: bool) -> None:
        """Say how the divider lies."""
        self._stands = on
        self._upright.setText("Divider: upright" if on else "Divider: level")

    def show_difference(
        self, options: DifferenceOptions, readout: DifferenceReadout | None, identical: str = ""
    ) -> None:
        """Show kind and scale of the difference; `identical`: that there is none, in words."""
        if readout is None:
            self._say(options.kind)
            self._colors.show_scale(options, None)
            return
        gained = f"{options.kind} ×{wording.gain(readout.gain)}, {options.kind.unit}"
        self._say(identical or gained)
        self._kind.setAlignment(Qt.AlignmentFlag.AlignVCenter)
        self._colors.show_scale(options, readout.top)

    def _say(self, text: str) -> None:
        self._kind.setText(text)
        self._kind.setToolTip(text)
