"""The picture: a rendered frame on neutral grey, with quiet labels over it."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QMimeData, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QImage,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PyQt6.QtWidgets import QWidget

from r2l_core.types import Frame
from viewer import theme
from viewer.widgets.overlay_label import OverlayLabel
from viewer.widgets.picture_gestures import PictureGestures
from viewer.widgets.placement import Placement, place

_MARGIN_PX = 14
"""Grey kept free on every side of the picture, in logical pixels."""
_OVERLAY_INSET_PX = 12
_EMPTY_TEXT = "No picture yet. Open a light field with Ctrl+O, or drop its file here."


class ImagePane(PictureGestures):
    """Paints the newest frame and reports gestures over it (see `PictureGestures`)."""

    picture_painted = pyqtSignal(int, float)
    """seq of a frame whose pixels were painted for the first time, and how long it took in ms."""
    placement_changed = pyqtSignal(object)
    """The `Placement` that the picture is now painted with."""
    file_dropped = pyqtSignal(str)
    """Path of a dropped file."""
    hint_dismissed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Picture")
        self.setAccessibleDescription(
            "Drag to orbit, Shift+drag to pan, wheel to zoom, double-click to centre."
        )
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAcceptDrops(True)
        self.setMinimumSize(160, 160)
        self._frame: Frame | None = None
        # QImage does not keep the buffer alive that it wraps.
        self._pixels: NDArray[np.uint8] | None = None
        self._image = QImage()
        self._reduced = QImage()
        self._unpainted = False
        self._integer_zoom = False
        self._placement: Placement | None = None
        self._drop_name = ""
        self._busy = OverlayLabel("Busy", self, QColor("#f2c14e"))
        self._badge = OverlayLabel("Remark on this view", self, QColor("#b8b8b8"))
        self._hint = OverlayLabel("First steps", self)
        self.drag_started.connect(self._dismiss_hint)

    # What is shown

    @property
    def frame(self) -> Frame | None:
        """The frame on the screen, or None before the first."""
        return self._frame

    @property
    def placement(self) -> Placement | None:
        """Where the picture lies, or None before the first frame."""
        return self._placement

    def show_frame(self, frame: Frame) -> None:
        """Show `frame`. Its pixels are wrapped, not copied; the reference keeps them alive."""
        pixels = frame.image
        height_px, width_px, _ = pixels.shape
        if not pixels.flags.c_contiguous:
            pixels = np.ascontiguousarray(pixels)
        # The stubs know only bytes; any buffer will do.
        self._image = QImage(  # type: ignore[call-overload]
            pixels.data, width_px, height_px, pixels.strides[0], QImage.Format.Format_RGB888
        )
        self._pixels = pixels
        self._frame = frame
        self._unpainted = True
        self._reduced = QImage()
        self._place()
        self.update()

    def copied_image(self) -> QImage:
        """The exact rendered pixels, as an image that owns them; null before the first frame."""
        return self._image.copy()

    def set_integer_zoom(self, on: bool) -> None:
        """Whole scales with nearest sampling, or the largest smooth fit."""
        self._integer_zoom = on
        self._place()
        self.update()

    def show_busy(self, text: str | None) -> None:
        """Say in the corner what is being waited for, or nothing more."""
        self._busy.show_text(text)
        self._arrange_overlays()

    def show_badge(self, text: str | None) -> None:
        """Remark on this view, such as "outside trained views"; None takes it away."""
        self._badge.show_text(text)
        self._arrange_overlays()

    def show_hint(self, rows: list[tuple[str, str]]) -> None:
        """First-start hint of (key, what it does) rows; the first drag takes it away."""
        cells = "".join(
            f"<tr><td align='right'><b>{key}</b>&nbsp;&nbsp;</td><td>{text}</td></tr>"
            for key, text in rows
        )
        self._hint.show_text(f"<table cellspacing='3'>{cells}</table>")
        self._arrange_overlays()

    def _dismiss_hint(self) -> None:
        if not self._hint.isHidden():
            self._hint.hide()
            self.hint_dismissed.emit()

    # Placing

    def logical_px_per_image_px(self) -> float:
        """Size of an image pixel on the screen in logical pixels; 1 before the first frame."""
        return self._placement.scale / self.devicePixelRatioF() if self._placement else 1.0

    def image_center(self) -> QPointF:
        """Centre of the picture in logical pixels of this widget."""
        return QRectF(self._target()).center() if self._placement else QRectF(self.rect()).center()

    def is_on_picture(self, at: QPointF) -> bool:
        """Whether a position in the pane lies on the picture, not on the grey around it."""
        return self._placement is not None and self._target().contains(at)

    def sizeHint(self) -> QSize:
        """As much as there is: the picture is the largest thing in the window."""
        return QSize(720, 640)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Fit the picture and put the labels back into their corners."""
        super().resizeEvent(event)
        self._place()
        self._arrange_overlays()

    def _place(self) -> None:
        if self._frame is None:
            return
        ratio = self.devicePixelRatioF()
        before = self._placement
        inner = place(
            self._image.width(),
            self._image.height(),
            max(1, round((self.width() - 2 * _MARGIN_PX) * ratio)),
            max(1, round((self.height() - 2 * _MARGIN_PX) * ratio)),
            self._integer_zoom,
            slack=round(_MARGIN_PX * ratio),
        )
        self._placement = inner
        if inner != before:
            self._reduced = QImage()
            self.placement_changed.emit(inner)

    def _target(self) -> QRectF:
        """The picture's rectangle in logical pixels, on whole device pixels."""
        assert self._placement is not None
        ratio, at = self.devicePixelRatioF(), self._placement
        margin = round(_MARGIN_PX * ratio)
        return QRectF(
            (at.x + margin) / ratio, (at.y + margin) / ratio, at.width / ratio, at.height / ratio
        )

    def _arrange_overlays(self) -> None:
        inset = _OVERLAY_INSET_PX
        self._busy.move(inset, inset)
        self._badge.move(self.width() - self._badge.width() - inset, inset)
        self._hint.move(
            (self.width() - self._hint.width()) // 2,
            self.height() - self._hint.height() - 3 * inset,
        )

    # Painting

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the surround and the picture."""
        began = time.perf_counter()
        tones = theme.tones_of(self)
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(tones.surround))
        if self._frame is None:
            painter.setPen(QColor(tones.on_surround))
            if self._busy.isHidden():
                area = self.rect().adjusted(24, 24, -24, -24)
                flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
                painter.drawText(area, int(flags), _EMPTY_TEXT)
        else:
            self._paint_picture(painter)
        if self._drop_name:
            self._paint_drop(painter)
        painter.end()
        if self._unpainted and self._frame is not None:
            self._unpainted = False
            paint_ms = (time.perf_counter() - began) * 1e3
            self.picture_painted.emit(self._frame.seq, paint_ms)

    def _paint_picture(self, painter: QPainter) -> None:
        # The window may have moved to a screen of another pixel ratio since the last resize.
        self._place()
        at = self._placement
        assert at is not None
        image = self._image
        if at.scale < 1:
            # Bilinear sampling skips pixels below half size; a filtered reduction does not.
            if self._reduced.isNull():
                self._reduced = image.scaled(
                    at.width,
                    at.height,
                    Qt.AspectRatioMode.IgnoreAspectRatio,
                    Qt.TransformationMode.SmoothTransformation,
                )
            image = self._reduced
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, not at.nearest)
        painter.drawImage(self._target(), image, QRectF(image.rect()))

    def _paint_drop(self, painter: QPainter) -> None:
        frame = QRectF(self.rect()).adjusted(5, 5, -5, -5)
        painter.fillRect(self.rect(), QColor(0, 0, 0, 150))
        painter.setPen(QPen(QColor(theme.tones_of(self).accent), 2, Qt.PenStyle.DashLine))
        painter.drawRect(frame)
        painter.setPen(QColor("#f0f0f0"))
        painter.drawText(frame, int(Qt.AlignmentFlag.AlignCenter), f"Open {self._drop_name}")

    # Dropping files

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Take local files and say which would be opened."""
        assert event is not None
        path = _local_file(event.mimeData())
        if path:
            self._drop_name = Path(path).name
            event.acceptProposedAction()
            self.update()

    def dragLeaveEvent(self, event: QDragLeaveEvent | None) -> None:
        """The file went elsewhere."""
        self._drop_name = ""
        self.update()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Report the file."""
        assert event is not None
        self._drop_name = ""
        self.update()
        if path := _local_file(event.mimeData()):
            event.acceptProposedAction()
            self.file_dropped.emit(path)


def _local_file(data: QMimeData | None) -> str:
    """Path of the first local file in a drag, or an empty string."""
    urls = data.urls() if data is not None else []
    return next((url.toLocalFile() for url in urls if url.isLocalFile()), "")
