"""Several pictures of one camera, painted side by side, wiped, flipped or as their difference."""

from __future__ import annotations

import time
from collections.abc import Sequence

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QImage, QPainter
from PyQt6.QtWidgets import QWidget

from r2l_core.render.frames import Frame
from viewer.state.display_options import DisplayOptions
from viewer.state.panes import CompareMode
from viewer.state.region import Region
from viewer.widgets import theme
from viewer.widgets.compare import difference_scale, pane_label
from viewer.widgets.compare.comparison import Comparison, same_camera
from viewer.widgets.compare.pane_label import PaintedLabels, PaneLabel
from viewer.widgets.compare.pane_marks import paint_mark, paint_region
from viewer.widgets.picture.image_pane import ImagePane
from viewer.widgets.picture.picture import Picture
from viewer.widgets.picture.pixel_values import Words, paint_pixel_values, rgb_words
from viewer.widgets.picture.placement import Spacing

_GAP_PX = 12
_ALONE = "Add a pane to compare with"
_NO_MAP = "{} is computed once the picture is complete"
_TIMES_S = 0.2
"""How often the times in the labels of pictures that are not complete change."""


class CompareSurface(ImagePane):
    """Paints what `compared` says; frames come in, and are labelled, here."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.compared = Comparison()
        self._labels: list[PaneLabel] = []
        self._labelled_s = 0.0
        self._painted_labels = PaintedLabels(self)
        self._mark: tuple[int, int] | None = None
        self._region: Region | None = None

    @property
    def frames(self) -> tuple[Frame, ...]:
        """One frame for each pane."""
        return self.compared.frames

    @property
    def frame(self) -> Frame | None:
        """The frame of the active pane, or None before the first."""
        return self.compared.frame

    @property
    def mode(self) -> CompareMode:
        """How the panes are shown."""
        return self.compared.mode

    def show_panes(self, sources: Sequence[str]) -> None:
        """Have room for panes that show this, in words, before their frames are there."""
        if tuple(sources) != self.compared.sources:
            self.compared.have_room_for(sources)
            self._place()
            self.update()
            self.room_changed.emit()

    def show_frame(self, frame: Frame) -> None:
        """Show one pane."""
        self.show_frames([frame])

    def show_frames(self, frames: Sequence[Frame]) -> None:
        """Show one frame for each pane. See `Comparison.take`."""
        before = self.frames
        self.compared.take(frames)
        if not before or not same_camera(before[0], frames[0]):
            self._mark = None
        self._label(frames)
        self._show(frames[0], self.compared.pictures[0])
        if len(frames) != len(before):
            self.room_changed.emit()

    def set_display(self, options: DisplayOptions) -> None:
        """Show the same frames with another exposure, or one channel of them."""
        if self.compared.set_display(options):
            self._show(self.frames[0], self.compared.pictures[0])

    @property
    def region(self) -> Region | None:
        """The part of the pictures that is framed."""
        return self._region

    def show_region(self, region: Region | None) -> None:
        """Frame the part of the pictures that is measured; None: all of them are."""
        self._region = region
        self.update()

    def set_pair(self, pair: tuple[int, int]) -> None:
        """Wipe, flip and subtract two other panes."""
        self.compared.set_pair(pair)
        self.update()

    def _label(self, frames: Sequence[Frame]) -> None:
        first = self.compared.alone if len(frames) == 1 else 0
        labels = [PaneLabel.of(at, frame) for at, frame in enumerate(frames, first)]
        now = time.perf_counter()
        recent = now - self._labelled_s < _TIMES_S and not frames[0].complete
        if not recent or [one.lasting for one in labels] != [one.lasting for one in self._labels]:
            self._labels, self._labelled_s = labels, now

    def set_mode(self, mode: CompareMode) -> None:
        """Show the same frames in another way."""
        self.compared.set_mode(mode)
        self._place()
        self.update()
        self.room_changed.emit()

    def set_active(self, position: int) -> None:
        """Mark the pane that the digit keys and the engine card are about."""
        self.compared.active = position
        self.update()

    def copied_image(self) -> QImage:
        """The exact rendered pixels of the active pane; null where there are none."""
        if self.frame is None or self.frame.why_blank:
            return QImage()
        return Picture(self.frame.image).image.copy()

    def seen_point(self, at: QPointF) -> tuple[float, float] | None:
        """A position in the widget in pixels of `Comparison.seen_pixels`; None off the pictures."""
        if not self.frames or not self.is_on_picture(at):
            return None
        height_px, width_px, _ = self.frames[0].image.shape
        offset = (at - self.image_center(at)) / self.logical_px_per_image_px()
        cell = self._cell_at(at) if self.mode is CompareMode.SIDE else 0
        if self.mode is CompareMode.SIDE and cell in self.compared.awaited:
            return None
        before = cell * width_px if len(self.frames) > 1 else 0
        return before + offset.x() + width_px / 2, offset.y() + height_px / 2

    # Placing

    def _layout(self) -> tuple[int, Spacing]:
        if self.mode is CompareMode.SINGLE:
            return super()._layout()
        ratio = self.devicePixelRatioF()
        count = len(self.frames) if self.mode is CompareMode.SIDE else 1
        if self.frames and self.mode is CompareMode.SIDE:
            count = max(count, len(self.compared.sources))
        strip = round(pane_label.height_px(self) * ratio)
        gap = round(_GAP_PX * ratio)
        return count, Spacing(strip, gap, slack=gap // 2)

    # Painting

    def _paint_picture(self, painter: QPainter) -> None:
        self._place()
        mode, pictures, labels = self.mode, self.compared.pictures, self._labels
        if mode is CompareMode.SIDE and self.compared.awaited:
            self._paint_with_awaited(painter)
        elif mode is CompareMode.SINGLE or len(pictures) < 2:
            at = self.compared.shown
            self._paint_frame(painter, 0, at)
            if mode is not CompareMode.SINGLE:
                self._paint_alone(painter, labels[at])
        elif mode is CompareMode.SIDE:
            for at in range(len(pictures)):
                self._paint_frame(painter, at, at)
                self._paint_label(painter, at, labels[at])
        elif mode is CompareMode.WIPE:
            for at, part in zip(self.compared.pair, self._halves(), strict=True):
                painter.save()
                painter.setClipRect(part)
                self._paint_frame(painter, 0, at)
                painter.restore()
            self._paint_pair(painter)
        elif mode is CompareMode.FLIP:
            at = self.compared.pair[int(self.compared.shows_b)]
            self._paint_frame(painter, 0, at)
            self._paint_label(painter, 0, labels[at])
        else:
            self._paint_difference(painter)

    def _paint_with_awaited(self, painter: QPainter) -> None:
        frames = iter(range(len(self.frames)))
        for cell, source in enumerate(self.compared.sources):
            if cell in self.compared.awaited:
                name = PaneLabel.awaited(cell, source)
                self._paint_nothing(painter, cell, f"{source} is on its way")
            else:
                at = next(frames)
                name = self._labels[at]
                self._paint_frame(painter, cell, at)
            self._paint_label(painter, cell, name)

    def _halves(self) -> tuple[QRectF, QRectF]:
        cell, ratio = self._cell(0), self.devicePixelRatioF()
        first, second = QRectF(cell), QRectF(cell)
        if self.compared.upright:
            split = round((cell.left() + self.compared.wipe * cell.width()) * ratio) / ratio
            first.setRight(split)
            second.setLeft(split)
        else:
            split = round((cell.top() + self.compared.wipe * cell.height()) * ratio) / ratio
            first.setBottom(split)
            second.setTop(split)
        return first, second

    def _paint_difference(self, painter: QPainter) -> None:
        picture, options = self.compared.difference.picture(), self.compared.difference.options
        if picture is None:
            reasons = (self.frames[at].why_blank for at in self.compared.pair)
            why = next(filter(None, reasons), _NO_MAP.format(options.kind))
            self._paint_nothing(painter, 0, why)
        else:
            values = self.compared.difference.values()
            assert values is not None

            def words(x: int, y: int) -> tuple[str, ...]:
                return (difference_scale.words(options.kind, float(values[y, x])),)

            self._paint_cell(painter, 0, picture, words)
            if self.compared.difference.identical:
                painter.setPen(QColor("#ffffff"))
                flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
                painter.drawText(self._cell(0), int(flags), self.compared.identical_words())
        self._paint_pair(painter)

    def _paint_frame(self, painter: QPainter, cell: int, at: int) -> None:
        frame = self.frames[at]
        if frame.why_blank:
            self._paint_nothing(painter, cell, frame.why_blank)
        else:
            self._paint_cell(painter, cell, self.compared.pictures[at], rgb_words(frame.image))

    def _paint_nothing(self, painter: QPainter, cell: int, why: str) -> None:
        tones, place = theme.tones_of(self), self._cell(cell)
        painter.fillRect(place, QColor(tones.base))
        painter.setPen(QColor(tones.muted))
        flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        if painter.hasClipping():
            place = place.intersected(painter.clipBoundingRect())
        painter.drawText(place, int(flags), why)

    def _paint_cell(self, painter: QPainter, cell: int, picture: Picture, words: Words) -> None:
        assert self._arrangement is not None
        at, ratio = self._arrangement.placement, self.devicePixelRatioF()
        picture.paint(painter, at, self._device_cell(cell), ratio)
        # Numbers of pixels that are only interpolated would flicker through a drag.
        written = words if self.frames[0].complete else None
        paint_pixel_values(painter, at, self._device_cell(cell), ratio, picture.pixels, written)
        self._paint_marks(painter, cell)

    def _paint_marks(self, painter: QPainter, cell: int) -> None:
        assert self._picture is not None
        image, size = self._picture.image, self.logical_px_per_image_px()
        middle = self.image_center(self._cell(cell).center())
        corner = middle - QPointF(image.width(), image.height()) * (size / 2)
        painter.save()
        painter.setClipRect(self._cell(cell), Qt.ClipOperation.IntersectClip)
        if self._region is not None:
            paint_region(painter, self._region, corner, size)
        if self._mark is not None:
            x_px, y_px = self._mark
            paint_mark(painter, corner + QPointF(x_px + 0.5, y_px + 0.5) * size, size)
        painter.restore()

    def _strip(self, cell: int) -> QRectF:
        below = self._cell(cell)
        height = pane_label.height_px(self)
        return QRectF(below.left(), below.top() - height, below.width(), height)

    def _paint_label(self, painter: QPainter, cell: int, label: PaneLabel) -> None:
        active = (
            self.mode is CompareMode.SIDE and cell == self.compared.active and len(self.frames) > 1
        )
        self._painted_labels.paint(painter, self._strip(cell), label, active)

    def _paint_pair(self, painter: QPainter) -> None:
        left, right = self._strip_halves()
        a, b = self.compared.pair
        self._painted_labels.paint(painter, left, self._labels[a])
        self._painted_labels.paint(painter, right, self._labels[b], right=True)

    def _paint_alone(self, painter: QPainter, label: PaneLabel) -> None:
        left, right = self._strip_halves()
        self._painted_labels.paint(painter, left, label)
        painter.setPen(QColor(theme.tones_of(self).on_surround))
        painter.setFont(self.font())
        flags = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
        awaited = self.compared.awaited
        words = f"{self.compared.sources[awaited[0]]} is on its way" if awaited else _ALONE
        painter.drawText(right, int(flags), words)

    def _strip_halves(self) -> tuple[QRectF, QRectF]:
        strip, middle = self._strip(0), self._strip(0).center().x()
        left, right = QRectF(strip), QRectF(strip)
        left.setRight(middle - _GAP_PX)
        right.setLeft(middle + _GAP_PX)
        return left, right
