"""The status bar: what runs, what was rendered, how fast, how much memory, any remark."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QPalette
from PyQt6.QtWidgets import QLabel, QStatusBar

from r2l_core.render.frames import Frame
from r2l_core.types import EngineInfo
from viewer.widgets import theme
from viewer.widgets.controls import wording
from viewer.widgets.controls.elided_label import ElidedLabel
from viewer.widgets.panels.performance_readout import PerformanceReadout


class StatusLine(QStatusBar):
    """What runs stands at the left; the readouts keep their places at the right."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizeGripEnabled(False)
        self._engine = ElidedLabel("Nothing runs yet", self)
        self._engine.setContentsMargins(8, 0, 0, 0)
        self.addWidget(self._engine, 1)
        self._film = self._add("", "Record > Record… shows more of the film that is being made")
        self._busy = self._add("", "What is being waited for")
        self._badge = self._add("", "Remark on this view")
        self._rendered = self._add(
            "0000×0000 1/8 preview",
            "Image size, and whether every pixel is exact",
        )
        self._time = self._add("00 000.0 ms", "Time to render one image")
        self._rays = self._add("00 000.0 kray/s", "Rays through the network each second")
        self._memory = self._add("00.00 GB", "Memory this program holds")
        self._film.hide()
        self._busy.hide()
        self._badge.hide()

    def show_engine(self, info: EngineInfo) -> None:
        """Say what runs and where."""
        runs = f"{wording.named(info)} {wording.how(info)}".strip()
        text = " · ".join(filter(None, (runs, wording.fidelity(info), info.kernel, info.device)))
        self._engine.setText(text)
        self._engine.setToolTip(text)

    def show_frame(self, frame: Frame) -> None:
        """Say which pixels the shown frame has."""
        height_px, width_px, _ = frame.image.shape
        if frame.carried:
            state = "carried preview"
        elif wording.is_preview(frame):
            state = f"1/{frame.stride} preview"
        elif frame.interpolated_pixels:
            share = frame.interpolated_pixels / (width_px * height_px)
            state = f"{100 * share:.0f} % interpolated"
        else:
            state = "exact"
        self._rendered.setText(f"{wording.size(width_px, height_px)} {state}")

    def show_performance(self, readout: PerformanceReadout) -> None:
        """Show time per image, rays per second and memory."""
        self._time.setText(f"{wording.number(readout.frame_ms)} ms")
        self._rays.setText(f"{wording.number(readout.krays_per_s)} kray/s")
        self._memory.setText(" ".join(wording.memory(readout.memory_mb)))

    def show_busy(self, text: str | None) -> None:
        """Say what is being waited for, or nothing."""
        self._show(self._busy, text)

    def show_badge(self, text: str | None) -> None:
        """Remark on the shown view, or nothing."""
        self._show(self._badge, text)

    def show_film(self, words: str) -> None:
        """Say how far a film is that is being made; empty: none is."""
        self._show(self._film, f"Recording: {words}" if words else "")

    def _add(self, widest: str, explanation: str) -> QLabel:
        label = QLabel(wording.DASH if widest else "", self)
        label.setFont(theme.font(self, tabular=True))
        label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        label.setMinimumWidth(label.fontMetrics().horizontalAdvance(widest))
        label.setContentsMargins(4, 0, 6, 0)
        label.setToolTip(explanation)
        self.addPermanentWidget(label)
        return label

    @staticmethod
    def _show(label: QLabel, text: str | None) -> None:
        label.setText(text or "")
        label.setVisible(bool(text))
