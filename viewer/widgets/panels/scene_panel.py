"""Which light field is open, how large it is rendered and how fast it should react."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QPalette
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QSlider, QVBoxLayout, QWidget

from viewer.state.view_state import DRAG_FPS
from viewer.widgets import theme
from viewer.widgets.controls import wording
from viewer.widgets.controls.elided_label import ElidedLabel
from viewer.widgets.controls.field_grid import FactGrid, FieldGrid
from viewer.widgets.controls.flat import FlatCombo
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


_WIDTHS_PX = (200, 400, 800, 1600)
_FPS_RANGE = (5, 120)
_NONE = "No light field"
_FACTS = {
    "Near, far": "Depths along the view axis between which rays are sampled, in scene units.",
    "Own size": "Image size the scene was photographed at.",
}


class ScenePanel(QWidget):
    """Scene facts, render size (pixels) and target frame rate (images per second)."""

    render_size_chosen = pyqtSignal(int, int)
    match_window_chosen = pyqtSignal()
    target_fps_chosen = pyqtSignal(float)

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Scene")
        self._described: tuple[str, float, float, int, int] | None = None
        self._name = ElidedLabel(_NONE, self)
        self._name.setFont(theme.font(self, 1.1, bold=True))
        self._summary = QLabel(self)
        self._summary.setWordWrap(True)
        self._summary.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._notes = ElidedLabel(parent=self)
        self._notes.setAccessibleName("What was assumed")
        self._notes.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._notes.hide()
        self._facts = FactGrid(_FACTS, self)
        self._size = SizeChooser(self)
        self._size.size_chosen.connect(self.render_size_chosen)
        self._size.match_chosen.connect(self.match_window_chosen)
        self._fps = QSlider(Qt.Orientation.Horizontal, self)
        self._fps.setAccessibleName("Target frame rate in images per second")
        self._fps.setRange(*_FPS_RANGE)
        self._fps.setPageStep(5)
        self._fps.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._fps_value = QLabel(self)
        self._fps_value.setFont(theme.font(self, tabular=True))
        self._fps_value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._fps_value.setMinimumWidth(self.fontMetrics().horizontalAdvance("000 fps"))
        self.show_target_fps(DRAG_FPS)
        self._fps.valueChanged.connect(self._choose_fps)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self._name)
        column.addWidget(self._summary)
        column.addWidget(self._notes)
        column.addWidget(self._facts)
        column.addSpacing(2)
        column.addLayout(self._make_controls())
        self._summary.hide()
        self.setEnabled(False)

    def show_loading(self, name: str) -> None:
        """Say which light field is on its way, before any is open; empty: none is."""
        if self._described is None:
            self._name.setText(f"Loading {name}…" if name else _NONE)

    def show_scene(
        self, name: str, summary: str, near: float, far: float, width_px: int, height_px: int
    ) -> None:
        """Describe the open light field; near and far in scene units, its own image size.

        The same light field again keeps the render size that was chosen.
        """
        self.show_summary(summary)
        described = (name, near, far, width_px, height_px)
        if described == self._described:
            return
        self._described = described
        self.setEnabled(True)
        self._name.setText(name)
        self._name.setToolTip(name)
        self._facts.show_fact("Near, far", f"{near:.4g} – {far:.4g} u")
        self._facts.show_fact("Own size", wording.size(width_px, height_px))
        own = (width_px, height_px)
        sizes = {(w, max(1, round(w * height_px / width_px))) for w in _WIDTHS_PX} | {own}
        self._size.offer_sizes(sorted(sizes))
        self.show_render_size(*own)

    def show_summary(self, summary: str) -> None:
        """Say what the light field is like; empty: nothing."""
        self._summary.setText(summary)
        self._summary.setVisible(bool(summary))

    def show_notes(self, notes: Sequence[str]) -> None:
        """Remark on what was assumed, in sentences; all of them are in the tooltip."""
        more = f" (+{len(notes) - 1})" if len(notes) > 1 else ""
        self._notes.setText(f"Note{more}: {notes[0]}" if notes else "")
        self._notes.setToolTip("\n".join(notes))
        self._notes.setVisible(bool(notes))

    def show_render_size(self, width_px: int, height_px: int) -> None:
        """Select the size that is rendered; see `SizeChooser.show_size`."""
        self._size.show_size(width_px, height_px)

    def show_match_window(self, on: bool) -> None:
        """Show that the picture is as large as the window has room for, or not."""
        self._size.show_matching(on)

    def show_target_fps(self, images_per_s: float) -> None:
        """Show the target frame rate without reporting it."""
        self._fps.blockSignals(True)
        self._fps.setValue(round(images_per_s))
        self._fps.blockSignals(False)
        self._word_fps()

    def _make_controls(self) -> FieldGrid:
        rate = QHBoxLayout()
        rate.setSpacing(6)
        rate.addWidget(self._fps, 1)
        rate.addWidget(self._fps_value)
        grid = FieldGrid(self)
        grid.add_field("Render size", self._size)
        grid.add_field("Target rate", self._fps, rate)
        return grid

    def _choose_fps(self, images_per_s: int) -> None:
        self._word_fps()
        self.target_fps_chosen.emit(float(images_per_s))

    def _word_fps(self) -> None:
        images_per_s = self._fps.value()
        self._fps_value.setText(f"{images_per_s} fps")
        self._fps.setToolTip(
            "While the camera moves, the picture is as fine as fits into "
            f"{1000 / images_per_s:.0f} ms ({images_per_s} images a second)."
        )
