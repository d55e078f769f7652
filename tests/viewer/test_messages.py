"""Errors in words: what, why and what to do."""

from __future__ import annotations

import pytest

from r2l_core.errors import CheckpointError, EngineUnavailable, RecordingError
from viewer.window.messages import Message, describe


@pytest.mark.parametrize("kind", [CheckpointError, EngineUnavailable, RecordingError])
def test_expected_errors_speak_for_themselves(kind):
    assert describe(kind("What", "why", "Do this.")) == Message("What", "why", "Do this.")


def test_a_remedy_may_be_missing():
    assert describe(CheckpointError("What", "why")) == Message("What", "why", "")


def test_unexpected_errors_ask_for_a_report():
    message = describe(ZeroDivisionError("division by zero"))
    assert message.what == "Something unexpected happened"
    assert message.why == "ZeroDivisionError: division by zero"
    assert "report" in message.remedy
