"""The difference of two frames as a picture: computed once, recoloured as often as it is asked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from r2l_core.images.difference import DifferenceKind, Map, difference_map
from r2l_core.render.frames import Frame
from viewer.state.display_options import DifferenceOptions
from viewer.widgets.compare.color_bar import colors_of
from viewer.widgets.compare.difference_scale import (
    DifferenceReadout,
    color_codes,
    fitting_gain,
    measure,
)
from viewer.widgets.picture.picture import Picture


class DifferenceView:
    """Frame A against frame B. Everything is computed when it is first asked for."""

    def __init__(self) -> None:
        self._options = DifferenceOptions()
        self._pair: tuple[Frame, Frame] | None = None
        self._maps: dict[DifferenceKind, Map] = {}
        self._codes: NDArray[np.uint16] | None = None
        self._picture: Picture | None = None
        self._top = 1.0
        self._identical = False

    @property
    def options(self) -> DifferenceOptions:
        """How the difference is shown."""
        return self._options

    @property
    def pair(self) -> tuple[Frame, Frame] | None:
        """A and B."""
        return self._pair

    def set_pair(self, pair: tuple[Frame, Frame] | None) -> None:
        """Compare other frames, of one size."""
        self._pair = pair
        self._maps = {}
        self._forget()

    def set_options(self, options: DifferenceOptions) -> None:
        """Show the same frames in another way."""
        self._options = options
        self._forget()

    def set_map(self, kind: DifferenceKind, values: Map, pair: tuple[Frame, Frame]) -> bool:
        """Take a map, float32 (H, W), computed elsewhere for `pair`.

        False, and nothing changes, where other frames are compared by now.
        """
        if self._pair is None or pair[0] is not self._pair[0] or pair[1] is not self._pair[1]:
            return False
        self._maps[kind] = values
        self._forget()
        return True

    def values(self) -> Map | None:
        """The difference itself, or None while there is none."""
        kind = self._options.kind
        if kind not in self._maps and kind.quick and self._pair is not None:
            a, b = self._pair
            # Complete pictures are compared as the table and `eval` do, before any rounding.
            if a.colors is not None and b.colors is not None:
                self._maps[kind] = difference_map(kind, a.colors, b.colors)
            else:
                self._maps[kind] = difference_map(kind, a.image, b.image)
        return self._maps.get(kind)

    def picture(self) -> Picture | None:
        """The difference in colours, or None while there is none."""
        codes = self._coded()
        if self._picture is None and codes is not None:
            self._picture = Picture(np.take(colors_of(self._options), codes))
        return self._picture

    def readout(self) -> DifferenceReadout | None:
        """The difference in numbers, or None while there is none."""
        codes = self._coded()
        if codes is None or self._pair is None:
            return None
        whole_levels = any(frame.colors is None for frame in self._pair)
        return measure(self._options.kind, codes, self._top, whole_levels, self._identical)

    @property
    def identical(self) -> bool:
        """Whether there is a difference, and it is nothing in every pixel."""
        return self._coded() is not None and self._identical

    def _coded(self) -> NDArray[np.uint16] | None:
        values = self.values()
        if self._codes is None and values is not None:
            options = self._options
            self._identical = not values.any()
            self._top = 1 / (options.gain if options.locked else fitting_gain(values))
            self._codes = color_codes(values, self._top, options.kind.signed)
        return self._codes

    def _forget(self) -> None:
        self._codes = self._picture = None
