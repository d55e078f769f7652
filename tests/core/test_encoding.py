"""The positional encoding against a loop, and the fast one against the readable one."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from r2l_core.model.encoding import (
    encode,
    encode_into,
    encode_reference,
    feature_major_order,
)

LARGEST = 7.0
"""No coordinate of a scene with far = 6 and a unit slope lies further out."""
BOUND = 1e-5
"""What the fast encoding may be off. Measured on 400,000 random points: 5e-6; one more double-angle
step between fresh sines would give 1.4e-5."""


def random_points(n: int, coordinates: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.rand(n, coordinates, generator=generator) - 1) * LARGEST


def fast(points: torch.Tensor, n_frequencies: int) -> torch.Tensor:
    # Not a number to begin with, so that a column nobody writes is seen.
    out = torch.full((len(points), points.shape[1] * (2 * n_frequencies + 1)), math.nan)
    encode_into(points, n_frequencies, out)
    return out


@pytest.mark.parametrize("n_frequencies", [0, 1, 4, 10])
def test_reference_is_coordinate_major_sines_cosines_value(n_frequencies):
    points = random_points(5, 6)
    expected = []
    for row in points.tolist():
        features = []
        for x in row:
            features += [math.sin(2**k * x) for k in range(n_frequencies)]
            features += [math.cos(2**k * x) for k in range(n_frequencies)]
            features.append(x)
        expected.append(features)
    encoded = encode_reference(points, n_frequencies)
    assert encoded.dtype == torch.float32
    assert encoded.shape == (5, 6 * (2 * n_frequencies + 1))
    torch.testing.assert_close(encoded, torch.tensor(expected), atol=1e-6, rtol=0)


@pytest.mark.parametrize("n_frequencies", range(11))
def test_the_fast_encoding_stays_within_its_bound(n_frequencies):
    points = random_points(4000, 12, seed=n_frequencies)
    difference = (encode(points, n_frequencies) - encode_reference(points, n_frequencies)).abs()
    assert difference.max() <= BOUND


@given(
    st.lists(st.floats(-LARGEST, LARGEST, width=32), min_size=1, max_size=12), st.integers(0, 10)
)
def test_the_fast_encoding_stays_within_its_bound_anywhere(coordinates, n_frequencies):
    points = torch.tensor([coordinates], dtype=torch.float32)
    difference = encode(points, n_frequencies) - encode_reference(points, n_frequencies)
    assert difference.abs().max() <= BOUND


@pytest.mark.parametrize("n_frequencies", [0, 1, 6, 10])
def test_fast_columns_stand_where_feature_major_order_says(n_frequencies):
    points = random_points(7, 5)
    order = feature_major_order(5, n_frequencies)
    columns = 5 * (2 * n_frequencies + 1)
    assert sorted(order.tolist()) == list(range(columns))
    expected = encode_reference(points, n_frequencies)[:, order]
    torch.testing.assert_close(fast(points, n_frequencies), expected, atol=BOUND, rtol=0)


def test_a_permuted_head_gives_the_same_products():
    points = random_points(9, 6)
    weight = torch.randn(4, 6 * 9, generator=torch.Generator().manual_seed(5))
    expected = encode_reference(points, 4) @ weight.T
    permuted = fast(points, 4) @ weight[:, feature_major_order(6, 4)].T
    torch.testing.assert_close(permuted, expected, atol=2e-4, rtol=0)


def test_no_frequencies_leave_the_points():
    points = random_points(3, 4)
    assert torch.equal(encode(points, 0), points)
    assert torch.equal(encode_reference(points, 0), points)
    assert torch.equal(fast(points, 0), points)


def test_a_reused_buffer_keeps_nothing_of_the_last_call():
    first, second = random_points(6, 3, seed=1), random_points(6, 3, seed=2)
    out = torch.empty(6, 3 * 15)
    encode_into(first, 7, out)
    encode_into(second, 7, out)
    assert torch.equal(out, fast(second, 7))
    assert torch.equal(second, random_points(6, 3, seed=2)), "the points are not written to"
