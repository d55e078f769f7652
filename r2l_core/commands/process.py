"""What a command lives in: its streams, its working directory, and the signals that end it.

Standard streams may be closed, full, or read by nobody any more: a command's work does not depend
on who reads along. The film is made although `| true` has gone, and a full disk under the standard
output is one error at the end. What is asked to end closes what it writes in good order.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TextIO, cast

from r2l_core.errors import R2LError, shown, system_reason


class _Patient(io.TextIOBase):
    """A stream to write to that never fails, and shows no character that steers a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.problem: OSError | None = None
        """What went wrong first; from then on everything is dropped."""

    def write(self, text: str) -> int:
        """Write as much as can be."""
        self._try(lambda: self._stream.write("".join(map(_kept, text))))
        return len(text)

    def flush(self) -> None:
        """Flush what was written."""
        self._try(self._stream.flush)

    def isatty(self) -> bool:
        """Whether a person sees it."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """See io.IOBase.fileno."""
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """See io.TextIOBase.encoding."""
        return self._stream.encoding

    def _try(self, action: object) -> None:
        try:
            action()  # type: ignore[operator]
        except OSError as problem:
            self.problem = self.problem or problem
            # What is buffered goes nowhere, or the interpreter would complain in the end.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


def _kept(character: str) -> str:
    return character if character in "\n\r\t" else shown(character)


def prepare_streams() -> None:
    """Make the standard streams patient. Where one was closed, it leads nowhere: the next file that
    is opened would take its place, and get what libraries print."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end
        # Whoever has put another stream there, such as a test, wants it as it is.
        if isinstance(stream, io.TextIOWrapper) and stream is getattr(sys, f"__{name}__", stream):
            stream.reconfigure(errors="backslashreplace")
            stream = cast("TextIO", _Patient(stream))
        setattr(sys, name, stream)


def lost_output() -> str | None:
    """Why what was printed could not be kept; None where it was, or nobody wanted to read on."""
    sys.stdout.flush()
    problem = getattr(sys.stdout, "problem", None)
    if problem is None or problem.errno == errno.EPIPE:
        return None
    return system_reason(problem)


def require_working_directory() -> None:
    """Refuse to run in a folder that is gone: every relative path would lead nowhere."""
    try:
        os.getcwd()
    except OSError as error:
        raise R2LError(
            "Nothing can be done here", "the working directory was deleted", "Go to another folder."
        ) from error


@contextmanager
def stop_flag() -> Iterator[Callable[[], bool]]:
    """A flag that Ctrl+C or a polite end sets, so that what is written is closed in good order; a
    second one ends at once."""
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()
        signal.signal(number, before[number])

    before: dict[int, Any] = {
        number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)
    }
    for number in before:
        signal.signal(number, stop)
    try:
        yield stopped.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
