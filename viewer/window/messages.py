"""Errors into words for the message bar and the terminal."""

from __future__ import annotations

from r2l_core.errors import R2LError, plain


def describe(error: BaseException) -> R2LError:
    """What went wrong, why, and what to do; an error that nobody expected asks for a report."""
    if isinstance(error, R2LError):
        return error
    return R2LError(
        "Something unexpected happened",
        plain(f"{type(error).__name__}: {error}"),
        "The viewer goes on. Please report this with the details from the button.",
    )
