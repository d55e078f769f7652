"""Which engine is the fastest, found out step by step."""

from __future__ import annotations

import pytest

from r2l_core.checkpoints.opening import load_light_field, save_light_field
from r2l_core.engines import backends, choice
from r2l_core.engines.contest import Contest
from r2l_core.engines.reference import ReferenceEngine
from r2l_core.errors import EngineError
from r2l_core.types import Availability, Precision


class Rival:
    """The reference under another name."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def available(self, precision, device):
        return Availability(precision is Precision.FP32 and device == "cpu")

    def build(self, light_field, precision, device):
        if self._error is not None:
            raise self._error
        return ReferenceEngine(light_field)


@pytest.fixture
def contest(monkeypatch, make_light_field, tmp_path):
    """A contest of engines that need these seconds for a preview."""

    def make(seconds, before="usual", broken=()):
        path = tmp_path / "it.safetensors"
        save_light_field(make_light_field(), path)
        light_field = load_light_field(str(path))
        failure = EngineError("It failed", "it is broken")
        rivals = {name: Rival(failure if name in broken else None) for name in seconds}
        monkeypatch.setattr(backends, "ENGINES", rivals)
        names = iter(name for name in seconds if name not in broken)

        class Watch:
            def __init__(self, *_):
                self._name = next(names)

            def seconds(self):
                return seconds[self._name]

        monkeypatch.setattr(choice, "Stopwatch", Watch)
        return Contest(light_field, Precision.FP32, before, "cpu")

    return make


@pytest.mark.parametrize(
    ("other", "taken"), [(0.5, "other"), (0.95, "usual"), (1.0, "usual"), (3.0, "usual")]
)
def test_only_what_is_clearly_faster_takes_over(contest, other, taken):
    one = contest({"usual": 1.0, "other": other})
    assert one.needed
    steps = list(one.steps(lambda: True))
    assert steps[0] == "building usual, 1 of 2"
    assert one.outcome is not None
    assert (one.outcome.before, one.outcome.engine) == ("usual", taken)
    assert one.outcome.speedup == pytest.approx(1 / other if taken == "other" else 1)
    assert not one.needed, "it is remembered"


def test_a_disturbed_measurement_is_made_again(contest):
    one = contest({"usual": 1.0, "other": 2.0})
    answers = iter([False, False])
    steps = list(one.steps(lambda: next(answers, True)))
    assert steps.count("timing usual, turn 1 of 3") == 3
    assert one.outcome is not None


def test_what_cannot_be_built_has_lost_and_is_tried_again_next_time(contest):
    one = contest({"usual": 1.0, "other": 0.1}, broken=("other",))
    list(one.steps(lambda: True))
    assert one.outcome is not None
    assert (one.outcome.engine, one.outcome.speedup) == ("usual", 1.0)
    assert one.needed


def test_one_engine_alone_needs_no_contest(contest):
    assert not contest({"usual": 1.0}).needed
