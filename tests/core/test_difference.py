"""Difference maps against plain formulas, and histograms that lose no pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from r2l_core.images.difference import DifferenceKind, DifferenceMap, difference, histogram
from r2l_core.images.metrics import compare, flip_map

KINDS = list(DifferenceKind)


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(8)
    reference = random.random((18, 24, 3), dtype=np.float32)
    image = np.clip(reference + random.normal(0, 0.1, reference.shape), 0, 1)
    return image.astype(np.float32), reference


def test_means_are_the_metrics(pair):
    scores = compare(*pair)
    means = {kind: difference(*pair, kind).values.mean(dtype=np.float64) for kind in KINDS}
    assert means[DifferenceKind.ABSOLUTE] == pytest.approx(scores.mean_abs, rel=1e-6)
    assert means[DifferenceKind.SQUARED] == pytest.approx(scores.mse, rel=1e-6)
    assert means[DifferenceKind.FLIP] == pytest.approx(scores.flip, rel=1e-6)
    bias = (pair[0].astype(np.float64) - pair[1]).mean()
    assert means[DifferenceKind.SIGNED] == pytest.approx(bias, rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind(pair, kind):
    result = difference(*pair, kind)
    assert result.kind is kind
    assert result.values.shape == pair[0].shape[:2]
    assert result.values.dtype == np.float32
    assert result.unit
    assert (result.low, result.high) == (-1.0 if kind is DifferenceKind.SIGNED else 0.0, 1.0)
    assert result.n_not_finite == 0
    assert not difference(pair[1], pair[1], kind).values.any(), "no difference"


def test_a_pixel_by_hand():
    reference = np.array([[[0.2, 0.4, 0.6]]], np.float32)
    image = np.array([[[0.5, 0.3, 0.6]]], np.float32)
    expected = {
        DifferenceKind.ABSOLUTE: 0.4 / 3,
        DifferenceKind.SIGNED: 0.2 / 3,
        DifferenceKind.SQUARED: 0.1 / 3,
        DifferenceKind.RELATIVE: 0.4 / 3 / 0.41,
    }
    for kind, value in expected.items():
        assert difference(image, reference, kind).values[0, 0] == pytest.approx(value, rel=1e-5)
    assert difference(reference, image, DifferenceKind.SIGNED).values[0, 0] < 0


def test_black_has_a_relative_difference():
    black, white = np.zeros((2, 2, 3), np.float32), np.ones((2, 2, 3), np.float32)
    values = difference(white, black, DifferenceKind.RELATIVE).values
    np.testing.assert_allclose(values, 100.0)


@pytest.mark.parametrize("kind", KINDS)
def test_eight_bits_and_floats_mix(pair, kind):
    image, reference = ((x * 255).astype(np.uint8) for x in pair)
    expected = difference(image / np.float32(255), reference / np.float32(255), kind)
    np.testing.assert_array_equal(difference(image, reference, kind).values, expected.values)
    mixed = difference(image, reference / np.float32(255), kind)
    np.testing.assert_array_equal(mixed.values, expected.values)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_finite_is_masked_and_counted(pair, kind):
    image, reference = (x.copy() for x in pair)
    image[2, 3, 0], image[2, 4, 1], reference[2, 4, 2], reference[5, 6, 0] = (
        *(np.nan, np.inf, -np.inf),
        np.nan,
    )
    result = difference(image, reference, kind)
    assert result.n_not_finite == 3
    masked = np.zeros((18, 24), bool)
    masked[[2, 2, 5], [3, 4, 6]] = True
    np.testing.assert_array_equal(np.isnan(result.values), masked)
    far = difference(*pair, kind).values[12:, 14:]
    # FLIP looks at the surroundings, where masked pixels are black now.
    np.testing.assert_allclose(result.values[12:, 14:], far, atol=1e-3)


def test_masked_pixels_make_no_flip_error_around_them(pair):
    _, reference = pair
    image = reference.copy()
    image[9, 9] = np.nan
    values = difference(image, reference, DifferenceKind.FLIP).values
    assert np.nansum(values) == 0


def test_flip_is_of_what_a_screen_shows(pair):
    image, reference = pair
    values = difference(image + 1, reference, DifferenceKind.FLIP).values
    np.testing.assert_array_equal(values, flip_map(np.ones_like(image), reference))


@pytest.mark.parametrize("shape", [(18, 23, 3), (18, 24), (18, 24, 1)])
def test_images_that_are_not_alike(pair, shape):
    with pytest.raises(ValueError, match="not two"):
        difference(pair[0], np.zeros(shape, np.float32))


VALUES = st.one_of(
    st.floats(-3, 3, width=32), st.sampled_from([0.0, 1.0, -1.0, float("nan"), 1e-5])
)


@given(arrays(np.float32, (5, 7), elements=VALUES), st.booleans(), st.sampled_from([0.0, -1.0]))
def test_histograms_lose_no_pixel(values, log, low):
    kind = DifferenceKind.SIGNED if low else DifferenceKind.RELATIVE
    n_not_finite = int(np.isnan(values).sum())
    result = histogram(DifferenceMap(kind, values, "", low, 1.0, n_not_finite), 16, log)
    assert len(result.edges) == len(result.counts) + 1 == 17
    total = result.counts.sum() + result.below + result.above + result.n_not_finite
    assert total == values.size
    assert result.n_not_finite == n_not_finite


def test_bins_of_a_histogram():
    values = np.array([[0.0, 0.1, 0.6, 1.0, 1.5, np.nan]], np.float32)
    relative = DifferenceMap(DifferenceKind.RELATIVE, values, "", 0.0, 1.0, 1)
    linear = histogram(relative, 2)
    assert linear.counts.tolist() == [2, 2]
    assert (linear.below, linear.above, linear.n_not_finite) == (0, 1, 1)
    log = histogram(relative, 5, log=True)
    np.testing.assert_allclose(log.edges, [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1])
    assert log.counts.sum() == 3
    assert (log.below, log.above) == (1, 1), "zero has no logarithm"


def test_a_log_histogram_shows_both_signs():
    values = np.array([[-0.5, 0.5, 0.02]], np.float32)
    signed = DifferenceMap(DifferenceKind.SIGNED, values, "", -1.0, 1.0, 0)
    assert histogram(signed, 5, log=True).counts.tolist() == [0, 0, 0, 1, 2]
    assert histogram(signed, 4).counts.tolist() == [0, 1, 1, 1]
