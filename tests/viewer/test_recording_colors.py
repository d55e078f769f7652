"""A precision has one colour, in the window and in recordings."""

from __future__ import annotations

from r2l_core.recording.labels import PRECISION_COLORS
from r2l_core.types import Precision
from viewer.widgets import theme


def test_recordings_have_the_windows_colours():
    assert set(PRECISION_COLORS) == set(Precision)
    for precision, color in PRECISION_COLORS.items():
        assert color == theme.precision_color(precision, dark=True).name()
