"""Which layers lose most in int8, and the mix of layers that run in float32 instead."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PyQt6.QtCore import QRectF, QSize, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
)
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QVBoxLayout, QWidget

from viewer.widgets import theme
from viewer.widgets.controls import wording
from viewer.widgets.controls.elided_label import ElidedLabel
from viewer.widgets.controls.flat import FlatButton
from viewer.widgets.panels.layer_bars import LayerBars, LayerSensitivity

_EXPLAINED = (
    "Signal to quantisation noise of the network's output when this layer alone is int8: the lower "
    "the bar, the more the layer loses."
)
_NOT_OPEN = "There is nothing to measure yet."
_POINT = "Click a bar to switch it"
_NOT_MEASURED = "Measure the layers first"


class SensitivityStrip(QWidget):
    """Bars a layer, and what can be done with all of them."""

    layer_toggled = pyqtSignal(str, bool)
    """Name of a layer, and whether it should run in float32."""
    measure_requested = pyqtSignal()
    worst_requested = pyqtSignal()
    """Keep those layers in float32 that cost the picture most in int8."""
    restore_requested = pyqtSignal()
    save_requested = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Sensitivity of the layers")
        caption = ElidedLabel("Signal to noise in int8, dB", self)
        caption.setFont(theme.font(self, 0.9))
        caption.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        caption.setToolTip(_EXPLAINED)
        self._count = QLabel(wording.DASH, self)
        self._count.setFont(theme.font(self, tabular=True))
        self._count.setAccessibleName("Layers in float32")
        self._bars = LayerBars(self)
        self._bars.layer_toggled.connect(self.layer_toggled)
        self._bars.pointed.connect(self._name)
        self._legend = _Legend(self)
        self._hint = _POINT
        self._pointed = ElidedLabel(self._hint, self)
        self._pointed.setFont(theme.font(self, 0.9, tabular=True))
        self._pointed.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._bar = QProgressBar(self)
        self._bar.setAccessibleName("Layers measured")
        self._bar.setFixedHeight(6)
        self._bar.setTextVisible(False)
        self._bar.setRange(0, 1000)
        self._bar.hide()
        self._note = QLabel(self)
        self._note.setWordWrap(True)
        self._note.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._measure = FlatButton(
            "Measure layers", "Measure again how much each layer loses in int8", self
        )
        self._worst = FlatButton("Keep worst 4 in fp32", _NOT_MEASURED, self)
        self._restore = FlatButton("Restore all", "Run every layer in int8 again", self)
        self._save = FlatButton(
            "Save mix…", "Save which layers run in float32, for quantize --layers", self
        )
        self._measure.clicked.connect(self.measure_requested)
        self._worst.clicked.connect(self.worst_requested)
        self._restore.clicked.connect(self.restore_requested)
        self._save.clicked.connect(self.save_requested)
        self._lay_out(caption)
        self.show_layers((), _NOT_OPEN)

    def show_layers(self, layers: Sequence[LayerSensitivity], note: str = "") -> None:
        """Show the layers in the order of the network, and a sentence below them.

        Where there is a note, the layers of what is shown cannot be switched.
        """
        self._bars.show_layers(layers)
        for widget in (self._bars, self._legend, self._pointed):
            widget.setVisible(bool(layers))
        high = sum(one.high for one in layers)
        self._count.setText(f"{high} of {len(layers)} in fp32" if layers else wording.DASH)
        self._note.setText(note)
        self._note.setVisible(bool(note))
        measured = any(not math.isnan(one.sqnr_db) for one in layers)
        self._bars.set_switchable(not note)
        self._hint = "" if note else _POINT
        self._name("")
        self._worst.setEnabled(measured and not note)
        self._worst.setToolTip(
            note or (_NOT_MEASURED if not measured else "Run the 4 costliest layers in float32")
        )
        self._measure.setEnabled(bool(layers))
        self._restore.setEnabled(high > 0)
        self._save.setEnabled(high > 0)

    def show_progress(self, share: float | None) -> None:
        """Show how far measuring is, 0 to 1; None: it is over."""
        self._bar.setVisible(share is not None)
        self._measure.setEnabled(share is None)
        if share is None:
            self._measure.setText("Measure layers")
        else:
            self._bar.setValue(round(1000 * share))
            self._measure.setText(f"Measuring… {100 * share:.0f} %")

    def _name(self, words: str) -> None:
        self._pointed.setText(words or self._hint)

    def _lay_out(self, caption: QLabel) -> None:
        head = QHBoxLayout()
        head.addWidget(caption, 1)
        head.addWidget(self._count)
        below = QHBoxLayout()
        below.addWidget(self._pointed, 1)
        below.addWidget(self._legend)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(head)
        column.addWidget(self._bars)
        column.addLayout(below)
        column.addWidget(self._bar)
        column.addWidget(self._note)
        for pair in ((self._measure, self._worst), (self._restore, self._save)):
            row = QHBoxLayout()
            row.setSpacing(6)
            for button in pair:
                row.addWidget(button)
            row.addStretch(1)
            column.addLayout(row)


class _Legend(QWidget):
    """What a solid bar means, and one that is only outlined."""

    _SWATCH_PX = 9

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFont(theme.font(self, 0.9))
        self.setAccessibleName("Solid: runs in int8. Outlined: runs in fp32.")

    def sizeHint(self) -> QSize:
        """Both swatches with their names."""
        metrics = self.fontMetrics()
        names = metrics.horizontalAdvance("int8") + metrics.horizontalAdvance("fp32")
        return QSize(names + 2 * (self._SWATCH_PX + 5) + 10, metrics.height() + 2)

    def minimumSizeHint(self) -> QSize:
        """All of it."""
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the two kinds of bar and their names."""
        painter, tones = QPainter(self), theme.tones_of(self)
        int8 = theme.precision_color("int8", theme.is_dark(self.palette()))
        side, x = self._SWATCH_PX, 0.0
        top = (self.height() - side) // 2
        base = (self.height() + self.fontMetrics().ascent() - self.fontMetrics().descent()) / 2
        for name in ("int8", "fp32"):
            if name == "int8":
                painter.fillRect(QRectF(x, top, side, side), int8)
            else:
                painter.setPen(QPen(QColor(tones.muted), 1))
                painter.drawRect(QRectF(x + 0.5, top + 0.5, side - 1, side - 1))
            painter.setPen(QColor(tones.muted))
            painter.drawText(round(x + side + 5), round(base), name)
            x += side + 5 + self.fontMetrics().horizontalAdvance(name) + 10
