"""How the difference is shown, and how it is spread: kind, colours, gain, lock and histogram."""

from __future__ import annotations

import math
from dataclasses import replace

from PyQt6.QtCore import QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QHideEvent, QPainter, QPaintEvent, QShowEvent
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QSlider, QVBoxLayout, QWidget

from r2l_core.images.difference import DifferenceKind
from viewer.state.display_options import (
    MAX_GAIN,
    SCALES,
    SIGNED_SCALES,
    DifferenceOptions,
)
from viewer.widgets import theme
from viewer.widgets.compare.color_bar import CLIPPED_COLOR, INVALID_COLOR, ColorBar
from viewer.widgets.compare.difference_histogram import DifferenceHistogram
from viewer.widgets.compare.difference_scale import DifferenceReadout
from viewer.widgets.controls import wording
from viewer.widgets.controls.field_grid import FieldGrid
from viewer.widgets.controls.flat import FlatButton, FlatCombo, FlatToggle
from viewer.widgets.controls.quiet_plot import AXIS_PX
from viewer.widgets.controls.value_spin import ScrubLabel, ValueSpin

_STEPS_PER_OCTAVE = 8
_KINDS = {
    DifferenceKind.ABSOLUTE: "|A − B| in levels of 8 bits, of the worst channel.",
    DifferenceKind.SIGNED: "A − B in levels of 8 bits, of the worst channel: red is more in A.",
    DifferenceKind.SQUARED: "(A − B)² of the worst channel; PSNR takes the mean of all three.",
    DifferenceKind.RELATIVE: "|A − B| / (B + 0.01) of the worst channel.",
    DifferenceKind.FLIP: "What an eye notices when the pictures are flipped; computed afterwards.",
}
_GAIN = "How much the scale is stretched: at ×1 it ends at the greatest possible difference."
_SAVE = "Save the numbers of this map, float32, for NumPy"
_LOCK = (
    "Keep the scale for every kind and picture. Unlocked, it follows the picture, so that at most "
    "one pixel in a thousand is off the scale."
)


class DifferencePanel(QWidget):
    """Says how the difference should be shown; shows what it is told was counted."""

    options_changed = pyqtSignal(DifferenceOptions)
    save_requested = pyqtSignal()
    seen_changed = pyqtSignal(bool)
    """Whether the panel can be seen, so that counting is worth its time."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Difference")
        self._options = DifferenceOptions()
        self._readout: DifferenceReadout | None = None
        self._kind, self._scale = FlatCombo(self), FlatCombo(self)
        self._kind.setAccessibleName("Kind of difference")
        for at, (kind, explanation) in enumerate(_KINDS.items()):
            self._kind.addItem(kind.capitalize() if kind.quick else str(kind), kind)
            self._kind.setItemData(at, explanation, Qt.ItemDataRole.ToolTipRole)
        self._kind.activated.connect(self._choose_kind)
        self._scale.setAccessibleName("Colours of the difference")
        self._scale.setToolTip("Perceptually even scales: equal steps look equally large.")
        self._scale.activated.connect(self._choose_scale)
        self._slider = QSlider(Qt.Orientation.Horizontal, self)
        self._slider.setRange(0, round(math.log2(MAX_GAIN) * _STEPS_PER_OCTAVE))
        self._slider.setPageStep(_STEPS_PER_OCTAVE)
        self._slider.setAccessibleName("Gain, logarithmic")
        self._slider.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._slider.setToolTip(_GAIN)
        self._slider.valueChanged.connect(
            lambda step: self._choose_gain(2.0 ** (step / _STEPS_PER_OCTAVE))
        )
        self._gain = ValueSpin("Gain", 1.0, MAX_GAIN, 1, 1.0, parent=self)
        self._gain.setPrefix("×")
        self._gain.setSpecialValueText("")
        self._gain.edited.connect(self._choose_gain)
        self._lock = FlatToggle("Lock", _LOCK, self)
        self._lock.setAccessibleName("Lock the scale")
        self._lock.toggled.connect(self._set_lock)
        self._histogram = DifferenceHistogram(self)
        self._histogram.scheme_changed.connect(self._follow_scheme)
        self._bar = ColorBar(AXIS_PX, parent=self)
        self._counts = _Counts(self)
        self._save = FlatButton("Save as .npy…", _SAVE, self)
        self._save.clicked.connect(self.save_requested)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(self._make_controls())
        column.addSpacing(2)
        column.addWidget(self._histogram)
        column.addWidget(self._bar)
        column.addWidget(self._counts)
        column.addWidget(self._save, 0, Qt.AlignmentFlag.AlignLeft)
        self._histogram.restyle(theme.tones_of(self))
        self.show_readout(None)
        self._show_options()

    def show_readout(self, readout: DifferenceReadout | None) -> None:
        """Show what was counted; None while there is no difference to count."""
        self._readout = readout
        self._counts.show_readout(readout)
        self._save.setEnabled(readout is not None)
        if readout is None:
            self._histogram.clear_bars()
            self._bar.show_scale(
                self._options, 1 / self._options.gain if self._options.locked else None
            )
            return
        self._show_gain(readout.gain)
        options = replace(self._options, kind=readout.kind)
        self._bar.show_scale(options, readout.top)
        self._histogram.show_readout(readout, options, theme.tones_of(self))

    def set_options(self, options: DifferenceOptions) -> None:
        """Show the difference in another way, and say so if it is another one."""
        if options != self._options:
            self._options = options
            self._show_options()
            self.options_changed.emit(options)

    def showEvent(self, event: QShowEvent | None) -> None:
        """Say that numbers are wanted."""
        super().showEvent(event)
        self.seen_changed.emit(True)

    def hideEvent(self, event: QHideEvent | None) -> None:
        """Say that nobody sees them."""
        super().hideEvent(event)
        self.seen_changed.emit(False)

    def _follow_scheme(self) -> None:
        self._histogram.restyle(theme.tones_of(self))
        self.show_readout(self._readout)

    def _choose_kind(self, position: int) -> None:
        self.set_options(replace(self._options, kind=self._kind.itemData(position)))

    def _choose_scale(self, position: int) -> None:
        name = self._scale.itemText(position)
        if self._options.kind.signed:
            self.set_options(replace(self._options, signed_scale=name))
        else:
            self.set_options(replace(self._options, scale=name))

    def _choose_gain(self, gain: float) -> None:
        # Whoever sets a gain wants to keep it.
        self.set_options(replace(self._options, gain=gain, locked=True))

    def _set_lock(self, on: bool) -> None:
        gain = self._readout.gain if self._readout is not None else self._options.gain
        self.set_options(replace(self._options, locked=on, gain=gain))

    def _show_options(self) -> None:
        options, signed = self._options, self._options.kind.signed
        self._kind.setCurrentIndex(self._kind.findData(options.kind))
        self._kind.setToolTip(_KINDS[options.kind])
        names = list(SIGNED_SCALES if signed else SCALES)
        if [self._scale.itemText(at) for at in range(self._scale.count())] != names:
            self._scale.clear()
            self._scale.addItems(names)
        self._scale.setCurrentText(options.signed_scale if signed else options.scale)
        self._lock.blockSignals(True)
        self._lock.setChecked(options.locked)
        self._lock.blockSignals(False)
        if options.locked:
            self._show_gain(options.gain)
            self._bar.show_scale(options, 1 / options.gain)

    def _show_gain(self, gain: float) -> None:
        self._slider.blockSignals(True)
        self._slider.setValue(round(math.log2(gain) * _STEPS_PER_OCTAVE))
        self._slider.blockSignals(False)
        self._gain.show_value(gain)

    def _make_controls(self) -> FieldGrid:
        gain = QHBoxLayout()
        gain.setSpacing(6)
        gain.addWidget(self._slider, 1)
        gain.addWidget(self._gain)
        gain.addWidget(self._lock)
        name = ScrubLabel("Gain", self._gain, _GAIN, self)
        name.reset_requested.connect(lambda: self._lock.setChecked(False))
        name.setToolTip(f"{_GAIN}\nDrag to change, double-click to let it follow the picture.")
        grid = FieldGrid(self)
        grid.add_field("Kind", self._kind)
        grid.add_field("Colours", self._scale)
        grid.add_row(name, gain)
        return grid


class _Counts(QWidget):
    """Pixels off the scale, each kind behind its colour."""

    _BLOCK_PX = 9

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._texts = [QLabel(self), QLabel(self)]
        row = QHBoxLayout(self)
        row.setContentsMargins(AXIS_PX, 0, 0, 0)
        row.setSpacing(14)
        for label, name in zip(self._texts, ("Clipped pixels", "Invalid pixels"), strict=True):
            label.setContentsMargins(self._BLOCK_PX + 6, 0, 0, 0)
            label.setFont(theme.font(self, tabular=True))
            label.setAccessibleName(name)
            row.addWidget(label)
        self._identical = QLabel("No pixel differs", self)
        self._identical.setFont(theme.font(self, bold=True))
        self._identical.setAccessibleName("Whether the pictures are identical")
        row.insertWidget(0, self._identical)
        row.addStretch(1)
        self._texts[0].setToolTip("Pixels whose difference is beyond the end of the scale.")
        self._texts[1].setToolTip("Pixels whose difference is not a number.")
        self.show_readout(None)

    def show_readout(self, readout: DifferenceReadout | None) -> None:
        if readout is None:
            counts = [wording.DASH, wording.DASH]
        else:
            share = 100 * readout.clipped / max(readout.pixels, 1)
            counts = [f"{readout.clipped} ({share:.2f} %)", str(readout.invalid)]
        for label, name, count in zip(self._texts, ("clipped", "NaN"), counts, strict=True):
            label.setText(f"{count} {name}")
        identical = readout is not None and readout.identical
        self._identical.setVisible(identical)
        self._texts[0].setVisible(not identical)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        for label, color in zip(self._texts, (CLIPPED_COLOR, INVALID_COLOR), strict=True):
            if label.isHidden():
                continue
            y = (self.height() - self._BLOCK_PX) / 2
            painter.fillRect(QRectF(label.x(), y, self._BLOCK_PX, self._BLOCK_PX), QColor(color))
