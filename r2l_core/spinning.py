"""How long OpenMP's idle threads, torch's workers, keep a processor to themselves."""

from __future__ import annotations

import os

_SPINS = "10000"
"""About 0.1 ms: longer than the step from one layer to the next, and shorter than what anybody else
would miss. GNU's default is 3 ms after every operation, in which a window waits to be painted and
another engine runs at half its speed."""


def spin_briefly() -> None:
    """Have idle workers sleep soon, unless the user has said how long they wait.

    Only before torch is loaded: the library reads this once.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)
