"""Differences on a colour scale: colours, counts and automatic scales."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from r2l_core.images.difference import DifferenceKind
from viewer.state.display_options import SCALES, SIGNED_SCALES
from viewer.widgets.compare.color_bar import CLIPPED_COLOR, INVALID_COLOR, color_table
from viewer.widgets.compare.difference_scale import (
    CLIPPED,
    INVALID,
    color_codes,
    fitting_gain,
    measure,
    words,
)


class TestCodes:
    def test_a_scale_from_zero_uses_all_colours(self):
        values = np.array([[0.0, 0.125, 0.25]], np.float32)
        assert color_codes(values, 0.25, False).tolist() == [[0, 128, 255]]

    def test_zero_of_a_signed_scale_is_its_middle(self):
        values = np.array([[-0.25, 0.0, 0.25]], np.float32)
        assert color_codes(values, 0.25, True).tolist() == [[0, 127, 254]]

    def test_the_end_of_the_scale_is_not_beyond_it(self):
        values = np.array([[16 / 255, 17 / 255, -16 / 255, -17 / 255]], np.float32)
        codes = color_codes(values, 16 / 255, True)
        assert codes.tolist() == [[254, CLIPPED, 0, CLIPPED]]

    def test_what_is_not_a_number_is_marked_without_a_warning(self):
        values = np.array([[np.nan, np.inf, -np.inf, 0.5]], np.float32)
        assert color_codes(values, 1.0, True).tolist() == [[INVALID, CLIPPED, CLIPPED, 191]]

    @pytest.mark.parametrize("name", [*SCALES.values(), *SIGNED_SCALES.values()])
    def test_marks_are_found_in_no_scale(self, name):
        table = color_table(name)
        assert table[CLIPPED] == int(f"ff{CLIPPED_COLOR[1:]}", 16)
        assert table[INVALID] == int(f"ff{INVALID_COLOR[1:]}", 16)
        rgb = np.stack([table >> 16 & 255, table >> 8 & 255, table & 255], axis=1).astype(int)
        for mark in (CLIPPED, INVALID):
            assert np.abs(rgb[:255] - rgb[mark]).sum(axis=1).min() > 60

    @pytest.mark.parametrize("name", SIGNED_SCALES.values())
    def test_nothing_has_no_hue(self, name):
        middle = int(color_table(name)[127])
        channels = [middle >> shift & 255 for shift in (16, 8, 0)]
        assert max(channels) - min(channels) <= 8


class TestCounts:
    @given(
        arrays.arrays(np.float32, (6, 7), elements=st.floats(-2, 2, width=32)),
        st.sampled_from([1.0, 4.0, 16.0, 255.0]),
        st.sampled_from(list(DifferenceKind)),
    )
    def test_every_pixel_is_counted_once(self, values, gain, kind):
        values = values if kind.signed else np.abs(values)
        got = measure(kind, color_codes(values, 1 / gain, kind.signed), 1 / gain)
        assert sum(got.histogram) + got.clipped + got.invalid == got.pixels == 42
        assert got.gain == pytest.approx(gain)

    def test_each_level_has_a_bar_of_its_own(self):
        levels = np.array([[0, 1, 2, 3]], np.float32) / 255
        codes = color_codes(levels, 1 / 64, False)
        assert measure(DifferenceKind.ABSOLUTE, codes, 1 / 64).histogram == (1, 1, 1, 1)
        signed = np.array([[-3, -2, -2, 0, 1, 3]], np.float32) / 255
        codes = color_codes(signed, 1 / 64, True)
        assert measure(DifferenceKind.SIGNED, codes, 1 / 64).histogram == (1, 2, 0, 1, 1, 0, 1)

    def test_the_scale_follows_all_but_one_in_a_thousand(self):
        values = np.full((100, 100), 3 / 255, np.float32)
        assert fitting_gain(values) == pytest.approx(2**6.25)
        values[0, :10] = 1.0
        assert fitting_gain(values) == pytest.approx(2**6.25)
        values[0, :11] = 1.0
        assert fitting_gain(values) == 1

    def test_nothing_is_not_stretched(self):
        assert fitting_gain(np.zeros((10, 10), np.float32)) == 1

    @given(st.floats(1 / 60_000, 1.0))
    def test_what_differs_fills_the_scale(self, largest):
        values = np.linspace(0, largest, 10_000, dtype=np.float32).reshape(100, 100)
        top = 1 / fitting_gain(values)
        assert 0.83 * top < largest < 1.01 * top or top == 1.0

    def test_exact_colours_have_fine_bars_and_whole_levels_one_each(self):
        codes = color_codes(np.zeros((4, 4), np.float32), 1 / 64, False)
        assert len(measure(DifferenceKind.ABSOLUTE, codes, 1 / 64).histogram) == 4
        fine = measure(DifferenceKind.ABSOLUTE, codes, 1 / 64, whole_levels=False)
        assert len(fine.histogram) == 64


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (DifferenceKind.ABSOLUTE, 3 / 255, "3"),
        (DifferenceKind.SIGNED, 3 / 255, "+3"),
        (DifferenceKind.SIGNED, -3 / 255, "−3"),
        (DifferenceKind.SIGNED, 0.0, "0"),
        (DifferenceKind.SQUARED, 9 / 255**2, "9"),
        (DifferenceKind.RELATIVE, 0.125, "12.5"),
        (DifferenceKind.FLIP, 0.0412, "0.0412"),
        (DifferenceKind.FLIP, float("nan"), "NaN"),
    ],
)
def test_values_are_read_in_their_unit(kind, value, text):
    assert words(kind, value) == text
