"""Cyclic garbage goes, and it goes on the window's thread."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest
from PyQt6.QtCore import QTimer

from viewer.runtime import GuiCollector


class Knot:
    """Refers to itself, and notes which thread it ends on."""

    def __init__(self, ended_on: list[int]) -> None:
        self.me = self
        weakref.finalize(self, lambda: ended_on.append(threading.get_ident()))


@pytest.fixture
def collector(qapp):
    was_enabled = gc.isenabled()
    collector = GuiCollector(qapp)
    yield collector
    collector.stop()
    if not was_enabled:
        gc.disable()


def test_nothing_is_collected_before_the_window_has_settled(qapp, collector):
    timer = qapp.findChildren(QTimer)[-1]
    assert not timer.isActive()
    collector.settle()
    assert timer.isActive()


def test_garbage_of_another_thread_ends_on_this_one(qtbot, collector):
    collector.settle()
    ended_on: list[int] = []

    def litter() -> None:
        for _ in range(3 * gc.get_threshold()[0]):
            Knot(ended_on)

    thread = threading.Thread(target=litter)
    thread.start()
    thread.join()
    assert not ended_on, "nothing is collected where it was made"
    qtbot.waitUntil(lambda: bool(ended_on))
    assert set(ended_on) == {threading.get_ident()}


def test_the_automatic_collector_comes_back(collector):
    assert not gc.isenabled()
    collector.stop()
    assert gc.isenabled()
