"""The frames of all panes put together: side by side, wiped, flipped, or as a difference."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from r2l_core.render.frames import Frame
from viewer.state.display_options import Channel, DisplayOptions
from viewer.state.panes import LETTERS, CompareMode
from viewer.widgets.compare.difference_view import DifferenceView
from viewer.widgets.picture.picture import Picture

_POSITIONS = {Channel.RED: 0, Channel.GREEN: 1, Channel.BLUE: 2}
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Of linear red, green and blue (ITU-R BT.709)."""


class Comparison:
    """Holds the last frames, so that neither a mode nor an option asks for rendering."""

    def __init__(self) -> None:
        self.difference = DifferenceView()
        self.frames: tuple[Frame, ...] = ()
        """One for each pane, or that of one pane alone."""
        self.pictures: list[Picture] = []
        """Of the frames, as they are displayed."""
        self.sources: tuple[str, ...] = ()
        """What each pane shows, in words, also of those whose frames are still to come."""
        self.mode = CompareMode.SINGLE
        self.active = 0
        """Position of the pane that the digit keys and the engine card are about."""
        self.shows_b = False
        """Whether the second of the pair is shown where they are flipped."""
        self.wipe = 0.5
        """Share of the picture that shows the first of the pair."""
        self.upright = True
        """Whether the line between the two halves of a wipe stands upright."""
        self.alone = 0
        """Position of the pane whose frame is there alone."""
        self._display = DisplayOptions()
        self._pair = (0, 1)

    @property
    def frame(self) -> Frame | None:
        """The frame of the active pane, or None before the first."""
        return self.frames[self.shown] if self.frames else None

    @property
    def shown(self) -> int:
        """Which of the frames is that of the active pane."""
        return min(self.active, len(self.frames) - 1)

    @property
    def seen(self) -> tuple[Frame, ...]:
        """What the picture is of: one frame of a flip, both of a wipe or a difference; the active
        pane's where that is alone or all of them are beside each other."""
        if self.mode in (CompareMode.SINGLE, CompareMode.SIDE) or len(self.frames) < 2:
            return () if self.frame is None else (self.frame,)
        a, b = (self.frames[at] for at in self.pair)
        if self.mode is CompareMode.FLIP:
            return (b if self.shows_b else a,)
        return a, b

    @property
    def awaited(self) -> tuple[int, ...]:
        """Positions of the panes that have no frame yet."""
        n_panes = len(self.sources)
        if len(self.frames) == 1:
            return tuple(at for at in range(n_panes) if at != self.alone)
        return tuple(range(len(self.frames), n_panes))

    @property
    def pair(self) -> tuple[int, int]:
        """Positions of the two panes that are wiped, flipped and subtracted."""
        return self._pair if max(self._pair) < len(self.frames) else (0, 1)

    def take(self, frames: Sequence[Frame]) -> None:
        """Compare one frame for each pane, of the same request, camera, size and pass.

        Raises ValueError where they are not: more would differ than what is compared.
        """
        _check_matching(frames)
        if self.mode is CompareMode.SINGLE:
            self.alone = self.active
        elif len(frames) > 1:
            # The next that comes alone is of a first pane.
            self.alone = 0
        self.frames = tuple(frames)
        self._make_pictures()
        self._subtract()

    def have_room_for(self, sources: Sequence[str]) -> None:
        """Expect the frames of panes that show this."""
        self.sources = tuple(sources)
        self.alone = min(self.alone, max(len(sources) - 1, 0))

    def set_display(self, options: DisplayOptions) -> bool:
        """Show the same frames with another exposure, or one channel of them; False where nothing
        changes."""
        if options == self._display:
            return False
        self._display = options
        self._make_pictures()
        return bool(self.frames)

    def set_mode(self, mode: CompareMode) -> None:
        """Show the same frames in another way."""
        self.mode = mode
        self.shows_b = False

    def set_pair(self, pair: tuple[int, int]) -> None:
        """Wipe, flip and subtract two other panes."""
        if pair != self._pair:
            self._pair = pair
            self._subtract()

    def identical_words(self) -> str:
        """That the compared two show the same, in words; empty where they do not."""
        if not self.difference.identical:
            return ""
        letters = " and ".join(LETTERS[at] for at in self.pair)
        return f"{letters} are identical{'' if self.frames[0].complete else ' so far'}"

    def seen_pixels(self) -> NDArray[np.uint8] | None:
        """The pictures as they are shown, without labels, at their own size: uint8 (H, W, 3),
        several of them side by side, wiped or as their difference. None before the first frame."""
        seen, mode = [picture.pixels for picture in self.pictures], self.mode
        if not seen:
            return None
        if mode is CompareMode.SINGLE or len(seen) < 2:
            return seen[self.shown]
        if mode is CompareMode.SIDE:
            return np.concatenate(seen, axis=1)
        a, b = (seen[at] for at in self.pair)
        if mode is CompareMode.FLIP:
            return b if self.shows_b else a
        if mode is CompareMode.WIPE:
            wiped = b.copy()
            along = slice(round(self.wipe * b.shape[1 if self.upright else 0]))
            part = (slice(None), along) if self.upright else (along,)
            wiped[part] = a[part]
            return wiped
        picture = self.difference.picture()
        return None if picture is None else _rgb(picture.pixels)

    def seen_key(self) -> object:
        """Equal as long as `seen_pixels` gives the same, and the frames are held."""
        pictures = tuple(frame.image for frame in self.frames)
        wiped = (self.wipe, self.upright)
        how = (self.mode, self.active, self.pair, self.shows_b, wiped, self._display)
        options = self.difference.options if self.mode is CompareMode.DIFFERENCE else None
        return tuple(map(id, pictures)), how, options

    def _make_pictures(self) -> None:
        self.pictures = [Picture(displayed(one.image, self._display)) for one in self.frames]

    def _subtract(self) -> None:
        frames = [self.frames[at] for at in self.pair] if len(self.frames) > 1 else []
        able = bool(frames) and not any(frame.why_blank for frame in frames)
        self.difference.set_pair((frames[0], frames[1]) if able else None)
        made = frames[0].difference if able else None
        if made is not None and made.against == self.pair[1]:
            self.difference.set_map(made.kind, made.values, (frames[0], frames[1]))


def same_camera(one: Frame, other: Frame) -> bool:
    """Whether two frames show the same view."""
    a, b = one.camera, other.camera
    return a is b or a.same_view(b)


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
        if not same_camera(first, other):
            raise ValueError("the panes differ in their camera")


def displayed(image: NDArray[np.uint8], options: DisplayOptions) -> NDArray[np.uint8]:
    """What is shown of an sRGB picture, uint8 (H, W, 3); the picture itself where that is all."""
    if options == DisplayOptions():
        return image
    linear = _linear_table(options.exposure_ev, options.offset)
    if options.channel is Channel.LUMINANCE:
        return _thrice(_encoded(np.take(linear, image) @ _LUMINANCE))
    table = _encoded(linear)
    if options.channel is Channel.ALL:
        return np.take(table, image)
    return _thrice(np.take(table, image[..., _POSITIONS[options.channel]]))


@lru_cache(maxsize=4)
def _linear_table(exposure_ev: float, offset: float) -> NDArray[np.float32]:
    """float32 (256,): linear light of every byte of sRGB, exposed."""
    encoded = np.arange(256) / 255
    low = encoded <= 0.04045
    linear = np.where(low, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    table: NDArray[np.float32] = (linear * 2.0**exposure_ev + offset).astype(np.float32)
    return table


def _encoded(linear: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Bytes of sRGB; what is beyond black and white is these."""
    linear = np.clip(linear, 0.0, 1.0)
    low = linear <= 0.0031308
    encoded = np.where(low, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    levels: NDArray[np.uint8] = np.rint(encoded * 255).astype(np.uint8)
    return levels


def _thrice(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(grey[..., None], 3, axis=2)
