"""Priority of threads that compute."""

from __future__ import annotations

import os
import sys
import threading

_NICENESS = 10
"""Added to a thread's niceness, so that the window gets a busy processor first."""


def be_polite() -> None:
    """Let the window go first from now on, whatever the calling thread computes."""
    # On Linux niceness belongs to a thread, and torch's own workers inherit it from this one.
    if sys.platform == "linux":
        thread = threading.get_native_id()
        # The system cuts off what exceeds its range.
        niceness = os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS
        os.setpriority(os.PRIO_PROCESS, thread, niceness)
