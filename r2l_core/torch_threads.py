"""Keeping torch's threads out of the way of what does better without them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def one_torch_thread() -> Iterator[None]:
    """Keep torch's workers asleep: after an operation they spin for a while, and that would take a
    quarter of the speed from a backend that wants the same processors."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
