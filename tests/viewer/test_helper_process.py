"""The helper process: it answers, it fails in words, and it does not outlive the window."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import psutil
import pytest

from r2l_core.errors import R2LError
from r2l_core.images import metrics
from viewer.compare.helper_process import HelperProcess

pytestmark = pytest.mark.slow


@pytest.fixture
def apart() -> Iterator[HelperProcess]:
    one = HelperProcess()
    yield one
    one.close()


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def until(condition) -> None:
    for _ in range(30_000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("in vain")


def test_it_measures_as_this_process_does(apart):
    images = np.random.default_rng(0).random((2, 32, 24, 3), dtype=np.float32)
    assert apart.call(metrics.compare, *images) == metrics.compare(*images)
    pid = apart.call(os.getpid)
    assert pid != os.getpid()
    assert apart.call(os.getpid) == pid, "one process, started once"


def test_errors_come_back(apart):
    with pytest.raises(ValueError, match="not two"):
        apart.call(metrics.compare, np.zeros((4, 4, 3)), np.zeros((5, 4, 3)))
    assert apart.call(len, "abc") == 3


def test_a_helper_that_ends_is_replaced(apart):
    pid = apart.call(os.getpid)
    os.kill(pid, signal.SIGTERM)
    until(lambda: gone(pid))
    with pytest.raises(R2LError, match="helper process ended"):
        apart.call(os.getpid)
    assert apart.call(os.getpid) != pid


def test_closing_ends_what_it_does(apart, tmp_path):
    pid = apart.call(os.getpid)
    failures: list[Exception] = []
    begun = tmp_path / "begun"
    endless = f"(open({str(begun)!r}, 'x'), __import__('time').sleep(300))"

    def wait() -> None:
        try:
            apart.call(eval, endless)
        except R2LError as error:
            failures.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    until(begun.exists)
    apart.close()
    thread.join(20)
    assert not thread.is_alive()
    assert len(failures) == 1
    assert gone(pid)
    with pytest.raises(R2LError):
        apart.call(os.getpid)


def test_it_ends_with_this_process_however_that_ends():
    script = (
        "import os; from viewer.compare.helper_process import HelperProcess\n"
        "if __name__ == '__main__':\n"
        "    print(HelperProcess().call(os.getpid), flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    until(lambda: gone(int(done.stdout)))
