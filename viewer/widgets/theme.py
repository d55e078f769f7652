"""Colours and type: neutral greys around the picture, one colour per precision.

The scheme follows the system through Qt's own `QStyleHints.colorScheme`, with the Fusion style. The
palette is ours, because a picture is judged against it: every grey has no hue, and text contrast is
the same on every desktop. Where the platform cannot tell or change its scheme (Qt says Unknown) the
one chosen in View > Theme counts, and dark without a choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PyQt6.QtCore import QEvent, QObject, QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import (
    QColor,
    QFont,
    QGuiApplication,
    QPainter,
    QPalette,
    QPen,
)
from PyQt6.QtWidgets import QApplication, QLabel, QProxyStyle, QStyle, QStyleOption, QWidget

from r2l_core.images.colors import PRECISION_COLORS


@dataclass(frozen=True)
class Tones:
    """The colours of one scheme, as sRGB hex."""

    window: str
    base: str
    button: str
    line: str
    text: str
    muted: str
    disabled: str
    surround: str
    on_surround: str
    accent: str
    error: str


DARK = Tones(
    window="#262626",
    base="#1a1a1a",
    button="#363636",
    line="#404040",
    text="#e4e4e4",
    muted="#a3a3a3",
    disabled="#757575",
    surround="#3a3a3a",
    on_surround="#b8b8b8",
    accent="#5a93cc",
    error="#e5695e",
)
LIGHT = Tones(
    window="#ececec",
    base="#fafafa",
    button="#f7f7f7",
    line="#c6c6c6",
    text="#1c1c1c",
    muted="#5c5c5c",
    disabled="#949494",
    surround="#8a8a8a",
    on_surround="#101010",
    accent="#2f6fae",
    error="#b3312a",
)

CONTROL_PADDING_PX = 9
"""Height of a button, field or list above that of its text, in logical pixels."""

_HATCH_STEP_PX = 5.0

_OTHER_PRECISION = ("#b0b0b0", "#606060")


def is_dark(palette: QPalette) -> bool:
    """Whether the palette paints light text on a dark window."""
    return palette.window().color().lightness() < 128


def tones_of(widget: QWidget) -> Tones:
    """The tones of the scheme that `widget` is painted in now."""
    return DARK if is_dark(widget.palette()) else LIGHT


def precision_color(precision: str, dark: bool) -> QColor:
    """The one colour of a precision, wherever it appears; grey for a name not in the table."""
    pair = PRECISION_COLORS.get(precision, _OTHER_PRECISION)
    return QColor(pair[0] if dark else pair[1])


def source_color(source: str, widget: QWidget) -> QColor:
    """The colour of what a pane shows, on the ground of `widget`: of a precision, or that of text
    for what is none."""
    if source in PRECISION_COLORS:
        return precision_color(source, is_dark(widget.palette()))
    return QColor(tones_of(widget).text)


def is_simulated(precision: str) -> bool:
    """Whether its arithmetic is simulated on every machine; such swatches are hatched."""
    return precision.endswith(("-sim", "-fake")) or precision.startswith("weights-")


def paint_swatch(painter: QPainter, rect: QRectF, color: QColor, hatched: bool) -> None:
    """Fill `rect` with a precision colour: solid where it is native, hatched where simulated."""
    if not hatched:
        painter.fillRect(rect, color)
        return
    faint = QColor(color)
    faint.setAlphaF(color.alphaF() * 0.3)
    painter.save()
    painter.setClipRect(rect)
    painter.fillRect(rect, faint)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(color, _HATCH_STEP_PX / 3))
    # Drawn line by line: Qt's own hatch brush has device pixels and closes up on fine screens.
    left = rect.left() - rect.height()
    while left < rect.right():
        painter.drawLine(QPointF(left, rect.bottom()), QPointF(left + rect.height(), rect.top()))
        left += _HATCH_STEP_PX
    painter.restore()


def paint_cell(painter: QPainter, control: QWidget, pressed: bool) -> None:
    """Paint the ground of a flat control: its face, its edge, and whether it has the keyboard."""
    tones = tones_of(control)
    face, text = QColor(tones.button), QColor(tones.text)
    if not control.isEnabled():
        face = QColor(tones.window)
    elif pressed:
        face = mixed(face, text, 0.16)
    elif control.underMouse():
        face = mixed(face, text, 0.07)
    painter.setPen(QPen(QColor(tones.accent if control.hasFocus() else tones.line), 1))
    painter.setBrush(face)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.drawRoundedRect(QRectF(control.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 2.0, 2.0)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)


def mixed(under: QColor, over: QColor, amount: float) -> QColor:
    """`under` with `amount` (0 to 1) of `over` laid on it, opaque."""
    return QColor.fromRgbF(
        under.redF() + (over.redF() - under.redF()) * amount,
        under.greenF() + (over.greenF() - under.greenF()) * amount,
        under.blueF() + (over.blueF() - under.blueF()) * amount,
    )


def font(widget: QWidget, scale: float = 1.0, bold: bool = False, tabular: bool = False) -> QFont:
    """The application font at `scale` times its size.

    `tabular`: all digits equally wide, so that changing numbers do not dance.
    """
    made = QFont(QApplication.font(widget))
    if made.pointSizeF() > 0:
        made.setPointSizeF(made.pointSizeF() * scale)
    else:
        made.setPixelSize(round(made.pixelSize() * scale))
    if bold:
        made.setWeight(QFont.Weight.DemiBold)
    if tabular:
        made.setFeature(QFont.Tag("tnum"), 1)
    return made


def set_text_color(widget: QWidget, color: QColor) -> None:
    """Paint the widget's text in `color`; every other role still follows the scheme."""
    palette = QPalette()
    palette.setColor(QPalette.ColorRole.WindowText, color)
    widget.setPalette(palette)


def label_column_px(widget: QWidget) -> int:
    """Width of the column of names in every panel, so that values line up between panels."""
    return widget.fontMetrics().horizontalAdvance("Field of view ")


class _Style(QProxyStyle):
    """Fusion with more room around the names in the menu bar, and plain text wherever nobody has
    asked for rich text.

    A style sheet would do the first, too, but widgets under one no longer follow a change of
    palette.
    """

    def __init__(self, base: str) -> None:
        super().__init__(base)
        self._wraps_tips = WrapsTips(self)

    def polish(self, a0: Any) -> Any:
        """Called once for every widget before it is shown, tooltips and Qt's dialogs included.

        A label guesses whether its text is rich, and a name such as `<img src=...>` would make it
        read the file of that name. Names come from strangers. Palettes and applications, which are
        polished under this name as well, pass.
        """
        if isinstance(a0, QLabel) and is_tip(a0):
            a0.installEventFilter(self._wraps_tips)
        if isinstance(a0, QLabel) and a0.textFormat() == Qt.TextFormat.AutoText:
            a0.setTextFormat(Qt.TextFormat.PlainText)
        return super().polish(a0)

    def sizeFromContents(
        self,
        ct: QStyle.ContentsType,
        opt: QStyleOption | None,
        contentsSize: QSize,
        widget: QWidget | None = None,
    ) -> QSize:
        """Size of a control in logical pixels."""
        made = super().sizeFromContents(ct, opt, contentsSize, widget)
        if ct == QStyle.ContentsType.CT_MenuBarItem:
            made += QSize(4, 7)
        return made


def install(app: QApplication) -> None:
    """Give the application the Fusion style and our palette, now and when the system changes."""
    app.setStyle(_Style("Fusion"))
    hints = app.styleHints()
    assert hints is not None
    hints.colorSchemeChanged.connect(lambda scheme: _apply(scheme))
    _apply(hints.colorScheme())


def choose(scheme: Qt.ColorScheme) -> None:
    """Use the dark or light scheme, or follow the system (Unknown)."""
    hints = QGuiApplication.styleHints()
    assert hints is not None
    hints.setColorScheme(scheme)
    # A platform without a scheme of its own ignores the wish and stays Unknown: grant it here.
    told = hints.colorScheme()
    _apply(scheme if told == Qt.ColorScheme.Unknown else told)


def _apply(scheme: Qt.ColorScheme) -> None:
    QApplication.setPalette(_palette(LIGHT if scheme == Qt.ColorScheme.Light else DARK))


def _palette(tones: Tones) -> QPalette:
    role, group = QPalette.ColorRole, QPalette.ColorGroup
    palette = QPalette(QColor(tones.button), QColor(tones.window))
    colors = {
        role.WindowText: tones.text,
        role.Text: tones.text,
        role.ButtonText: tones.text,
        role.BrightText: tones.error,
        role.PlaceholderText: tones.muted,
        role.Base: tones.base,
        role.AlternateBase: tones.window,
        role.ToolTipBase: tones.base,
        role.ToolTipText: tones.text,
        role.Highlight: tones.accent,
        role.HighlightedText: "#ffffff",
        role.Accent: tones.accent,
        role.Link: tones.accent,
        role.Mid: tones.line,
    }
    for one, value in colors.items():
        palette.setColor(one, QColor(value))
    for one in (role.WindowText, role.Text, role.ButtonText, role.HighlightedText):
        palette.setColor(group.Disabled, one, QColor(tones.disabled))
    palette.setColor(group.Disabled, role.Highlight, QColor(tones.line))
    return palette


WIDEST_PX = 360
"""Logical pixels."""


class WrapsTips(QObject):
    """Event filter of Qt's tooltip labels: one that is wider becomes narrower and higher."""

    def eventFilter(self, a0: QObject | None, a1: QEvent | None) -> bool:
        """Wrap before the tooltip is painted."""
        if (
            a1 is not None
            and a1.type() in (QEvent.Type.Resize, QEvent.Type.Show)
            and isinstance(a0, QLabel)
            and a0.width() > WIDEST_PX
        ):
            a0.setWordWrap(True)
            a0.resize(QSize(WIDEST_PX, a0.heightForWidth(WIDEST_PX)))
        return super().eventFilter(a0, a1)


def is_tip(widget: QLabel) -> bool:
    """Whether this is the label that Qt shows tooltips in."""
    return widget.inherits("QTipLabel")
