"""The line above a compared picture: which pane, what rendered it, how finely, how long it took."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QFontMetricsF, QPainter, QPen, QPixmap
from PyQt6.QtWidgets import QWidget

from r2l_core.render.frames import Frame
from viewer.state.panes import LETTERS, NOTHING, TRUTHS
from viewer.widgets import theme
from viewer.widgets.controls import wording

_SWATCH_PX = 10.0
_PAD_PX = 7.0
_SPACE_PX = 10.0
_BETWEEN = " · "
_MOST_KEPT = 8
"""Labels that are kept painted: two for each pane."""


@dataclass(frozen=True)
class PaneLabel:
    """What stands above a picture, from left to right; what is empty is left out. `light_field`:
    its name, where there are several, and its mix of layers. `brief`: `rendered` in a word."""

    letter: str
    name: str
    hatched: bool
    light_field: str = ""
    engine: str = ""
    rendered: str = ""
    time: str = ""
    brief: str = ""

    @classmethod
    def of(cls, position: int, frame: Frame) -> PaneLabel:
        """The label of the frame in the pane at `position`."""
        engine, letter = frame.engine, LETTERS[position]
        rendered, brief = wording.rendered(frame), wording.briefly(frame)
        if engine.engine in TRUTHS:
            return cls(letter, engine.engine, False, rendered=rendered, brief=brief)
        label = cls(
            letter,
            str(engine.precision),
            engine.emulated is not None or theme.is_simulated(engine.precision),
            " – ".join(filter(None, (frame.light_field, engine.mix))),
            brief=brief,
        )
        if engine.engine == NOTHING:
            return label
        time = f"{wording.number(frame.elapsed_ms, 0)} ms"
        return replace(label, engine=engine.engine, rendered=rendered, time=time)

    @classmethod
    def awaited(cls, position: int, source: str) -> PaneLabel:
        """The label of a pane whose first frame is still to come."""
        return cls(LETTERS[position], source, theme.is_simulated(source))

    @property
    def shorter(self) -> tuple[str, ...]:
        """The details behind the name, and what is left of them where there is less room."""
        what, brief, time = self.rendered, self.brief, self.time
        kept = ((self.engine, what, time), (what, time), (what,), (brief, time), (brief,), ())
        return tuple(_BETWEEN.join(filter(None, details)) for details in kept)

    @property
    def lasting(self) -> tuple[str, ...]:
        """All of it but the time, which is another one for every picture."""
        return (self.letter, self.name, self.engine, self.rendered)


class PaintedLabels:
    """Labels of a widget, kept as they were painted: text takes longer than a small picture."""

    def __init__(self, widget: QWidget) -> None:
        self._widget = widget
        self._kept: dict[tuple[object, ...], QPixmap] = {}

    def paint(
        self,
        painter: QPainter,
        room: QRectF,
        label: PaneLabel,
        active: bool = False,
        right: bool = False,
    ) -> None:
        """See `paint_label`; what of `room` the label does not need has the widget's surround."""
        widget, ratio = self._widget, self._widget.devicePixelRatioF()
        x, y = math.floor(room.x() * ratio), math.floor(room.y() * ratio)
        corner = QPointF(x, y) / ratio
        surround = theme.tones_of(widget).surround
        key = (label, room.getRect(), active, right, ratio, surround, widget.font().key())
        pixmap = self._kept.get(key)
        if pixmap is None:
            ends = room.right() * ratio - x, room.bottom() * ratio - y
            pixmap = QPixmap(*(max(1, math.ceil(end - 1e-6)) for end in ends))
            pixmap.setDevicePixelRatio(ratio)
            pixmap.fill(QColor(surround))
            inner = QPainter(pixmap)
            # Where it will stand, because places are rounded to the window's own pixels.
            inner.translate(-corner)
            paint_label(inner, room, label, widget, active, right)
            inner.end()
            if len(self._kept) == _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = pixmap
        painter.drawPixmap(corner, pixmap)


def height_px(widget: QWidget) -> int:
    """Logical height of a label."""
    return widget.fontMetrics().height() + 8


def paint_label(
    painter: QPainter, room: QRectF, label: PaneLabel, widget: QWidget, active: bool, right: bool
) -> None:
    """Paint `label` at the left end of `room`, or at its right end; `active` is underlined.

    Details that do not fit are shortened and left out, then the light field's name is shortened;
    the precision always stays.
    """
    tones, dark = theme.tones_of(widget), theme.is_dark(widget.palette())
    bold, plain = theme.font(widget, bold=True), theme.font(widget, tabular=True)
    wide, thin = QFontMetricsF(bold), QFontMetricsF(plain)
    head = _PAD_PX + _SWATCH_PX + _PAD_PX + wide.horizontalAdvance(label.letter)
    head += _SPACE_PX + wide.horizontalAdvance(label.name)
    of_whom = _part_px(label.light_field, thin)
    room_px = room.width() - head - of_whom
    text = next((one for one in label.shorter if _part_px(one, thin) <= room_px), "")
    width = min(room.width(), head + of_whom + _part_px(text, thin))
    middle = Qt.TextElideMode.ElideMiddle
    name = thin.elidedText(label.light_field, middle, room.width() - head - _SPACE_PX)
    x = room.right() - width if right else room.left()
    color = (
        QColor(tones.on_surround)
        if label.name in TRUTHS
        else theme.precision_color(label.name, dark)
    )
    painter.save()
    painter.setClipRect(room)
    swatch = QRectF(round(x), round(room.center().y() - _SWATCH_PX / 2), _SWATCH_PX, _SWATCH_PX)
    theme.paint_swatch(painter, swatch, color, label.hatched)
    x += _SWATCH_PX + _PAD_PX
    ground = QColor(tones.surround)
    strong, quiet = QColor(tones.on_surround), QColor(tones.on_surround)
    if dark:
        strong = theme.mixed(ground, QColor("#ffffff"), 0.9)
    for font, metrics, part, pen in (
        (bold, wide, label.letter, strong),
        (bold, wide, label.name, strong),
        (plain, thin, name, strong),
        (plain, thin, text, quiet),
    ):
        painter.setFont(font)
        painter.setPen(pen)
        if not part:
            continue
        advance = metrics.horizontalAdvance(part)
        place = QRectF(x, room.top(), advance + 2, room.height())
        painter.drawText(place, int(Qt.AlignmentFlag.AlignVCenter), part)
        if active and part is label.letter:
            painter.setPen(QPen(strong, 2))
            y = round(room.center().y() + metrics.height() / 2)
            painter.drawLine(round(x), y, round(x + advance), y)
        x += advance + _SPACE_PX
    painter.restore()


def _part_px(text: str, metrics: QFontMetricsF) -> float:
    return _SPACE_PX + metrics.horizontalAdvance(text) if text else 0.0
