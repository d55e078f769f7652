"""One slot a kind, the latest wins, and a reader that sleeps until there is something."""

from __future__ import annotations

import queue
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2l_core.geometry.camera import Camera
from r2l_core.render.frames import RenderRequest
from tests.viewer.states import wanted
from viewer.rendering.mailbox import Mailbox, Work
from viewer.state.resolve import Wish

CAMERA = Camera(np.eye(4), 8, 8, 10.0)
WISHES = [wanted("a"), wanted("b")]
REQUESTS = [RenderRequest(seq, CAMERA) for seq in range(3)]


def test_the_latest_of_each_kind_wins():
    mailbox = Mailbox()
    for request in REQUESTS:
        mailbox.submit(request)
    for wish in WISHES:
        mailbox.want(wish)
    mailbox.measure(CAMERA)
    mailbox.exact(CAMERA)
    assert mailbox.take() == Work(WISHES[-1], REQUESTS[-1], CAMERA, CAMERA)


@pytest.mark.parametrize(
    "write",
    [
        lambda mailbox: mailbox.want(WISHES[0]),
        lambda mailbox: mailbox.submit(REQUESTS[0]),
        lambda mailbox: mailbox.measure(CAMERA),
        lambda mailbox: mailbox.exact(CAMERA),
    ],
    ids=["wish", "request", "measure", "exact"],
)
def test_pending_until_taken(write):
    mailbox = Mailbox()
    assert not mailbox.pending()
    write(mailbox)
    assert mailbox.pending()
    mailbox.take()
    assert not mailbox.pending()


def test_once_stopped_there_is_no_more_work():
    mailbox = Mailbox()
    mailbox.submit(REQUESTS[0])
    mailbox.stop()
    assert mailbox.pending(), "the running render has to end"
    assert mailbox.take() is None
    mailbox.submit(REQUESTS[1])
    assert mailbox.take() is None


@pytest.mark.parametrize("stop", [False, True])
def test_a_sleeping_reader_is_woken(stop):
    mailbox = Mailbox()
    taken: queue.Queue[Work | None] = queue.Queue()
    reader = threading.Thread(target=lambda: taken.put(mailbox.take()))
    reader.start()
    if stop:
        mailbox.stop()
    else:
        mailbox.submit(REQUESTS[0])
    assert taken.get(timeout=300) == (None if stop else Work(request=REQUESTS[0]))
    reader.join(30)
    assert not reader.is_alive()


@given(st.lists(st.sampled_from([*WISHES, *REQUESTS, CAMERA, None]), max_size=20))
def test_what_is_taken_is_the_last_of_each_kind_since_the_last_time(events):
    mailbox, expected = Mailbox(), {}
    for event in events:
        if isinstance(event, Wish):
            mailbox.want(event)
            expected["wish"] = event
        elif isinstance(event, RenderRequest):
            mailbox.submit(event)
            expected["request"] = event
        elif isinstance(event, Camera):
            mailbox.measure(event)
            expected["measure"] = event
        elif expected:  # a reader would sleep otherwise
            assert mailbox.take() == Work(**expected)
            expected = {}
    assert mailbox.pending() == bool(expected)
