"""Errors in words: what, why and what to do."""

from __future__ import annotations

import pytest

from r2l_core.errors import CheckpointError, EngineUnavailable, RecordingError
from viewer.window.messages import describe


@pytest.mark.parametrize("kind", [CheckpointError, EngineUnavailable, RecordingError])
def test_expected_errors_speak_for_themselves(kind):
    error = kind("What", "why", "Do this.")
    assert describe(error) is error


def test_unexpected_errors_ask_for_a_report():
    message = describe(ZeroDivisionError("division by zero"))
    assert message.what == "Something unexpected happened"
    assert message.why == "ZeroDivisionError: division by zero"
    assert "report" in message.remedy
