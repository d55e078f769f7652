"""The card before a recording: its title, and in small print what it shows."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from r2l_core.errors import RecordingError
from r2l_core.recording.compose import Picture
from r2l_core.recording.labels import GREY, WHITE, font, font_px

_BACK = (24, 24, 24)
_WIDEST = 0.86
"""Share of the width that text may take."""
_MISSING = "\uffff"


def title_card(title: str, facts: str, width_px: int, height_px: int) -> Picture:
    """uint8 (height_px, width_px, 3): the title in the middle, the facts under it.

    Text is made smaller until it fits into the width.
    """
    image = Image.new("RGB", (width_px, height_px), _BACK)
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
