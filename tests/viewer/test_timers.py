"""What is shown no more often than it can be read."""

from __future__ import annotations

import pytest

from tests.viewer.manual_clock import ManualClock
from viewer.widgets.controls.timers import Throttle


@pytest.fixture
def shown() -> list[int]:
    return []


@pytest.fixture
def value() -> list[int]:
    """What there is to be shown; the test changes it."""
    return [0]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def paced(qapp, clock, shown, value) -> Throttle:
    return Throttle(lambda: shown.append(value[0]), 1000, qapp, clock)


def test_the_first_is_shown_at_once_and_of_many_more_the_last(paced, clock, shown, value):
    for value[0] in (1, 2, 3):
        paced.ask()
    assert shown == [1]
    clock.fire()
    assert shown == [1, 3]
    value[0] = 4
    paced.ask()
    assert shown == [1, 3], "it has just been shown"
    clock.fire()
    assert shown == [1, 3, 4]


def test_while_nobody_asks_nothing_runs(paced, clock, shown):
    paced.ask()
    clock.fire()
    assert shown == [0]
    assert not clock.timers[0].isActive()
    paced.ask()
    assert shown == [0, 0], "after a pause at once"


def test_at_once_leaves_nothing_for_later(paced, clock, shown, value):
    for value[0] in (1, 2):
        paced.ask()
    value[0] = 3
    paced.at_once()
    assert shown == [1, 3]
    assert not clock.timers[0].isActive()
