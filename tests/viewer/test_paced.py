"""What is shown no more often than it can be read."""

from __future__ import annotations

import pytest
from PyQt6.QtCore import QObject, QTimer

from viewer.widgets.controls.paced import Paced


@pytest.fixture
def shown() -> list[int]:
    return []


@pytest.fixture
def value() -> list[int]:
    """What there is to be shown; the test changes it."""
    return [0]


@pytest.fixture
def paced(qapp, shown, value) -> Paced:
    parent = QObject()
    paced = Paced(lambda: shown.append(value[0]), 1000, parent)
    paced.kept_parent = parent  # type: ignore[attr-defined]
    return paced


def pass_time(paced: Paced) -> None:
    """Let the pause end, if there is one."""
    timer = paced.findChild(QTimer)
    assert timer is not None
    if timer.isActive():
        timer.stop()
        timer.timeout.emit()


def running(paced: Paced) -> bool:
    timer = paced.findChild(QTimer)
    assert timer is not None
    return timer.isActive()


def test_the_first_is_shown_at_once_and_of_many_more_the_last(paced, shown, value):
    for value[0] in (1, 2, 3):
        paced.ask()
    assert shown == [1]
    pass_time(paced)
    assert shown == [1, 3]
    value[0] = 4
    paced.ask()
    assert shown == [1, 3], "it has just been shown"
    pass_time(paced)
    assert shown == [1, 3, 4]


def test_while_nobody_asks_nothing_runs(paced, shown):
    paced.ask()
    pass_time(paced)
    assert shown == [0]
    assert not running(paced)
    paced.ask()
    assert shown == [0, 0], "after a pause at once"


def test_at_once_leaves_nothing_for_later(paced, shown, value):
    for value[0] in (1, 2):
        paced.ask()
    value[0] = 3
    paced.at_once()
    assert shown == [1, 3]
    assert not running(paced)
