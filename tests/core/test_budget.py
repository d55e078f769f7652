"""How fine a picture can be: speeds and times in, strides and numbers of rays out."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2l_core.render.budget import Speed, extra_rays, finest_stride, time_for_pixels
from r2l_core.render.frames import STRIDES

CALLS = (16, 32, 64)
SPEEDS = st.builds(
    Speed,
    st.floats(1.0, 1e9),
    st.sets(st.integers(1, 5000), max_size=4).map(sorted).map(tuple),
)


@pytest.mark.parametrize(
    ("n", "computed", "within"),
    [
        (0, 0, 0),
        (1, 16, 0),
        (16, 16, 16),
        (17, 32, 16),
        (33, 64, 32),
        (64, 64, 64),
        (170, 192, 160),
    ],
)
def test_what_a_number_of_rays_costs_and_what_a_budget_buys(n, computed, within):
    speed = Speed(1.0, CALLS)
    assert speed.computed(n) == computed
    assert speed.within(n) == within
    assert Speed(1.0).computed(n) == Speed(1.0).within(n) == n


def test_before_the_first_measurement_every_ray_takes_for_ever():
    assert Speed(0.0).seconds(1) == math.inf
    assert Speed(0.0).seconds(0) == 0.0
    assert Speed(200.0).seconds(50) == 0.25


@pytest.mark.parametrize(
    ("n_rays", "budget", "room"),
    [(64, 64 + 45, 32), (64, 64 + 60, 64), (16, 20, 0), (20, 20, 12), (64, 10, 0)],
)
def test_rays_join_in_whole_calls(n_rays, budget, room):
    assert Speed(1.0, CALLS).room(n_rays, budget) == room


@given(SPEEDS, st.integers(0, 20_000), st.integers(0, 20_000))
def test_what_joins_is_late_by_a_tenth_at_most_or_costs_nothing(speed, n_rays, budget):
    room = speed.room(n_rays, budget)
    assert room >= 0
    together = speed.computed(n_rays + room)
    assert together <= 1.1 * budget or together == speed.computed(n_rays)


def test_at_least_half_of_the_time_goes_to_pixels():
    assert time_for_pixels(0.030, 0.010) == pytest.approx(0.020)
    assert time_for_pixels(0.030, 0.100) == pytest.approx(0.015)


def seconds_at(stride: int) -> float:
    return 1.0 / stride**2


@pytest.mark.parametrize(
    ("available_s", "last", "expected"),
    [
        (1.0, None, 1),
        (0.999, None, 2),
        (0.25, None, 2),
        (0.0, None, 32),
        # Finer than the last one needs a tenth to spare, as coarse may be late by a tenth.
        (1.0, 2, 2),
        (1.2, 2, 1),
        (0.92, 1, 1),
        (0.90, 1, 2),
    ],
)
def test_the_finest_stride_that_fits(available_s, last, expected):
    assert finest_stride(seconds_at, available_s, last) == expected


@given(st.floats(0, 2), st.floats(0, 2), st.sampled_from([None, *STRIDES]))
def test_more_time_is_never_coarser(a, b, last):
    assert finest_stride(seconds_at, max(a, b), last) <= finest_stride(seconds_at, min(a, b), last)


def test_extra_rays_share_what_is_left():
    fast, slow = Speed(1000.0), Speed(250.0)
    assert extra_rays([(fast, 10)], 0.0505) == 40
    # 10 ms and 40 ms are spent; one ray of each takes 5 ms.
    assert extra_rays([(fast, 10), (slow, 10)], 0.1005) == 10
    assert extra_rays([(fast, 10)], 0.001) == 0
    assert extra_rays([], 1.0) == 0
    assert extra_rays([(Speed(0.0), 0)], 1.0) == 0
