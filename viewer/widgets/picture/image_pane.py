"""The picture: a rendered frame on neutral grey, with quiet labels over it."""

from __future__ import annotations

import time
from dataclasses import replace

from PyQt6.QtCore import QPointF, QRect, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QImage,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PyQt6.QtWidgets import QWidget

from r2l_core.render.frames import Frame
from viewer.widgets import theme
from viewer.widgets.picture.drawn_overlays import PathOverlay, PoseOverlay, paint_path, paint_poses
from viewer.widgets.picture.overlay_label import PictureOverlays
from viewer.widgets.picture.picture import Picture, logical
from viewer.widgets.picture.picture_gestures import PictureGestures
from viewer.widgets.picture.placement import (
    Arrangement,
    Placement,
    Spacing,
    Viewport,
    arrange,
    room_of_one,
)

_MARGIN_PX = 14
"""Grey kept free on every side of the picture, in logical pixels."""
_VEIL = QColor(64, 64, 64, 90)
"""Over a picture that is not what was asked for."""
_EMPTY_TEXT = "No picture yet. Open a light field with Ctrl+O, or drop its file here."


class ImagePane(PictureGestures):
    """Paints the newest frame and reports gestures over it (see `PictureGestures`)."""

    picture_painted = pyqtSignal(int, float)
    """seq of a frame whose pixels were painted for the first time, and how long it took in ms."""
    placement_changed = pyqtSignal(Placement)
    """The `Placement` that the picture is now painted with."""
    room_changed = pyqtSignal()
    """There is more or less room for pictures than before."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Picture")
        self.setAccessibleDescription(
            "Drag to orbit, Shift+drag to pan, wheel to zoom, double-click to centre."
        )
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMinimumSize(160, 160)
        self._frame: Frame | None = None
        self._picture: Picture | None = None
        self._unpainted = False
        self._integer_zoom = False
        self._path: PathOverlay | None = None
        self._poses: PoseOverlay | None = None
        self._viewport = Viewport()
        self._arrangement: Arrangement | None = None
        self.overlays = PictureOverlays(self)
        self.drag_started.connect(self.overlays.dismiss_hint)
        self.magnified.connect(self.magnify)
        self.slid.connect(self._slide)

    # What is shown

    @property
    def frame(self) -> Frame | None:
        """The frame on the screen, or None before the first."""
        return self._frame

    @property
    def placement(self) -> Placement | None:
        """Where the picture lies in its cell, or None before the first frame."""
        return self._arrangement.placement if self._arrangement else None

    def show_frame(self, frame: Frame) -> None:
        """Show `frame`. Its pixels are wrapped, not copied; the reference keeps them alive."""
        self._show(frame, Picture(frame.image))

    def _show(self, frame: Frame, picture: Picture) -> None:
        self._picture = picture
        self._frame = frame
        self._unpainted = True
        self._place()
        self.update()

    def copied_image(self) -> QImage:
        """The exact rendered pixels, as an image that owns them; null before the first frame."""
        return self._picture.image.copy() if self._picture is not None else QImage()

    def set_integer_zoom(self, on: bool) -> None:
        """Whole scales with nearest sampling, or the largest smooth fit."""
        self._integer_zoom = on
        self._place()
        self.update()

    def show_path(self, overlay: PathOverlay | None) -> None:
        """Draw a camera path over the picture, as the camera of the shown frame sees it."""
        self._path = overlay
        self.update()

    def show_poses(self, overlay: PoseOverlay | None) -> None:
        """Draw the cameras of a dataset over the picture, as the camera of the shown frame sees
        them."""
        self._poses = overlay
        self.update()

    # Magnifying the picture, which moves no camera

    def fit(self) -> None:
        """Show all of the picture."""
        self._look(Viewport())

    def magnify(self, steps: int, at: QPointF | None = None) -> None:
        """Show pixels larger or smaller; the one `at` (the middle where None) stays in place."""
        if (before := self.placement) is not None:
            self.show_scale(self._viewport.magnified(steps, before.scale).scale, at)

    def show_scale(self, scale: float | None, at: QPointF | None = None) -> None:
        """Show each image pixel as `scale` device pixels."""
        if self._arrangement is None:
            return
        at = self._cell(0).center() if at is None else at
        cell = self._cell_at(at)
        wanted = (at - self._center_of(cell)) / self.logical_px_per_image_px()
        self._look(replace(self._viewport, scale=scale))
        # Once the picture stands in its new place, bring the point back under the pointer.
        off = wanted - (at - self._center_of(cell)) / self.logical_px_per_image_px()
        self._look(self._viewport.moved(off.x(), off.y()))

    def _slide(self, dx: float, dy: float) -> None:
        size = self.logical_px_per_image_px()
        self._look(self._viewport.moved(-dx / size, -dy / size))

    def _look(self, viewport: Viewport) -> None:
        self._viewport = viewport
        self._place()
        if viewport.scale is not None and self._arrangement is not None:
            # Where the picture stopped at its edge, the way back begins at once.
            middle = (self._cell(0).center() - self.image_center()) / self.logical_px_per_image_px()
            self._viewport = Viewport(viewport.scale, middle.x(), middle.y())
        self.update()

    # Placing

    def logical_px_per_image_px(self) -> float:
        """Size of an image pixel on the screen in logical pixels; 1 before the first frame."""
        at = self.placement
        return at.scale / self.devicePixelRatioF() if at else 1.0

    def image_center(self, near: QPointF | None = None) -> QPointF:
        """Centre of the picture in logical pixels of this widget; of several, the one `near`."""
        if self._arrangement is None:
            return QRectF(self.rect()).center()
        return self._center_of(self._cell_at(near))

    def _center_of(self, index: int) -> QPointF:
        assert self._arrangement is not None
        at, cell = self._arrangement.placement, self._device_cell(index)
        middle = QPointF(cell.x() + at.x + at.width / 2, cell.y() + at.y + at.height / 2)
        return middle / self.devicePixelRatioF()

    def is_on_picture(self, at: QPointF) -> bool:
        """Whether a position in the pane lies on a picture, not on the grey around it."""
        return self._arrangement is not None and self._cell(self._cell_at(at)).contains(at)

    def sizeHint(self) -> QSize:
        """As much as there is: the picture is the largest thing in the window."""
        return QSize(720, 640)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Fit the picture and put the labels back into their corners."""
        super().resizeEvent(event)
        self._place()
        self.overlays.arrange()
        self.room_changed.emit()

    def room_px(self) -> tuple[int, int]:
        """Device pixels across and down that there are for one picture."""
        ratio = self.devicePixelRatioF()
        count, spacing = self._layout()
        width, height = (
            max(1, round((side - 2 * _MARGIN_PX) * ratio)) for side in (self.width(), self.height())
        )
        return room_of_one(count, width, height, spacing)

    def _layout(self) -> tuple[int, Spacing]:
        """How many cells there are, and the room around them."""
        return 1, Spacing(slack=round(_MARGIN_PX * self.devicePixelRatioF()))

    def _place(self) -> None:
        if self._picture is None:
            return
        ratio, before = self.devicePixelRatioF(), self.placement
        count, spacing = self._layout()
        self._arrangement = arrange(
            count,
            self._picture.image.width(),
            self._picture.image.height(),
            max(1, round((self.width() - 2 * _MARGIN_PX) * ratio)),
            max(1, round((self.height() - 2 * _MARGIN_PX) * ratio)),
            self._viewport,
            self._integer_zoom,
            spacing,
        )
        if self.placement != before:
            self.placement_changed.emit(self.placement)

    def _device_cell(self, index: int) -> QRect:
        """A cell in device pixels of this widget."""
        assert self._arrangement is not None
        margin = round(_MARGIN_PX * self.devicePixelRatioF())
        x, y = self._arrangement.corners[index]
        return QRect(x + margin, y + margin, self._arrangement.width, self._arrangement.height)

    def _cell(self, index: int) -> QRectF:
        """A cell in logical pixels of this widget, on whole device pixels."""
        return logical(self._device_cell(index), self.devicePixelRatioF())

    def _cell_at(self, at: QPointF | None) -> int:
        """The cell at a position, or the first."""
        assert self._arrangement is not None
        if at is None:
            return 0
        cells = range(len(self._arrangement.corners))
        return next((one for one in cells if self._cell(one).contains(at)), 0)

    # Painting

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the surround and the picture."""
        began = time.perf_counter()
        tones = theme.tones_of(self)
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(tones.surround))
        if self._frame is None:
            painter.setPen(QColor(tones.on_surround))
            if not self.overlays.busy:
                area = self.rect().adjusted(24, 24, -24, -24)
                flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
                painter.drawText(area, int(flags), _EMPTY_TEXT)
        else:
            self._paint_picture(painter)
            if self.overlays.waiting:
                painter.fillRect(self.rect(), _VEIL)
            self._paint_overlays(painter)
        self.paint_drop(painter)
        painter.end()
        if self._unpainted and self._frame is not None:
            self._unpainted = False
            paint_ms = (time.perf_counter() - began) * 1e3
            self.picture_painted.emit(self._frame.seq, paint_ms)

    def _paint_overlays(self, painter: QPainter) -> None:
        nothing = self._path is None and self._poses is None
        if nothing or self._arrangement is None or self._frame is None:
            return
        height_px, width_px, _ = self._frame.image.shape
        scale = self.logical_px_per_image_px()
        for index in range(len(self._arrangement.corners)):
            painter.save()
            painter.setClipRect(self._cell(index))
            corner = self._center_of(index) - QPointF(width_px, height_px) * (scale / 2)
            if self._poses is not None:
                paint_poses(painter, self._poses, corner, scale)
            if self._path is not None:
                paint_path(painter, self._path, corner, scale)
            painter.restore()

    def _paint_picture(self, painter: QPainter) -> None:
        # The window may have moved to a screen of another pixel ratio since the last resize.
        self._place()
        assert self._arrangement is not None
        assert self._picture is not None
        self._picture.paint(
            painter, self._arrangement.placement, self._device_cell(0), self.devicePixelRatioF()
        )
