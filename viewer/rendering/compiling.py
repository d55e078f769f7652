"""Large sources are compiled by a process of its own: Python's compiler has Python's lock from
beginning to end, a tenth of a second for the largest ones of torch, and the window waits for it.

It happens on the first start after an installation that compiled nothing, and on every start where
compiled files may not be written.
"""

from __future__ import annotations

import marshal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from types import CodeType
from typing import Any

_LARGE_BYTES = 30_000
"""About 10 ms."""
_PROGRAM = """
import marshal, sys
while size := sys.stdin.buffer.read(8):
    asked = marshal.loads(sys.stdin.buffer.read(int.from_bytes(size, "little")))
    source, path, level = asked
    code = marshal.dumps(compile(source, path, "exec", dont_inherit=True, optimize=level))
    sys.stdout.buffer.write(len(code).to_bytes(8, "little") + code)
    sys.stdout.buffer.flush()
"""


@contextmanager
def large_sources_elsewhere() -> Iterator[None]:
    """Within it, imports of any thread keep the others waiting for small sources only."""
    compiler = _Compiler()
    here: Any = SourceFileLoader.source_to_code

    def source_to_code(self: SourceFileLoader, data: bytes, path: str, **how: Any) -> CodeType:
        code = compiler.compiled(data, path) if len(data) > _LARGE_BYTES else None
        return here(self, data, path, **how) if code is None else code

    SourceFileLoader.source_to_code = source_to_code  # type: ignore
    try:
        yield
    finally:
        SourceFileLoader.source_to_code = here  # type: ignore[method-assign]
        compiler.close()


class _Compiler:
    """The process, from the first source on, for one import after the other."""

    def __init__(self) -> None:
        self._one = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._lost = not sys.executable or getattr(sys, "frozen", False)

    def compiled(self, source: bytes, path: str) -> CodeType | None:
        """A module's code; None where it is to be compiled here, errors in it among the reasons."""
        with self._one:
            if self._lost:
                return None
            try:
                if self._process is None:
                    self._process = _start()
                asked = marshal.dumps((source, path, sys.flags.optimize))
                code = _answer(self._process, asked)
            except (OSError, EOFError, ValueError, TypeError):
                self._lost = True
                return None
        return code

    def close(self) -> None:
        """End the process, where one was started."""
        with self._one:
            self._lost = True
            if self._process is not None:
                self._process.kill()
                self._process.communicate()


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-W", "ignore", "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Windows would open a terminal for it.
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


def _answer(process: subprocess.Popen[bytes], asked: bytes) -> CodeType:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(len(asked).to_bytes(8, "little") + asked)
    process.stdin.flush()
    size = int.from_bytes(process.stdout.read(8), "little")
    # Of nothing, where the process has ended over it, EOFError is raised here.
    code = marshal.loads(process.stdout.read(size))
    assert isinstance(code, CodeType)
    return code
