"""The middle of the window: an error if there is one, the pictures, and what labels them."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QVBoxLayout, QWidget

from r2l_core.images.difference import DifferenceKind, Map
from r2l_core.render.frames import Frame
from viewer.state.display_options import DifferenceOptions, DisplayOptions
from viewer.state.panes import CompareMode
from viewer.widgets.compare.compare_bar import CompareBar
from viewer.widgets.compare.compare_pane import ComparePane
from viewer.widgets.controls.timers import make_timer
from viewer.widgets.picture.message_bar import MessageBar
from viewer.widgets.picture.picture_footer import PictureFooter

_READOUT_MS = 200
"""Numbers that change faster can be read by nobody."""


class CompareView(QWidget):
    """Message bar, pane, compare bar and footer, one below the other.

    It holds the last frames: neither a mode nor a difference option asks for rendering.
    """

    mode_changed = pyqtSignal(CompareMode)
    difference_counted = pyqtSignal(object)
    """DifferenceReadout of what A differs from B, or None; at most five a second."""
    map_wanted = pyqtSignal(DifferenceKind, Frame, Frame)
    """DifferenceKind, Frame A, Frame B: a map to be computed elsewhere and given to `set_map`."""

    def __init__(self) -> None:
        super().__init__()
        self.message = MessageBar(self)
        self.pane = ComparePane(self)
        self.bar = CompareBar(self)
        self.footer = PictureFooter(self)
        self._counting = make_timer(self, _READOUT_MS, self._count, once=True)
        self._counted = True
        self._asked: tuple[Frame, Frame] | None = None
        self.pane.placement_changed.connect(self.footer.show_placement)
        self.pane.probed.connect(self.footer.show_probe)
        self.pane.flipped.connect(self._label)
        self.bar.mode_chosen.connect(self.set_mode)
        self.bar.upright_chosen.connect(self.set_upright)
        self.bar.b_held.connect(self.pane.show_b)
        self.bar.fit_requested.connect(self.pane.fit)
        self.bar.one_to_one_requested.connect(lambda: self.pane.show_scale(1.0))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.message)
        column.addWidget(self.pane, 1)
        column.addWidget(self.bar)
        column.addWidget(self.footer)

    @property
    def mode(self) -> CompareMode:
        """How the panes are shown."""
        return self.pane.mode

    def show_frame(self, frame: Frame) -> None:
        """Show one pane with its label."""
        self.show_frames([frame])

    def show_frames(self, frames: Sequence[Frame]) -> None:
        """Show one frame for each of 1 to 4 panes, all of the same request, camera and pass."""
        self.pane.show_frames(frames)
        self._label()
        # A truth may be whole at once, while others are still refined.
        seen = self.pane.compared.seen
        last = min(frames, key=lambda frame: (frame.known_share, frame not in seen))
        spent_ms = sum(frame.elapsed_ms for frame in frames)
        self.footer.show_progress(last, spent_ms, last not in seen)
        self._difference_changed()

    def set_mode(self, mode: CompareMode) -> None:
        """Show the same frames in another way."""
        if mode is not self.mode:
            self.pane.set_mode(mode)
            self.bar.show_mode(mode)
            self._label()
            self._difference_changed()
            self.mode_changed.emit(mode)

    def set_active(self, position: int) -> None:
        """Mark the active pane; alone it is the one that is shown."""
        self.pane.set_active(position)
        self._label()

    def show_pairs(self, n_panes: int, pair: tuple[int, int]) -> None:
        """Wipe, flip and subtract these two of the panes, and offer the others."""
        self.pane.set_pair(pair)
        self.bar.show_pairs(n_panes, pair)
        self._label()
        self._difference_changed()

    def show_panes(self, sources: Sequence[str]) -> None:
        """Have room for panes that show this before their frames are there."""
        self.pane.show_panes(sources)

    def show_waiting(self, text: str) -> None:
        """Say that the picture is not what was asked for, and no longer when it would be exact;
        empty: it is."""
        self.pane.overlays.show_waiting(text)
        if text:
            self.footer.show_kept()

    def set_upright(self, on: bool) -> None:
        """Let the divider of a wipe stand upright, or lie level."""
        self.pane.set_upright(on)
        self.bar.show_upright(on)

    def set_counted(self, on: bool) -> None:
        """Count the difference in every mode, or, as nobody looks, only where it is the picture."""
        self._counted = on
        if on:
            self._counting.start()

    def set_difference(self, options: DifferenceOptions) -> None:
        """Show the difference in another way."""
        self.pane.compared.difference.set_options(options)
        self._difference_changed()

    def set_display(self, options: DisplayOptions) -> None:
        """Show the same frames with another exposure, or one channel of them, and say so."""
        self.pane.set_display(options)
        self.footer.show_display(options.words)

    def set_map(self, kind: DifferenceKind, values: Map, a: Frame, b: Frame) -> None:
        """Take a map, float32 (H, W), that was computed for frames `a` and `b`.

        One for frames that are no longer shown is dropped.
        """
        if self.pane.compared.difference.set_map(kind, values, (a, b)):
            self._difference_changed()

    def _label(self) -> None:
        seen = self.pane.compared.seen
        if seen:
            self.footer.show_seen(seen)

    def _difference_changed(self) -> None:
        self.pane.difference_changed()
        if not self._counting.isActive():
            self._counting.start()
        difference = self.pane.compared.difference
        pair, kind = difference.pair, difference.options.kind
        wanted = self.mode is CompareMode.DIFFERENCE and not kind.quick
        if wanted and pair is not None and pair[0].complete and self._asked != pair:
            self._asked = pair
            self.map_wanted.emit(kind, *pair)

    def _count(self) -> None:
        compared, difference = self.pane.compared, self.pane.compared.difference
        if not self._counted and self.mode not in (CompareMode.SINGLE, CompareMode.DIFFERENCE):
            return
        readout = difference.readout() if self.mode is not CompareMode.SINGLE else None
        identical = compared.identical_words() if readout is not None else ""
        self.bar.show_difference(difference.options, readout, identical)
        self.difference_counted.emit(readout)
