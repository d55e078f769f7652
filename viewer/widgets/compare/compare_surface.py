"""Several pictures of one camera, painted side by side, wiped, flipped or as their difference."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QImage, QPainter
from PyQt6.QtWidgets import QWidget

from r2l_core.render.frames import Frame
from viewer.state.display_options import DisplayOptions
from viewer.state.panes import LETTERS, CompareMode
from viewer.state.region import Region
from viewer.widgets import theme
from viewer.widgets.compare import difference_scale, pane_label
from viewer.widgets.compare.difference_view import DifferenceView
from viewer.widgets.compare.pane_label import PaintedLabels, PaneLabel
from viewer.widgets.compare.pane_marks import paint_mark, paint_region
from viewer.widgets.picture.displayed import displayed
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
    """Holds the last frames, so that neither a mode nor an option asks for rendering."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.difference = DifferenceView()
        self._frames: tuple[Frame, ...] = ()
        self._pictures: list[Picture] = []
        self._labels: list[PaneLabel] = []
        self._labelled_s = 0.0
        self._painted_labels = PaintedLabels(self)
        self._display = DisplayOptions()
        self._mode = CompareMode.SINGLE
        self._active = 0
        self._pair = (0, 1)
        self._sources: tuple[str, ...] = ()
        self._alone = 0
        """Position of the pane whose frame is there alone."""
        self._shows_b = False
        self._wipe = 0.5
        self._upright = True
        self._mark: tuple[int, int] | None = None
        self._region: Region | None = None

    @property
    def frames(self) -> tuple[Frame, ...]:
        """One frame for each pane."""
        return self._frames

    @property
    def frame(self) -> Frame | None:
        """The frame of the active pane, or None before the first."""
        return self._frames[self._shown()] if self._frames else None

    @property
    def mode(self) -> CompareMode:
        """How the panes are shown."""
        return self._mode

    @property
    def awaited(self) -> tuple[int, ...]:
        """Positions of the panes that have no frame yet."""
        n_panes = len(self._sources)
        if len(self._frames) == 1:
            return tuple(at for at in range(n_panes) if at != self._alone)
        return tuple(range(len(self._frames), n_panes))

    def show_panes(self, sources: Sequence[str]) -> None:
        """Have room for panes that show this, in words, before their frames are there."""
        if tuple(sources) != self._sources:
            self._sources = tuple(sources)
            self._alone = min(self._alone, max(len(sources) - 1, 0))
            self._place()
            self.update()
            self.room_changed.emit()

    def show_frame(self, frame: Frame) -> None:
        """Show one pane."""
        self.show_frames([frame])

    def show_frames(self, frames: Sequence[Frame]) -> None:
        """Show one frame for each pane, of the same request, camera, size and pass.

        Raises ValueError where they are not: more would differ than what is compared.
        """
        _check_matching(frames)
        first = frames[0]
        if not self._frames or not _same_camera(self._frames[0], first):
            self._mark = None
        others = len(frames) != len(self._frames)
        if self._mode is CompareMode.SINGLE:
            self._alone = self._active
        elif len(frames) > 1:
            # The next that comes alone is of a first pane.
            self._alone = 0
        self._frames = tuple(frames)
        self._make_pictures()
        self._label(frames)
        self._set_difference_pair()
        self._show(first, self._pictures[0])
        if others:
            self.room_changed.emit()

    def set_display(self, options: DisplayOptions) -> None:
        """Show the same frames with another exposure, or one channel of them."""
        if options == self._display:
            return
        self._display = options
        if self._frames:
            self._make_pictures()
            self._show(self._frames[0], self._pictures[0])

    def _make_pictures(self) -> None:
        self._pictures = [Picture(displayed(one.image, self._display)) for one in self._frames]

    @property
    def pair(self) -> tuple[int, int]:
        """Positions of the two panes that are wiped, flipped and subtracted."""
        return self._pair if max(self._pair) < len(self._frames) else (0, 1)

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
        if pair != self._pair:
            self._pair = pair
            self._set_difference_pair()
            self.update()

    def _set_difference_pair(self) -> None:
        frames = [self._frames[at] for at in self.pair] if len(self._frames) > 1 else []
        able = bool(frames) and not any(frame.why_blank for frame in frames)
        self.difference.set_pair((frames[0], frames[1]) if able else None)
        made = frames[0].difference if able else None
        if made is not None and made.against == self.pair[1]:
            self.difference.set_map(made.kind, made.values, (frames[0], frames[1]))

    def identical_words(self) -> str:
        """That the compared two show the same, in words; empty where they do not."""
        if not self.difference.identical:
            return ""
        letters = " and ".join(LETTERS[at] for at in self.pair)
        return f"{letters} are identical{'' if self._frames[0].complete else ' so far'}"

    def _label(self, frames: Sequence[Frame]) -> None:
        first = self._alone if len(frames) == 1 else 0
        labels = [PaneLabel.of(at, frame) for at, frame in enumerate(frames, first)]
        now = time.perf_counter()
        recent = now - self._labelled_s < _TIMES_S and not frames[0].complete
        if not recent or [one.lasting for one in labels] != [one.lasting for one in self._labels]:
            self._labels, self._labelled_s = labels, now

    def set_mode(self, mode: CompareMode) -> None:
        """Show the same frames in another way."""
        self._mode = mode
        self._shows_b = False
        self._place()
        self.update()
        self.room_changed.emit()

    def set_active(self, position: int) -> None:
        """Mark the pane that the digit keys and the engine card are about."""
        self._active = position
        self.update()

    def copied_image(self) -> QImage:
        """The exact rendered pixels of the active pane; null where there are none."""
        if self.frame is None or self.frame.why_blank:
            return QImage()
        return Picture(self.frame.image).image.copy()

    # What is seen, without labels

    def seen_pixels(self) -> NDArray[np.uint8] | None:
        """The pictures as they are shown, at their own size: uint8 (H, W, 3), several of them side
        by side, wiped or as their difference. None before the first frame."""
        seen, mode = [picture.pixels for picture in self._pictures], self._mode
        if not seen:
            return None
        if mode is CompareMode.SINGLE or len(seen) < 2:
            return seen[self._shown()]
        if mode is CompareMode.SIDE:
            return np.concatenate(seen, axis=1)
        a, b = (seen[at] for at in self.pair)
        if mode is CompareMode.FLIP:
            return b if self._shows_b else a
        if mode is CompareMode.WIPE:
            wiped = b.copy()
            along = slice(round(self._wipe * b.shape[1 if self._upright else 0]))
            part = (slice(None), along) if self._upright else (along,)
            wiped[part] = a[part]
            return wiped
        picture = self.difference.picture()
        return None if picture is None else _rgb(picture.pixels)

    def seen_key(self) -> object:
        """Equal as long as `seen_pixels` gives the same, and the frames are held."""
        pictures = tuple(frame.image for frame in self._frames)
        wiped = (self._wipe, self._upright)
        how = (self._mode, self._active, self.pair, self._shows_b, wiped, self._display)
        options = self.difference.options if self._mode is CompareMode.DIFFERENCE else None
        return tuple(map(id, pictures)), how, options

    def seen_point(self, at: QPointF) -> tuple[float, float] | None:
        """A position in the widget in pixels of `seen_pixels`; None off the pictures."""
        if not self._frames or not self.is_on_picture(at):
            return None
        height_px, width_px, _ = self._frames[0].image.shape
        offset = (at - self.image_center(at)) / self.logical_px_per_image_px()
        cell = self._cell_at(at) if self._mode is CompareMode.SIDE else 0
        if self._mode is CompareMode.SIDE and cell in self.awaited:
            return None
        before = cell * width_px if len(self._frames) > 1 else 0
        return before + offset.x() + width_px / 2, offset.y() + height_px / 2

    def _shown(self) -> int:
        return min(self._active, len(self._frames) - 1)

    # Placing

    def _layout(self) -> tuple[int, Spacing]:
        if self._mode is CompareMode.SINGLE:
            return super()._layout()
        ratio = self.devicePixelRatioF()
        count = len(self._frames) if self._mode is CompareMode.SIDE else 1
        if self._frames and self._mode is CompareMode.SIDE:
            count = max(count, len(self._sources))
        strip = round(pane_label.height_px(self) * ratio)
        gap = round(_GAP_PX * ratio)
        return count, Spacing(strip, gap, slack=gap // 2)

    # Painting

    def _paint_picture(self, painter: QPainter) -> None:
        self._place()
        mode, pictures, labels = self._mode, self._pictures, self._labels
        if mode is CompareMode.SIDE and self.awaited:
            self._paint_with_awaited(painter)
        elif mode is CompareMode.SINGLE or len(pictures) < 2:
            at = self._shown()
            self._paint_frame(painter, 0, at)
            if mode is not CompareMode.SINGLE:
                self._paint_alone(painter, labels[at])
        elif mode is CompareMode.SIDE:
            for at in range(len(pictures)):
                self._paint_frame(painter, at, at)
                self._paint_label(painter, at, labels[at])
        elif mode is CompareMode.WIPE:
            for at, part in zip(self.pair, self._halves(), strict=True):
                painter.save()
                painter.setClipRect(part)
                self._paint_frame(painter, 0, at)
                painter.restore()
            self._paint_pair(painter)
        elif mode is CompareMode.FLIP:
            at = self.pair[int(self._shows_b)]
            self._paint_frame(painter, 0, at)
            self._paint_label(painter, 0, labels[at])
        else:
            self._paint_difference(painter)

    def _paint_with_awaited(self, painter: QPainter) -> None:
        frames = iter(range(len(self._frames)))
        for cell, source in enumerate(self._sources):
            if cell in self.awaited:
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
        if self._upright:
            split = round((cell.left() + self._wipe * cell.width()) * ratio) / ratio
            first.setRight(split)
            second.setLeft(split)
        else:
            split = round((cell.top() + self._wipe * cell.height()) * ratio) / ratio
            first.setBottom(split)
            second.setTop(split)
        return first, second

    def _paint_difference(self, painter: QPainter) -> None:
        picture, options = self.difference.picture(), self.difference.options
        if picture is None:
            reasons = (self._frames[at].why_blank for at in self.pair)
            why = next(filter(None, reasons), _NO_MAP.format(options.kind))
            self._paint_nothing(painter, 0, why)
        else:
            values = self.difference.values()
            assert values is not None

            def words(x: int, y: int) -> tuple[str, ...]:
                return (difference_scale.words(options.kind, float(values[y, x])),)

            self._paint_cell(painter, 0, picture, words)
            if self.difference.identical:
                painter.setPen(QColor("#ffffff"))
                flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
                painter.drawText(self._cell(0), int(flags), self.identical_words())
        self._paint_pair(painter)

    def _paint_frame(self, painter: QPainter, cell: int, at: int) -> None:
        frame = self._frames[at]
        if frame.why_blank:
            self._paint_nothing(painter, cell, frame.why_blank)
        else:
            self._paint_cell(painter, cell, self._pictures[at], rgb_words(frame.image))

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
        written = words if self._frames[0].complete else None
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
        active = self._mode is CompareMode.SIDE and cell == self._active and len(self._frames) > 1
        self._painted_labels.paint(painter, self._strip(cell), label, active)

    def _paint_pair(self, painter: QPainter) -> None:
        left, right = self._strip_halves()
        a, b = self.pair
        self._painted_labels.paint(painter, left, self._labels[a])
        self._painted_labels.paint(painter, right, self._labels[b], right=True)

    def _paint_alone(self, painter: QPainter, label: PaneLabel) -> None:
        left, right = self._strip_halves()
        self._painted_labels.paint(painter, left, label)
        painter.setPen(QColor(theme.tones_of(self).on_surround))
        painter.setFont(self.font())
        flags = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
        awaited = self.awaited
        words = f"{self._sources[awaited[0]]} is on its way" if awaited else _ALONE
        painter.drawText(right, int(flags), words)

    def _strip_halves(self) -> tuple[QRectF, QRectF]:
        strip, middle = self._strip(0), self._strip(0).center().x()
        left, right = QRectF(strip), QRectF(strip)
        left.setRight(middle - _GAP_PX)
        right.setLeft(middle + _GAP_PX)
        return left, right


def _rgb(words: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) of 0xffRRGGBB words."""
    shifts = np.array([16, 8, 0], np.uint32)
    return (words[..., None] >> shifts & 0xFF).astype(np.uint8)


def _check_matching(frames: Sequence[Frame]) -> None:
    if not 1 <= len(frames) <= len(LETTERS):
        raise ValueError(f"{len(frames)} panes were given; 1 to 4 can be shown")
    first = frames[0]
    for other in frames[1:]:
        for what, one, two in (
            ("request", first.seq, other.seq),
            ("pass", first.stride, other.stride),
            ("size", first.image.shape, other.image.shape),
        ):
            if one != two:
                raise ValueError(f"the panes differ in their {what}: {one} and {two}")
        if not _same_camera(first, other):
            raise ValueError("the panes differ in their camera")


def _same_camera(one: Frame, other: Frame) -> bool:
    a, b = one.camera, other.camera
    return a is b or a.same_view(b)
