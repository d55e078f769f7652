"""`python -m tests.soak [MINUTES]`: everything over and over, and whether anything grows.

Two viewers at once, each of which opens light fields and datasets, drags, changes precisions,
compares, records a film of the window and opens what is damaged. Every half minute it says memory,
threads and open files of the processes, and at the end whether the last third is above the
middle one by more than a tenth. Needs no display. Not part of the tests.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
_EVERY_S = 30.0
_GROWTH = 0.1


def main(arguments: list[str]) -> int:
    """Run for some minutes (10); exit code 1 where something grows or a viewer ends."""
    minutes = float(arguments[0]) if arguments else 10.0
    with tempfile.TemporaryDirectory() as folder:
        viewers = [_viewer(Path(folder) / str(number)) for number in range(2)]
        samples: list[tuple[float, float, float]] = []
        ends = time.monotonic() + 60 * minutes
        try:
            while time.monotonic() < ends:
                time.sleep(_EVERY_S)
                if any(viewer.poll() is not None for viewer in viewers):
                    print("a viewer has ended")
                    return 1
                samples.append(_sample(viewers))
                memory_mb, threads, files = samples[-1]
                print(f"{memory_mb:.0f} MB, {threads:.0f} threads, {files:.0f} files", flush=True)
        finally:
            for viewer in viewers:
                viewer.terminate()
                viewer.wait()
    return _verdict(samples)


def _viewer(folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir()
    environment = {
        **os.environ,
        "QT_QPA_PLATFORM": "offscreen",
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        "XDG_CACHE_HOME": str(folder),
        "PYTHONPATH": str(ROOT),
    }
    script = [sys.executable, "-m", "tests.soak_viewer", str(folder)]
    return subprocess.Popen(script, cwd=ROOT, env=environment)


def _sample(viewers: list[subprocess.Popen[bytes]]) -> tuple[float, float, float]:
    """Memory in MB, threads and open files of all viewers."""
    processes = [psutil.Process(viewer.pid) for viewer in viewers]
    memory = sum(process.memory_full_info().uss for process in processes) / 1e6
    threads = sum(process.num_threads() for process in processes)
    files = sum(process.num_fds() for process in processes)
    return memory, threads, files


def _verdict(samples: list[tuple[float, float, float]]) -> int:
    third = len(samples) // 3
    if third == 0:
        print("too short to say")
        return 1
    grown = 0
    for name, values in zip(
        ("memory", "threads", "files"), zip(*samples, strict=True), strict=True
    ):
        # The first minutes load what is loaded once.
        early, late = (
            statistics.median(values[third : 2 * third]),
            statistics.median(values[-third:]),
        )
        flat = late <= early * (1 + _GROWTH) + 2
        grown += not flat
        print(f"{name}: {early:.0f} in the middle third, {late:.0f} in the last: "
              f"{'flat' if flat else 'GROWS'}")  # fmt: skip
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
