"""The arithmetic of differences: maps, colours, counts and automatic scales."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from r2l_core.images.metrics import as_float, pixel_errors
from viewer.state.difference_options import SCALES, SIGNED_SCALES, DifferenceKind
from viewer.widgets.compare.color_bar import CLIPPED_COLOR, INVALID_COLOR, color_table
from viewer.widgets.compare.difference import (
    CLIPPED,
    INVALID,
    color_codes,
    difference_map,
    exact_difference_map,
    fitting_gain,
    measure,
    words,
)

COMPUTED = [kind for kind in DifferenceKind if kind.computed]
IMAGES = arrays.arrays(np.uint8, (4, 5, 3))


def readable(kind: DifferenceKind, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The definitions, channel by channel, in double precision."""
    x, y = a / 255.0, b / 255.0
    if kind is DifferenceKind.SIGNED:
        at = np.abs(x - y).argmax(axis=2)[..., None]
        # Of two equally bad channels the one that is more in A.
        d = np.where(np.isclose((x - y).max(axis=2), np.abs(x - y).max(axis=2)), 1, -1)
        return np.abs(np.take_along_axis(x - y, at, axis=2)[..., 0]) * d
    values = {
        DifferenceKind.ABSOLUTE: np.abs(x - y),
        DifferenceKind.SQUARED: (x - y) ** 2,
        DifferenceKind.RELATIVE: np.abs(x - y) / (y + 0.01),
    }[kind]
    return values.max(axis=2)


class TestMaps:
    @pytest.mark.parametrize("kind", COMPUTED)
    @given(a=IMAGES, b=IMAGES)
    def test_fast_maps_are_the_definitions(self, kind, a, b):
        got = difference_map(kind, a, b)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, readable(kind, a, b), rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("kind", COMPUTED)
    @given(a=IMAGES, b=IMAGES)
    def test_maps_of_exact_colours_are_the_same_definitions(self, kind, a, b):
        got = exact_difference_map(kind, as_float(a), as_float(b))
        assert got.dtype == np.float32
        expected = readable(kind, a, b)
        if kind is DifferenceKind.SIGNED:  # two channels are hardly ever equally bad
            got, expected = np.abs(got), np.abs(expected)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)

    def test_exact_maps_agree_with_the_metrics(self):
        a, b = np.random.default_rng(3).uniform(size=(2, 9, 8, 3)).astype(np.float32)
        errors = pixel_errors(a, b)
        assert exact_difference_map(DifferenceKind.ABSOLUTE, a, b).max() == errors.max_abs
        signed = exact_difference_map(DifferenceKind.SIGNED, a, b)
        at = np.unravel_index(np.abs(signed).argmax(), signed.shape)
        change = (a - b)[at]
        assert signed[at] == change[np.abs(change).argmax()]
        a[0, 0, 1] = np.nan
        assert np.isnan(exact_difference_map(DifferenceKind.ABSOLUTE, a, b)[0, 0])

    def test_one_channel_is_enough_to_differ(self):
        a = np.zeros((1, 1, 3), np.uint8)
        b = a.copy()
        b[..., 1] = 51
        assert difference_map(DifferenceKind.ABSOLUTE, a, b)[0, 0] == pytest.approx(0.2)
        assert difference_map(DifferenceKind.SIGNED, a, b)[0, 0] == pytest.approx(-0.2)
        assert difference_map(DifferenceKind.SIGNED, b, a)[0, 0] == pytest.approx(0.2)

    def test_opposite_channels_do_not_cancel(self):
        a = np.array([[[10, 0, 0]]], np.uint8)
        b = np.array([[[0, 10, 0]]], np.uint8)
        assert abs(difference_map(DifferenceKind.SIGNED, a, b)[0, 0]) == pytest.approx(10 / 255)

    def test_a_slow_kind_is_not_computed_here(self):
        image = np.zeros((2, 2, 3), np.uint8)
        with pytest.raises(ValueError, match="FLIP"):
            difference_map(DifferenceKind.FLIP, image, image)
        with pytest.raises(ValueError, match="FLIP"):
            exact_difference_map(DifferenceKind.FLIP, as_float(image), as_float(image))


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
        assert fitting_gain(values) == 64
        values[0, :10] = 1.0
        assert fitting_gain(values) == 64
        values[0, :11] = 1.0
        assert fitting_gain(values) == 1
        assert fitting_gain(np.zeros((10, 10), np.float32)) == 256


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
