"""Difference maps against their definitions, whatever the pictures hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from r2l_core.images.difference import DifferenceKind, as_float, difference_map, flip_map
from r2l_core.images.difference_on_device import difference_on_device
from r2l_core.images.metrics import compare, pixel_errors

KINDS = list(DifferenceKind)
COMPUTED = [kind for kind in DifferenceKind if kind.quick]
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


FLOATS = arrays.arrays(np.float32, (4, 5, 3), elements=st.floats(0, 1, width=32))


def assert_same_bits(kind: DifferenceKind, a: np.ndarray, b: np.ndarray) -> None:
    on_device = difference_on_device(kind, torch.from_numpy(a), torch.from_numpy(b)).numpy()
    assert on_device.dtype == np.float32
    expected = difference_map(kind, a, b)
    np.testing.assert_array_equal(on_device.view(np.int32), expected.view(np.int32))


@pytest.mark.parametrize("kind", COMPUTED)
class TestOnDevice:
    """Tensors, of a processor here, give the bits that arrays give."""

    @given(a=IMAGES, b=IMAGES)
    def test_of_levels(self, kind, a, b):
        assert_same_bits(kind, a, b)

    @given(a=FLOATS, b=FLOATS)
    def test_of_exact_colours(self, kind, a, b):
        assert_same_bits(kind, a, b)

    def test_of_every_pair_of_levels(self, kind):
        a, b = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
        assert_same_bits(kind, np.stack([a, a, a], -1), np.stack([b, b, b], -1))


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
        got = difference_map(kind, as_float(a), as_float(b))
        assert got.dtype == np.float32
        expected = readable(kind, a, b)
        if kind is DifferenceKind.SIGNED:  # two channels are hardly ever equally bad
            got, expected = np.abs(got), np.abs(expected)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)

    def test_exact_maps_agree_with_the_metrics(self):
        a, b = np.random.default_rng(3).uniform(size=(2, 9, 8, 3)).astype(np.float32)
        errors = pixel_errors(a, b)
        assert difference_map(DifferenceKind.ABSOLUTE, a, b).max() == errors.max_abs
        signed = difference_map(DifferenceKind.SIGNED, a, b)
        at = np.unravel_index(np.abs(signed).argmax(), signed.shape)
        change = (a - b)[at]
        assert signed[at] == change[np.abs(change).argmax()]
        a[0, 0, 1] = np.nan
        assert np.isnan(difference_map(DifferenceKind.ABSOLUTE, a, b)[0, 0])

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


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(8)
    reference = random.random((18, 24, 3), dtype=np.float32)
    image = np.clip(reference + random.normal(0, 0.1, reference.shape), 0, 1)
    return image.astype(np.float32), reference


def test_maps_say_what_the_metrics_say(pair):
    scores = compare(*pair)
    worst = difference_map(DifferenceKind.ABSOLUTE, *pair)
    assert worst.max() == pytest.approx(scores.max_abs, rel=1e-6)
    assert 100 * (worst >= 1 / 255).mean() == pytest.approx(scores.off_by_1_255_percent)
    assert worst.mean() >= scores.mean_abs
    flip = difference_map(DifferenceKind.FLIP, *pair)
    assert flip.mean(dtype=np.float64) == pytest.approx(scores.flip, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind(pair, kind):
    values = difference_map(kind, *pair)
    assert values.shape == pair[0].shape[:2]
    assert values.dtype == np.float32
    assert (values.min() < 0) == kind.signed
    assert kind.unit
    assert not difference_map(kind, pair[1], pair[1]).any(), "no difference"


def test_black_has_a_relative_difference():
    black, white = np.zeros((2, 2, 3), np.float32), np.ones((2, 2, 3), np.float32)
    values = difference_map(DifferenceKind.RELATIVE, white, black)
    np.testing.assert_allclose(values, 100.0)


@pytest.mark.parametrize("kind", KINDS)
def test_eight_bits_and_floats_mix(pair, kind):
    image, reference = ((x * 255).astype(np.uint8) for x in pair)
    floats = (image / np.float32(255), reference / np.float32(255))
    expected = difference_map(kind, *floats)
    # By size: in floats two channels are hardly ever equally bad.
    got = np.abs(difference_map(kind, image, reference))
    np.testing.assert_allclose(got, np.abs(expected), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(difference_map(kind, image, floats[1]), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_finite_is_masked(pair, kind):
    image, reference = (x.copy() for x in pair)
    image[2, 3, 0], image[2, 4, 1], reference[2, 4, 2], reference[5, 6, 0] = (
        *(np.nan, np.inf, np.inf),
        np.nan,
    )
    values = difference_map(kind, image, reference)
    masked = np.zeros((18, 24), bool)
    masked[[2, 2, 5], [3, 4, 6]] = True
    np.testing.assert_array_equal(np.isnan(values), masked)
    far = difference_map(kind, *pair)[12:, 14:]
    # FLIP looks at the surroundings, where masked pixels are black now.
    np.testing.assert_allclose(values[12:, 14:], far, atol=1e-3)


def test_masked_pixels_make_no_flip_error_around_them(pair):
    _, reference = pair
    image = reference.copy()
    image[9, 9] = np.nan
    assert np.nansum(difference_map(DifferenceKind.FLIP, image, reference)) == 0


def test_flip_is_of_what_a_screen_shows(pair):
    image, reference = pair
    values = difference_map(DifferenceKind.FLIP, image + 1, reference)
    np.testing.assert_array_equal(values, flip_map(np.ones_like(image), reference))


@pytest.mark.parametrize("shape", [(18, 23, 3), (18, 24), (18, 24, 1)])
def test_images_that_are_not_alike(pair, shape):
    with pytest.raises(ValueError, match="not two"):
        difference_map(DifferenceKind.ABSOLUTE, pair[0], np.zeros(shape, np.float32))
