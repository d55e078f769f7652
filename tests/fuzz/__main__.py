"""`python -m tests.fuzz FORMAT|all N [SEED]`: N damaged files of a format, or of each.

What is found stands in a traceback with the seed that makes the same file again.
"""

from __future__ import annotations

import resource
import sys
import time
from random import Random

from tests.fuzz.formats import FORMATS, try_one


def main(arguments: list[str]) -> int:
    """Run, and say per format how many opened, how many were refused, and what it took."""
    if len(arguments) not in (2, 3) or arguments[0] not in ("all", *FORMATS):
        print(f"python -m tests.fuzz all|{'|'.join(FORMATS)} N [SEED]", file=sys.stderr)
        return 2
    names = list(FORMATS) if arguments[0] == "all" else arguments[:1]
    count, first = int(arguments[1]), int((arguments[2:] or ["0"])[0])
    found = 0
    for name in names:
        opened, slowest_s = 0, 0.0
        for seed in range(first, first + count):
            began = time.process_time()
            try:
                opened += try_one(name, Random(f"{name} {seed}"))
            except Exception as error:
                found += 1
                print(f"{name} {seed}: {type(error).__name__}: {str(error)[:300]}", flush=True)
            slowest_s = max(slowest_s, time.process_time() - began)
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{name}: {count} files, {opened} opened, {count - opened} refused, slowest "
            f"{slowest_s:.2f} s of the processor, peak memory so far {peak_mb:.0f} MB",
            flush=True,
        )
    print(f"{found} found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
