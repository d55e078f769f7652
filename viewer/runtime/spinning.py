"""How long OpenMP's idle threads, torch's workers, keep a processor to themselves."""

from __future__ import annotations

import os

_SPINS = "50000"
"""About 0.5 ms: longer than the step from one layer to the next, even where another thread has
Python's lock, and shorter than what anybody else would miss. GNU's default is 3 ms after every
operation: the next engine of a comparison ran at half its speed, and three panes had 27 to 32
pictures a second instead of 32 to 34."""


def spin_briefly() -> None:
    """Have idle workers sleep soon, unless the user has said how long they wait.

    Only before torch is loaded: the library reads this once.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)
