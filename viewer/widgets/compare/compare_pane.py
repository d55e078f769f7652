"""The picture in the middle of the window: one, or several compared, with all that hands can do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QMouseEvent
from PyQt6.QtWidgets import QWidget

from r2l_core.errors import plain
from r2l_core.render.frames import Frame
from viewer.state.panes import LETTERS, CompareMode
from viewer.state.region import Region
from viewer.widgets.compare import difference_scale
from viewer.widgets.compare.compare_surface import CompareSurface
from viewer.widgets.compare.wipe_divider import WipeDivider
from viewer.widgets.controls.timers import Throttle
from viewer.widgets.picture.pixel_readout import PixelProbe

_FLIP_KEY = Qt.Key.Key_X
_PROBE_MS = 100
"""How often the values under the pointer follow a picture that is not complete."""

_OF_OTHER_KINDS = (
    *(".json", ".csv", ".npy", ".txt", ".png", ".jpg", ".jpeg", ".webp", ".mp4", ".webm", ".gif"),
)
"""Endings of datasets, paths, sessions and films."""


class ComparePane(CompareSurface):
    """Gestures as over one picture; points are told of the picture under the pointer."""

    pane_activated = pyqtSignal(int)
    """Position of the pane that was clicked."""
    light_field_dropped = pyqtSignal(int, str)
    """Position of the pane on which a file was dropped, and the file's path."""
    probed = pyqtSignal(object)
    """The PixelProbe under the pointer, or None."""
    region_chosen = pyqtSignal(object)
    """The Region that was dragged over the pictures; None where nothing can be measured in it."""
    flipped = pyqtSignal()
    """The other one of two is seen."""
    pixel_picked = pyqtSignal(int, int)
    """Column and row of a pixel to be looked into."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pointer: QPointF | None = None
        self._probing = Throttle(self._tell_probe, _PROBE_MS, self)
        self._divider = WipeDivider(self)
        self._divider.dragged.connect(self._drag_divider)
        self._divider.stepped.connect(self.move_divider)
        self._divider.reset.connect(self.reset_divider)
        self.pointed.connect(self._point)
        self.picked.connect(self._pick)
        self.framing.connect(lambda a, b: self.show_region(self._framed(a, b)))
        self.framed.connect(lambda a, b: self.region_chosen.emit(self._framed(a, b)))

    def show_frames(self, frames: Sequence[Frame]) -> None:
        """See CompareSurface.show_frames."""
        super().show_frames(frames)
        self._lay_divider()
        self._probe()

    def set_mode(self, mode: CompareMode) -> None:
        """See CompareSurface.set_mode."""
        super().set_mode(mode)
        self._lay_divider()
        self._probe()

    def difference_changed(self) -> None:
        """Repaint after the options or maps of the difference were changed."""
        self._probe()
        self.update()

    def show_b(self, on: bool) -> None:
        """Flip to B, or back to A."""
        if on != self.compared.shows_b:
            self.compared.shows_b = on
            self.flipped.emit()
            self.update()

    # The divider of a wipe

    def set_upright(self, on: bool) -> None:
        """Let the divider stand upright, or lie level."""
        self.compared.upright = on
        self._lay_divider()
        self.update()

    def move_divider(self, by: float) -> None:
        """Move it right or down by a part of the picture."""
        self.set_wipe(self.compared.wipe + by)

    def reset_divider(self) -> None:
        """Put it in the middle."""
        self.set_wipe(0.5)

    def _drag_divider(self, to: QPointF) -> None:
        cell = self._cell(0)
        along = (
            (to.x() - cell.left()) / cell.width()
            if self.compared.upright
            else (to.y() - cell.top()) / cell.height()
        )
        self.set_wipe(along)

    def set_wipe(self, fraction: float) -> None:
        """Put it where that share of the picture shows A."""
        self.compared.wipe = min(max(fraction, 0.0), 1.0)
        self._lay_divider()
        self.update()

    def _lay_divider(self) -> None:
        wiped = self.mode is CompareMode.WIPE and len(self.frames) > 1
        if wiped and self._arrangement is not None:
            self._divider.lie(self._cell(0), self.compared.wipe, self.compared.upright)
        self._divider.setVisible(wiped)

    # Input

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """X shows B while it is held; everything else as in one picture."""
        assert event is not None
        if event.key() == _FLIP_KEY and self.mode is CompareMode.FLIP:
            self.show_b(True)
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent | None) -> None:
        """Back to A."""
        assert event is not None
        if event.key() == _FLIP_KEY and not event.isAutoRepeat():
            self.show_b(False)
        else:
            super().keyReleaseEvent(event)

    def let_go(self) -> None:
        """See PictureGestures.let_go."""
        self.show_b(False)
        super().let_go()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """A press also makes the pane active that it falls on."""
        assert event is not None
        super().mousePressEvent(event)
        if self.mode is CompareMode.SIDE and self.is_on_picture(event.position()):
            self.pane_activated.emit(self._cell_at(event.position()))

    def drop_words(self, path: str, at: QPointF) -> tuple[QRectF, str]:
        """See FileDrop.drop_words: on one of several pictures, it is for that one."""
        pane = self._dropped_on(path, at)
        if pane is None:
            return super().drop_words(path, at)
        return self._cell(pane), f"Show {plain(Path(path).name)} in pane {LETTERS[pane]}"

    def take_drop(self, path: str, at: QPointF) -> None:
        """See FileDrop.take_drop."""
        pane = self._dropped_on(path, at)
        if pane is None:
            super().take_drop(path, at)
        else:
            self.light_field_dropped.emit(pane, path)

    def _dropped_on(self, path: str, at: QPointF) -> int | None:
        """The pane that a light field is for; what else can be opened is for all."""
        several = self._layout()[0] > 1
        meant = several and self.is_on_picture(at) and _may_be_light_field(Path(path))
        return self._cell_at(at) if meant else None

    def _point(self, at: QPointF | None) -> None:
        self._pointer = at
        self._probe()

    def _pick(self, x_px: float, y_px: float) -> None:
        pixel = self._pixel(QPointF(x_px, y_px))
        if pixel is not None:
            self._mark = pixel
            self.pixel_picked.emit(*pixel)
            self.update()

    def _framed(self, a: QPointF, b: QPointF) -> Region | None:
        """What of the picture lies between two points, image pixels from its centre."""
        if self._picture is None or len(self.frames) < 2:
            return None  # there is nothing to measure it against
        width_px, height_px = self._picture.image.width(), self._picture.image.height()
        corners = [(one.x() + width_px / 2, one.y() + height_px / 2) for one in (a, b)]
        return Region.between(*corners).within(width_px, height_px)

    def _pixel(self, from_center: QPointF) -> tuple[int, int] | None:
        assert self._picture is not None
        image = self._picture.image
        x_px = math.floor(from_center.x() + image.width() / 2)
        y_px = math.floor(from_center.y() + image.height() / 2)
        inside = 0 <= x_px < image.width() and 0 <= y_px < image.height()
        return (x_px, y_px) if inside else None

    def _probe(self) -> None:
        # While the camera moves, values that change with every picture cannot be read.
        moving = bool(self.frames) and not self.frames[0].complete
        (self._probing.ask if moving else self._probing.at_once)()

    def _tell_probe(self) -> None:
        at, pixel = self._pointer, None
        if at is not None and self.is_on_picture(at):
            pixel = self._pixel(self._from_center(at))
        if pixel is None:
            self.probed.emit(None)
            return
        x_px, y_px = pixel
        colors = [
            () if frame.why_blank else tuple(int(one) for one in frame.image[y_px, x_px])
            for frame in self.frames
        ]
        self.probed.emit(PixelProbe(x_px, y_px, tuple(colors), self._difference_words(x_px, y_px)))

    def _difference_words(self, x_px: int, y_px: int) -> str:
        if self.mode is CompareMode.DIFFERENCE:
            kind, values = self.compared.difference.options.kind, self.compared.difference.values()
            if values is None:
                return ""
            return f"{kind} {difference_scale.words(kind, float(values[y_px, x_px]))} {kind.unit}"
        if self.mode is CompareMode.SINGLE or self.compared.difference.pair is None:
            return ""
        a, b = (self.frames[at].image[y_px, x_px].astype(int) for at in self.compared.pair)
        signed = " ".join(f"{one:+d}" if one else "0" for one in a - b)
        letters = "−".join(LETTERS[at] for at in self.compared.pair)
        return f"{letters} {signed}".replace("-", "−")

    def _place(self) -> None:
        super()._place()
        self._lay_divider()


def _may_be_light_field(path: Path) -> bool:
    return path.suffix.lower() not in _OF_OTHER_KINDS and not path.is_dir()
