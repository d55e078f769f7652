"""Work that would hold Python's lock for long, in a process of its own.

Some libraries keep the lock while they calculate: NVIDIA's FLIP takes a quarter of a second for
400 x 400 pixels, in which neither the window's thread nor the renderer's could go on.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from r2l_core.errors import R2LError
from viewer.runtime import lower_thread_priority

Answer = TypeVar("Answer")


class HelperProcess:
    """One helper process, started when it is first needed. It ends with this one, however this one
    ends: nothing else holds the other side of its connection."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._closed = False

    def call(self, function: Callable[..., Answer], *arguments: Any) -> Answer:
        """What `function`, of any module, answers; it and everything else has to be picklable.

        By one thread at a time. Raises what the function raises, and R2LError where the process
        ended over it or was closed.
        """
        try:
            connection = self._connected()
            connection.send((function, arguments))
            good, answer = connection.recv()
        except (OSError, EOFError) as error:
            self._end()
            raise R2LError(
                "The pictures could not be measured",
                f"the helper process ended ({error or 'without a word'})",
                "Try again; if memory ran out, close other programs.",
            ) from error
        if not good:
            raise answer
        result: Answer = answer
        return result

    def close(self) -> None:
        """End the process, and with it what it is doing. From any thread."""
        self._closed = True
        self._end()

    def _connected(self) -> Connection:
        with self._lock:
            if self._closed:
                raise EOFError("closed")
            if self._process is None or self._connection is None:
                context = multiprocessing.get_context("spawn")
                self._connection, theirs = context.Pipe()
                self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
                self._process.start()
                theirs.close()
            return self._connection

    def _end(self) -> None:
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._process.join()
                self._process = self._connection = None


def _serve(connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the window
    lower_thread_priority()
    while True:
        try:
            function, arguments = connection.recv()
        except EOFError:
            return
        try:
            answer: tuple[bool, Any] = True, function(*arguments)
        except Exception as error:
            answer = False, error
        connection.send(answer)
