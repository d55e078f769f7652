"""Which layers lose most in int8, and the mix of layers that run in high precision instead."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtGui import QPalette
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from viewer.widgets import theme
from viewer.widgets.controls import wording
from viewer.widgets.controls.flat_button import FlatButton
from viewer.widgets.panels.layer_bars import LayerBars, LayerSensitivity

_EXPLAINED = (
    "Signal to quantisation noise of the network's output when this layer alone is int8: the lower "
    "the bar, the more the layer loses. Solid bars run in int8, outlined ones in high precision."
)
_ABSENT = "not measured yet"


class SensitivityStrip(QWidget):
    """Bars a layer, and what can be done with all of them."""

    layer_toggled = pyqtSignal(str, bool)
    """Name of a layer, and whether it should run in high precision."""
    worst_requested = pyqtSignal()
    restore_requested = pyqtSignal()
    save_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Sensitivity of the layers")
        caption = QLabel("SQNR of each layer, dB", self)
        caption.setFont(theme.font(self, 0.9))
        caption.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        caption.setToolTip(_EXPLAINED)
        self._count = QLabel(wording.DASH, self)
        self._count.setFont(theme.font(self, tabular=True))
        self._count.setAccessibleName("Layers in high precision")
        self._bars = LayerBars(self)
        self._bars.layer_toggled.connect(self.layer_toggled)
        self._reason = QLabel(self)
        self._reason.setWordWrap(True)
        self._reason.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._worst = FlatButton(
            "Find the worst", "Measure how much each layer loses in int8", self
        )
        self._restore = FlatButton("Restore all", "Run every layer in int8 again", self)
        self._save = FlatButton("Save mix…", "Save which layers run in high precision", self)
        self._worst.clicked.connect(lambda: self.worst_requested.emit())
        self._restore.clicked.connect(lambda: self.restore_requested.emit())
        self._save.clicked.connect(lambda: self.save_requested.emit())
        head = QHBoxLayout()
        head.addWidget(caption, 1)
        head.addWidget(self._count)
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        for button in (self._worst, self._restore, self._save):
            buttons.addWidget(button)
        buttons.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(head)
        column.addWidget(self._bars)
        column.addWidget(self._reason)
        column.addLayout(buttons)
        self.show_layers((), _ABSENT)

    def show_layers(self, layers: Sequence[LayerSensitivity], why_not: str = "") -> None:
        """Show the layers in the order of the network; `why_not`: why there are none, a clause."""
        self._bars.show_layers(layers)
        self._bars.setVisible(bool(layers))
        high = sum(one.high for one in layers)
        self._count.setText(f"{high} of {len(layers)} high" if layers else wording.DASH)
        self._reason.setText(f"The layers are {why_not}." if why_not else "")
        self._reason.setVisible(bool(why_not))
        self._restore.setEnabled(high > 0)
        self._save.setEnabled(high > 0)
