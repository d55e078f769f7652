"""How large the picture is rendered: one of a few sizes, that of the window, or any other."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from viewer.widgets import theme
from viewer.widgets.controls import wording
from viewer.widgets.controls.flat_combo import FlatCombo
from viewer.widgets.controls.value_spin import ValueSpin

MATCH = "Match window"
OTHER = "Other…"
LEAST_PX, MOST_PX = 8, 8192
"""Of a side that is typed."""


class SizeChooser(QWidget):
    """A list, and two fields below it once another size is to be typed."""

    size_chosen = pyqtSignal(int, int)
    """Width and height in pixels."""
    match_chosen = pyqtSignal()
    """From now on the picture is as large as the room for it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._sizes: list[tuple[int, int]] = []
        self._shown_px: tuple[int, int] | None = None
        self._matches = False
        self._list = FlatCombo(self)
        self._list.setAccessibleName("Render size in pixels")
        self._list.setToolTip("Pixels of the rendered picture, whatever its size on the screen.")
        self._list.setFont(theme.font(self, tabular=True))
        self._list.activated.connect(self._choose)
        self._sides = tuple(
            ValueSpin(f"{name} in pixels", LEAST_PX, MOST_PX, 0, 10.0, parent=self)
            for name in ("Width", "Height")
        )
        self._typed = QWidget(self)
        row = QHBoxLayout(self._typed)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(5)
        row.addWidget(self._sides[0], 1)
        row.addWidget(QLabel("×", self._typed))
        row.addWidget(self._sides[1], 1)
        for side in self._sides:
            side.edited.connect(lambda _value: self._take_typed())
        self._typed.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self._list)
        column.addWidget(self._typed)
        self.setFocusProxy(self._list)
        self.offer_sizes([])

    def offer_sizes(self, sizes: Sequence[tuple[int, int]]) -> None:
        """Offer these, in pixels, with the window's size and any other."""
        self._sizes = list(sizes)
        self._shown_px = None
        self._fill()

    def show_size(self, width_px: int, height_px: int) -> None:
        """Select the size that is rendered; adds it where it is not on offer.

        The same size again changes nothing, so that frames still arriving in the old size do not
        undo a choice.
        """
        shown = (width_px, height_px)
        if shown == self._shown_px:
            return
        self._shown_px = shown
        for side, length_px in zip(self._sides, shown, strict=True):
            side.show_value(length_px)
        if not self._matches and self._typed.isHidden():
            self._select(shown)

    def show_matching(self, on: bool) -> None:
        """Show that the picture is as large as the room for it, or of a size of its own."""
        if on != self._matches:
            self._matches = on
            if on:
                self._typed.hide()
                self._list.setCurrentText(MATCH)
            elif self._shown_px is not None and self._typed.isHidden():
                self._select(self._shown_px)

    def _select(self, size_px: tuple[int, int]) -> None:
        if size_px not in self._sizes:
            self._sizes.append(size_px)
            self._fill()
        self._list.setCurrentIndex(self._sizes.index(size_px))

    def _fill(self) -> None:
        self._list.clear()
        self._list.addItems([wording.size(*size) for size in self._sizes])
        self._list.addItems([MATCH, OTHER])
        if self._matches:
            self._list.setCurrentText(MATCH)

    def _choose(self, position: int) -> None:
        text = self._list.itemText(position)
        self._typed.setVisible(text == OTHER)
        if text == MATCH:
            self.match_chosen.emit()
        elif text == OTHER:
            self._sides[0].setFocus()
            self._sides[0].selectAll()
        else:
            self.size_chosen.emit(*self._sizes[position])

    def _take_typed(self) -> None:
        width_px, height_px = (round(side.value()) for side in self._sides)
        self.size_chosen.emit(width_px, height_px)
