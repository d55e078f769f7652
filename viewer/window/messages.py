"""Errors into words for the message bar and the terminal."""

from __future__ import annotations

from dataclasses import dataclass

from r2l_core.errors import R2LError, plain


@dataclass(frozen=True)
class Message:
    """What went wrong, why, and what to do about it."""

    what: str
    why: str
    remedy: str


def describe(error: BaseException) -> Message:
    """Words for any error; unexpected ones say so and ask for a report."""
    if isinstance(error, R2LError):
        return Message(error.what, error.why, error.remedy)
    return Message(
        "Something unexpected happened",
        plain(f"{type(error).__name__}: {error}"),
        "The viewer goes on. Please report this with the details from the button.",
    )
