"""Text in recorded pictures: labels of what is shown with live numbers, and the card before them.

Legible from 400 px to 4K. The typeface is Aileron (CC0), which Pillow brings along: the same on
every machine, and all its digits are equally wide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from r2l_core.errors import RecordingError
from r2l_core.images.colors import PRECISION_COLORS
from r2l_core.recording.compose import Picture, wipe_column
from r2l_core.recording.plan import RecordingPlan, Shot
from r2l_core.types import EngineInfo, Precision

Color = tuple[int, int, int]
WHITE: Color = (245, 245, 245)
GREY: Color = (186, 186, 186)
_BACK = (20, 20, 20, 205)
_SMOOTHING = 4
"""Corners are drawn this much larger and reduced."""


@dataclass(frozen=True)
class PaneNumbers:
    """What ran in one pane, and its time for one frame (smoothed, for reading)."""

    engine: EngineInfo
    ms: float


@dataclass(frozen=True)
class Text:
    """A piece of a label. room: a text as wide as this one may become, so that nothing dances."""

    text: str
    color: Color = WHITE
    room: str = ""


@dataclass(frozen=True)
class Swatch:
    """The colour of a precision; hatched where its arithmetic is simulated."""

    precision: Precision
    hatched: bool


Line = tuple[Text | Swatch, ...]


def labelled(
    picture: Picture,
    plan: RecordingPlan,
    shot: Shot,
    panes: Sequence[PaneNumbers],
    psnr_db: float | None,
) -> Picture:
    """A copy of the composed picture, uint8 (H, W, 3), with its labels.

    psnr_db: between the panes; infinite where they are equal, None with one pane. Labels that
    find no room are made shorter, and at last left out.
    """
    if plan.labels == "off":
        return picture
    live = plan.labels == "live"
    board = _Board(picture, plan.width_px, plan.height_px)
    width = plan.width_px
    if plan.mode == "single":
        board.put(_pane_label(panes[0], live), 0, width, "top-left")
    elif plan.mode == "side":
        board.line(width)
        board.put(_pane_label(panes[0], live), 0, width, "top-left")
        board.put(_pane_label(panes[1], live), width, width, "top-left")
    elif plan.mode == "wipe":
        board.line(wipe_column(shot.wipe, width))
        board.put(_pane_label(panes[0], live), 0, width // 2, "top-left")
        board.put(_pane_label(panes[1], live), width - width // 2, width // 2, "top-right")
    else:
        names = [_name(pane) for pane in panes]
        gains = [(_gain(shot.gain, name),) for name in ("worst-channel difference", "difference")]
        short: Line = (*names[0], Text("-", GREY), *names[1])
        full = [(*name, _ms(pane)) for name, pane in zip(names, panes, strict=True)]
        fuller = [full] if live else []
        choices = [[*lines, gain] for lines in (*fuller, [short]) for gain in gains]
        board.put([*choices, [short]], 0, width, "top-left")
    if live and psnr_db is not None:
        board.put([[_psnr(psnr_db)]], 0, picture.shape[1], "bottom")
    return board.picture()


def _pane_label(pane: PaneNumbers, live: bool) -> list[list[Line]]:
    """From the fullest to the shortest."""
    name, engine = _name(pane), Text(pane.engine.engine, GREY)
    if not live:
        return [[(*name, engine)], [name]]
    return [
        [(*name, engine, _ms(pane))],
        [(*name, engine), (_ms(pane),)],
        [name, (_ms(pane),)],
        [name],
    ]


def _name(pane: PaneNumbers) -> Line:
    precision = pane.engine.precision
    return Swatch(precision, pane.engine.emulated is not None), Text(str(precision))


def _ms(pane: PaneNumbers) -> Text:
    if pane.ms < 10_000:
        return Text(f"{pane.ms:.0f} ms", WHITE, "0000 ms")
    return Text(f"{pane.ms / 1e3:.1f} s", WHITE, "000.0 s")


def _gain(gain: float, name: str) -> Text:
    number = f"{gain:.1f}" if gain >= 1 else f"{gain:.2g}"
    return Text(f"{name}, gain {number}", GREY, f"{name}, gain 00.0")


def _psnr(psnr_db: float) -> Line:
    number = f"{psnr_db:.1f} dB" if math.isfinite(psnr_db) else "equal"
    return Text("PSNR", GREY), Text(number, WHITE, "00.0 dB")


def font_px(width_px: int, height_px: int) -> int:
    """Size of the type for a pane: 14 at 400 px, 50 at 4K, where it is 2.3 % of the height."""
    return max(9, round(14 * math.pow(min(width_px, height_px) / 400, 0.75)))


@lru_cache(maxsize=16)
def font(size_px: int) -> ImageFont.FreeTypeFont:
    """The typeface at a size."""
    found = ImageFont.load_default(size_px)
    assert isinstance(found, ImageFont.FreeTypeFont)  # Pillow's wheels all have FreeType
    return found


class _Board:
    """A picture on which labels are placed."""

    def __init__(self, picture: Picture, pane_width_px: int, pane_height_px: int) -> None:
        self._image = Image.fromarray(picture)
        self._size_px = font_px(pane_width_px, pane_height_px)
        self._margin = round(0.7 * self._size_px)

    def picture(self) -> Picture:
        return np.array(self._image)

    def line(self, column: int) -> None:
        """A vertical line whose right half begins at `column`."""
        half = max(1, round(self._size_px / 14))
        height = self._image.height
        draw = ImageDraw.Draw(self._image, "RGBA")
        draw.rectangle((column - 2 * half, 0, column + 2 * half - 1, height), (0, 0, 0, 90))
        draw.rectangle((column - half, 0, column + half - 1, height), (*WHITE, 255))

    def put(self, choices: Sequence[list[Line]], left: int, width: int, corner: str) -> None:
        """The first of `choices` that fits into those columns, into a corner or at the bottom."""
        for lines in choices:
            label = _label(lines, self._size_px)
            room = self._image.height - 2 * self._margin
            if label.width > width - 2 * self._margin or label.height > room:
                continue
            x, y = left + self._margin, self._margin
            if corner == "top-right":
                x = left + width - self._margin - label.width
            elif corner == "bottom":
                x = left + (width - label.width) // 2
                y = self._image.height - self._margin - label.height
            self._image.paste(label, (x, y), label)
            return


def _label(lines: Sequence[Line], size_px: int) -> Image.Image:
    """Lines of text on a dark ground with round corners: RGBA."""
    face = font(size_px)
    ascent, descent = face.getmetrics()
    pitch = ascent + descent + round(0.15 * size_px)
    pad_x, pad_y = round(0.6 * size_px), round(0.4 * size_px)
    gap, swatch = round(0.5 * size_px), round(0.8 * size_px)

    def width_of(piece: Text | Swatch) -> int:
        if isinstance(piece, Swatch):
            return swatch
        return math.ceil(max(face.getlength(text) for text in (piece.text, piece.room)))

    widths = [sum(map(width_of, line)) + gap * (len(line) - 1) for line in lines]
    size = (max(widths) + 2 * pad_x, pitch * (len(lines) - 1) + ascent + descent + 2 * pad_y)
    label = Image.new("RGBA", size, (*_BACK[:3], 0))
    label.putalpha(_rounded(size, round(0.45 * size_px)))
    draw = ImageDraw.Draw(label)
    for number, line in enumerate(lines):
        x, y = pad_x, pad_y + number * pitch
        for piece in line:
            width = width_of(piece)
            if isinstance(piece, Swatch):
                top = y + ascent - swatch + round(0.05 * size_px)
                label.paste(_swatch(piece, swatch), (x, top))
            else:
                # Numbers after a name end at the right edge, one below the other.
                ends = size[0] - pad_x if piece.room and piece is line[-1] and x > pad_x else 0
                at = ends - face.getlength(piece.text) if ends else x
                draw.text((at, y), piece.text, (*piece.color, 255), font=face)
            x += width + gap
    return label


@lru_cache(maxsize=32)
def _rounded(size: tuple[int, int], radius: int) -> Image.Image:
    """Opacity of a label's ground."""
    large = Image.new("L", (size[0] * _SMOOTHING, size[1] * _SMOOTHING))
    ImageDraw.Draw(large).rounded_rectangle(
        (0, 0, large.width - 1, large.height - 1), radius * _SMOOTHING, fill=_BACK[3]
    )
    return large.resize(size, Image.Resampling.BOX)


@lru_cache(maxsize=32)
def _swatch(swatch: Swatch, side: int) -> Image.Image:
    color = ImageColor.getrgb(PRECISION_COLORS[swatch.precision][0])
    large = Image.new("RGB", (side * _SMOOTHING, side * _SMOOTHING), color)
    if swatch.hatched:
        large = Image.blend(Image.new("RGB", large.size, _BACK[:3]), large, 0.3)
        draw = ImageDraw.Draw(large)
        step = large.width // 3
        for x in range(-large.width, large.width, step):
            draw.line((x, large.width, x + large.width, 0), color, max(1, step // 3))
    return large.resize((side, side), Image.Resampling.BOX)


_CARD_BACK = (24, 24, 24)
_WIDEST = 0.86
"""Share of the width that text may take."""
_MISSING = "\uffff"


def title_card(title: str, facts: str, width_px: int, height_px: int) -> Picture:
    """uint8 (height_px, width_px, 3): the title in the middle, the facts under it.

    Text is made smaller until it fits into the width.
    """
    image = Image.new("RGB", (width_px, height_px), _CARD_BACK)
    draw = ImageDraw.Draw(image)
    small_px = font_px(width_px, height_px)
    large = _fitted(title, round(2.4 * small_px), width_px)
    small = _fitted(facts, small_px, width_px)
    middle = (width_px / 2, height_px / 2)
    draw.text(middle, title, WHITE, font=font(large), anchor="mb")
    draw.text((middle[0], middle[1] + 0.8 * small), facts, GREY, font=font(small), anchor="mt")
    return np.array(image)


def require_title(title: str) -> None:
    """Refuse a title that the typeface cannot write. Raises RecordingError."""
    if missing := next((letter for letter in title if not _has(letter)), None):
        raise RecordingError(
            "The title cannot be written",
            f"the typeface of recordings has no letter {missing!r}",
            "Choose one line in the letters of English.",
        )


def legible(text: str) -> str:
    """`text` with a question mark for each letter that the typeface does not have."""
    return "".join(letter if _has(letter) else "?" for letter in text)


def _has(letter: str) -> bool:
    if not letter.isprintable():
        return False
    face = font(20)
    return letter == " " or bytes(face.getmask(letter)) != bytes(face.getmask(_MISSING))


def _fitted(text: str, size_px: int, width_px: int) -> int:
    width = font(size_px).getlength(text)
    if width <= _WIDEST * width_px:
        return size_px
    return max(1, int(size_px * _WIDEST * width_px / width))
