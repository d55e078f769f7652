"""Threads that help with a call of the kernel, shared by all engines of the process.

ctypes releases the interpreter's lock during a call, so that Python's own threads run in parallel.
The caller starts at once and works itself; a helper that comes late finds less to do, or nothing.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue


class _Job:
    """Work that helpers may join until its owner has closed it."""

    def __init__(self, work: Callable[[int], None]) -> None:
        self._work = work
        self._changed = threading.Condition()
        self._closed = False
        self._inside = 0

    def join(self, number: int) -> None:
        """Help, as worker `number`, unless it is over."""
        with self._changed:
            if self._closed:
                return
            self._inside += 1
        try:
            self._work(number)
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify()

    def close(self) -> None:
        """Let nobody in any more, and wait for those who are."""
        with self._changed:
            self._closed = True
            while self._inside:
                self._changed.wait()


_queue: SimpleQueue[tuple[_Job, int]] = SimpleQueue()
_started: list[threading.Thread] = []
_starting = threading.Lock()


def usable_processors() -> int:
    """How many this process may run on: in a container, or by `taskset`, fewer than there are."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def work_together(n_threads: int, work: Callable[[int], None]) -> None:
    """Call `work(0)` here and `work(1)` to `work(n_threads - 1)` on other threads, if they come in
    time; return when all are done. Each call of `work` has to end when there is nothing left."""
    if n_threads == 1:
        work(0)
        return
    job = _Job(work)
    _have(n_threads - 1)
    for number in range(1, n_threads):
        _queue.put((job, number))
    try:
        work(0)
    finally:
        job.close()


def _have(n_threads: int) -> None:
    if len(_started) >= n_threads:
        return
    with _starting:
        while len(_started) < n_threads:
            thread = threading.Thread(target=_serve, name="r2l-fused", daemon=True)
            thread.start()
            _started.append(thread)


def _serve() -> None:
    while True:
        job, number = _queue.get()
        job.join(number)
        del job  # it holds on to a light field's weights
