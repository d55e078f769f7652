"""Which steps are one entry, and what undo and redo give back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from r2l_core.geometry.orbit import Orbit
from viewer.camera.history import BURST_S, LIMIT, CameraHistory
from viewer.state.viewpoint import Viewpoint


def view(azimuth_deg: float) -> Viewpoint:
    return Viewpoint(Orbit(azimuth_deg, 0.0, 4.0), 40.0)


def test_there_is_nothing_to_undo_at_first():
    history = CameraHistory()
    assert not history.can_undo
    assert not history.can_redo
    assert history.undo(view(0)) is None
    assert history.redo(view(0)) is None


def test_a_burst_ends_with_a_pause_or_another_gesture():
    history = CameraHistory()
    for gesture, at_s, azimuth in (
        ("zoom", 0.0, 0),
        ("zoom", BURST_S, 1),
        ("zoom", 2.1 * BURST_S, 2),
        ("turn", 2.2 * BURST_S, 3),
    ):
        history.before(gesture, view(azimuth), at_s)
    assert [history.undo(view(9)), history.undo(view(3)), history.undo(view(2))] == [
        view(3),
        view(2),
        view(0),
    ]


def test_what_happens_during_a_held_gesture_is_part_of_it():
    history = CameraHistory()
    history.hold("drag", view(0), 0.0)
    history.hold("fly", view(1), 5.0)
    history.before("zoom", view(2), 50.0)
    history.release("drag", 60.0)
    history.before("zoom", view(3), 70.0)
    history.release("fly", 80.0)
    history.before("zoom", view(4), 90.0)
    assert history.undo(view(5)) == view(4)
    assert history.undo(view(4)) == view(0)
    assert not history.can_undo


def test_what_goes_on_after_an_undo_is_a_move_of_its_own():
    history = CameraHistory()
    history.hold("drag", view(0), 0.0)
    assert history.undo(view(1)) == view(0)
    history.before("turn", view(0), 0.1)
    assert history.undo(view(2)) == view(0)


def test_gestures_that_moved_nothing_are_passed_over():
    history = CameraHistory()
    history.before("jump", view(0), 0.0)
    history.close()
    history.before("jump", view(1), 1.0)
    assert history.undo(view(1)) == view(0)


def test_the_oldest_are_forgotten():
    history = CameraHistory()
    for step in range(LIMIT + 50):
        history.close()
        history.before("jump", view(step), float(step))
    now = view(LIMIT + 50)
    seen = []
    while (earlier := history.undo(now)) is not None:
        seen.append(earlier)
        now = earlier
    assert len(seen) == LIMIT
    assert seen[-1] == view(50)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_redo_undoes_undo(stops):
    history, now = CameraHistory(), view(0)
    for number, azimuth in enumerate(stops):
        history.close()
        history.before("jump", now, float(number))
        now = view(azimuth)
    last, back = now, []
    while (earlier := history.undo(now)) is not None:
        back.append(now)
        now = earlier
    while (later := history.redo(now)) is not None:
        assert later == back.pop()
        now = later
    assert now == last
