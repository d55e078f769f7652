"""Another engine is tried behind the window, and takes over only where it is clearly faster."""

from __future__ import annotations

from dataclasses import replace

import pytest

from r2l_core.engines import backends, choice
from viewer.rendering import contests

pytestmark = pytest.mark.slow


class Other:
    """The lab under another name."""

    def __init__(self, lab) -> None:
        self._lab = lab
        self.available = lab.available

    def build(self, light_field, precision, device):
        engine = self._lab.build(light_field, precision, device)
        engine.info = replace(engine.info, engine="other")
        return engine


@pytest.fixture
def try_others(app, lab, monkeypatch):
    """Has the window try another engine, of which a preview takes this share of the lab's time."""

    def begin(share: float, calm_s: float = 0.0):
        class Watch:
            def __init__(self, engine, _light_field) -> None:
                self._seconds = share if engine.info.engine == "other" else 1.0

            def seconds(self) -> float:
                return self._seconds

        monkeypatch.setattr(choice, "Stopwatch", Watch)
        monkeypatch.setattr(contests, "CALM_S", calm_s)
        monkeypatch.setitem(backends.ENGINES, "other", Other(lab))
        said = []
        app.contests.progress.connect(said.append)
        app.contests.decided.connect(said.append)
        app.contests.begin()
        app.rendering.want(app.store.state)
        return said

    yield begin
    app.contests.close()


def test_a_faster_engine_takes_over_and_the_window_says_so(app, until, try_others):
    notes = []
    app.contests.decided.connect(lambda outcome: notes.append(contests.words(outcome)))
    said = try_others(0.5)
    until(lambda: app.rendering.running.engine.engine == "other")
    assert "other is 2.0 times as fast as lab" in notes[0]
    assert "Is another engine faster? Building other, 2 of 2" in said


def test_an_engine_that_is_hardly_faster_does_not(app, until, try_others):
    said = try_others(0.95)
    until(lambda: bool(said) and said[-1] == "" and len(said) > 1)
    assert app.rendering.running.engine.engine == "lab"


def test_nothing_is_tried_while_pictures_are_made_and_it_can_be_stopped(app, until, try_others):
    said = try_others(0.5, calm_s=1e9)
    until(lambda: bool(said))
    assert said == ["Is another engine faster? Building lab, 1 of 2"]
    app.window.engine.contest_stopped.emit()
    until(lambda: said[-1] == "")
    assert app.rendering.running.engine.engine == "lab"
