"""How alike the compared pictures are, as a table that can be copied as text and as CSV.

Its numbers are those of `eval`: of complete pictures before any rounding to 8 bits, every pixel
from the network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QGuiApplication, QPalette
from PyQt6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from viewer.state.panes import LETTERS
from viewer.widgets import theme
from viewer.widgets.controls import wording
from viewer.widgets.controls.field_grid import FieldGrid
from viewer.widgets.controls.flat import FlatButton, FlatCombo

Measured = float | str
"""A number, or the clause that says why there is none."""
UNKNOWN = "not measured yet"


@dataclass(frozen=True)
class PairMetrics:
    """Pane `image` against pane `reference` (letters), with the names of what they show.

    psnr_db: infinite where they are equal. max_error_levels, mean_error_levels: |difference| over
    all channels in levels of 8 bits, 1/255. off_percent: pixels of which any channel is off by a
    level or more. ssim: 1 is equal; flip, lpips: 0 is. lpips: None where it is not installed.
    counted_percent: of the pixels, which are those that masks keep and the lens of a photograph has
    seen.
    """

    image: str
    reference: str
    image_name: str
    reference_name: str
    psnr_db: Measured = UNKNOWN
    ssim: Measured = UNKNOWN
    flip: Measured = UNKNOWN
    max_error_levels: Measured = UNKNOWN
    mean_error_levels: Measured = UNKNOWN
    off_percent: Measured = UNKNOWN
    lpips: Measured | None = None
    counted_percent: float = 100.0


@dataclass(frozen=True)
class MetricsReadout:
    """One reading for all pairs of panes. `why_not`: why no pair has numbers, or empty. `missing`:
    panes that are in no pair, by their letters, and why. `region`: the part of the pictures that
    was measured, in words; empty for all of them."""

    pairs: tuple[PairMetrics, ...] = ()
    why_not: str = ""
    missing: tuple[tuple[str, str], ...] = ()
    region: str = ""


_MOST_PAIRS = 3
_REFERENCE = "What numbers, and the difference, are against: one pane, or every two of them."
_WHOLE = "Whole picture; right-drag for a part"


@dataclass(frozen=True)
class _Row:
    name: str
    unit: str
    field: str
    decimals: int
    explanation: str

    def value(self, pair: PairMetrics) -> Measured | None:
        value: Measured | None = getattr(pair, self.field)
        return value

    def is_measured(self, pairs: Sequence[PairMetrics]) -> bool:
        """Whether this machine has what measuring it takes."""
        return self.field != "lpips" or any(pair.lpips is not None for pair in pairs)

    def words(self, pair: PairMetrics) -> str:
        value = self.value(pair)
        if value is None or isinstance(value, str) or math.isnan(value):
            return wording.DASH
        return "identical" if math.isinf(value) else f"{value:.{self.decimals}f}"


_ROWS = (
    _Row("PSNR", "dB", "psnr_db", 2, "Peak signal to noise; it has no end where all are equal."),
    _Row("SSIM", "", "ssim", 4, "Structural similarity; 1 is equal."),
    _Row(
        "FLIP",
        "",
        "flip",
        4,
        "Mean of what an eye notices when flipping, 67 pixels a degree; 0 is equal.",
    ),
    _Row("LPIPS", "", "lpips", 4, "Distance in the features of a network; 0 is equal."),
    _Row("Max error", "levels", "max_error_levels", 1, "Of any channel, in levels of 8 bits."),
    _Row("Mean error", "levels", "mean_error_levels", 3, "Over all channels, in levels of 8 bits."),
    _Row("Pixels off", "%", "off_percent", 2, "Any channel is off by one level of 8 bits or more."),
)


class MetricsPanel(QWidget):
    """One column for each pair of panes. Numbers keep their place; reasons are in words below."""

    whole_requested = pyqtSignal()
    """The whole pictures should be measured, no region of them."""
    reference_chosen = pyqtSignal(object)
    """Position of the pane that the others should be measured against; None: every two."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Metrics")
        self._reference = FlatCombo(self)
        self._reference.setAccessibleName("Reference pane")
        self._reference.setToolTip(_REFERENCE)
        self._reference.activated.connect(
            lambda at: self.reference_chosen.emit(self._reference.itemData(at))
        )
        self._region = QLabel(self)
        self._region.setWordWrap(True)
        self._region.setAccessibleName("What is measured")
        self._whole = FlatButton("Whole picture", "Measure all of the picture again (Esc)", self)
        self._whole.clicked.connect(self.whole_requested)
        self._readout = MetricsReadout(why_not="nothing is compared")
        self._heads = [QLabel(self) for _ in range(_MOST_PAIRS)]
        self._cells = [[QLabel(self) for _ in range(_MOST_PAIRS)] for _ in _ROWS]
        self._names = [(QLabel(row.name, self), QLabel(row.unit, self)) for row in _ROWS]
        self._reason = QLabel(self)
        self._reason.setWordWrap(True)
        self._reason.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._copy_text = FlatButton("Copy text", "Copy the table as aligned text", self)
        self._copy_csv = FlatButton("Copy CSV", "Copy the table for a spreadsheet", self)
        self._copy_text.clicked.connect(lambda: _copy(self.as_text()))
        self._copy_csv.clicked.connect(lambda: _copy(self.as_csv()))
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        buttons.addWidget(self._copy_text)
        buttons.addWidget(self._copy_csv)
        buttons.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(7)
        column.addLayout(self._make_choices())
        column.addLayout(self._make_table())
        column.addWidget(self._reason)
        column.addLayout(buttons)
        self.show_reference(0, None)
        self.show_readout(self._readout)

    def show_reference(self, n_panes: int, reference: int | None) -> None:
        """Offer the panes that the others can be measured against, and show which is; reports
        nothing."""
        self._reference.clear()
        self._reference.addItem("Every two panes", None)
        for at in range(n_panes):
            self._reference.addItem(f"All against {LETTERS[at]}", at)
        self._reference.setCurrentIndex(self._reference.findData(reference))

    def show_readout(self, readout: MetricsReadout) -> None:
        """Show one reading; of more than three pairs the first three."""
        self._readout = readout
        pairs = readout.pairs[:_MOST_PAIRS]
        for row, names in zip(_ROWS, self._names, strict=True):
            for name in names:
                name.setVisible(row in self._rows())
        for at, head in enumerate(self._heads):
            pair = pairs[at] if at < len(pairs) else None
            head.setText(f"{pair.image} – {pair.reference}" if pair else "")
            head.setToolTip(f"{pair.image_name} against {pair.reference_name}" if pair else "")
            for row, cells in zip(_ROWS, self._cells, strict=True):
                cells[at].setVisible(row in self._rows())
                value = row.value(pair) if pair else ""
                cells[at].setText(row.words(pair) if pair else wording.DASH if at == 0 else "")
                cells[at].setToolTip(value if isinstance(value, str) else row.explanation)
                cells[at].setAccessibleName(f"{row.name} {row.unit} {head.text()}".strip())
        self._region.setText(wording.sentence(readout.region).rstrip(".") or _WHOLE)
        self._whole.setVisible(bool(readout.region))
        text = self._reasons()
        self._reason.setText(text)
        self._reason.setVisible(bool(text))
        for button in (self._copy_text, self._copy_csv):
            button.setEnabled(bool(pairs))

    def _rows(self) -> list[_Row]:
        """Those that are shown: what cannot be measured on this machine is left out."""
        return [row for row in _ROWS if row.is_measured(self._readout.pairs)]

    def as_text(self) -> str:
        """The table in columns of equal width."""
        pairs = self._readout.pairs
        heads = [f"{p.image} {p.image_name} – {p.reference} {p.reference_name}" for p in pairs]
        table = [["", *heads]]
        table += [[f"{r.name} {r.unit}".strip(), *map(r.words, pairs)] for r in self._rows()]
        widths = [max(len(line[at]) for line in table) for at in range(len(table[0]))]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if at == 0 else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in table
        )

    def as_csv(self) -> str:
        """The table with all digits: metric, unit, then a column a pair; empty: not measured."""
        pairs = self._readout.pairs
        heads = [f"{p.image_name} vs {p.reference_name}" for p in pairs]
        lines = [",".join(["metric", "unit", *heads])]
        for row in self._rows():
            values = [row.value(pair) for pair in pairs]
            cells = [f"{one:.9g}" if isinstance(one, float | int) else "" for one in values]
            lines.append(",".join([row.name, row.unit, *cells]))
        return "\n".join(lines) + "\n"

    def _reasons(self) -> str:
        missing = [f"{letter}: {reason}." for letter, reason in self._readout.missing]
        if self._readout.why_not:
            return "\n".join([f"No numbers: {self._readout.why_not}.", *missing])
        reasons: dict[str, list[str]] = {}
        for row in self._rows():
            for pair in self._readout.pairs:
                value = row.value(pair)
                if isinstance(value, str) and row.name not in reasons.setdefault(value, []):
                    reasons[value].append(row.name)
        unknown = [f"{', '.join(names)}: {reason}." for reason, names in reasons.items()]
        partly = [
            f"{pair.image} – {pair.reference}: only the {pair.counted_percent:.1f} % of the pixels "
            "that count, by the photograph's mask and lens."
            for pair in self._readout.pairs
            if pair.counted_percent < 100
        ]
        return "\n".join([*missing, *partly, *unknown])

    def _make_choices(self) -> FieldGrid:
        self._region.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        of = QHBoxLayout()
        of.addWidget(self._region, 1)
        of.addWidget(self._whole)
        grid = FieldGrid(self)
        grid.add_field("Compare", self._reference)
        grid.add_field("Measured", self._whole, of)
        return grid

    def _make_table(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(3)
        grid.setColumnStretch(1, 1)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for at, head in enumerate(self._heads):
            head.setFont(theme.font(self, 0.9, bold=True))
            head.setAlignment(right)
            grid.addWidget(head, 0, 2 + at)
        for at, (row, cells) in enumerate(zip(_ROWS, self._cells, strict=True), start=1):
            name, unit = self._names[at - 1]
            for part in (name, unit):
                part.setForegroundRole(QPalette.ColorRole.PlaceholderText)
                part.setToolTip(row.explanation)
            unit.setFont(theme.font(self, 0.9))
            grid.addWidget(name, at, 0)
            grid.addWidget(unit, at, 1)
            for column, cell in enumerate(cells):
                cell.setFont(theme.font(self, tabular=True))
                cell.setAlignment(right)
                grid.addWidget(cell, at, 2 + column)
        return grid


def _copy(text: str) -> None:
    clipboard = QGuiApplication.clipboard()
    if clipboard is not None:
        clipboard.setText(text)
