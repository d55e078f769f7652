"""Who writes a recording, so that nobody completes what another process still writes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import psutil

_SAME_S = 0.5
"""Two processes of one number do not begin closer than this; clocks differ by less."""


def this_process() -> dict[str, float]:
    """For a sidecar: number of this process, and when it began, as Unix time."""
    return {"pid": os.getpid(), "started_s": psutil.Process().create_time()}


def other_writer(owner: Mapping[str, Any]) -> int | None:
    """The number of the process that a sidecar names, if that is not this one and still runs."""
    pid, started_s = owner.get("pid"), owner.get("started_s")
    if type(pid) is not int or not isinstance(started_s, int | float) or pid == os.getpid():
        return None
    try:
        runs = abs(psutil.Process(pid).create_time() - started_s) < _SAME_S
    except (psutil.Error, ValueError, OverflowError):
        return None
    return pid if runs else None
