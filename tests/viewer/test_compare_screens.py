"""The whole window in every way of comparing, on usual and on fine screens.

The pictures stay in out/screens, to be looked at.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("compare_screens.py")
OUT = Path(__file__).resolve().parents[2] / "out" / "screens"


FIRST_HOUR = [
    *("01-first-look", "02-keys", "03-fitted", "04-pair", "05-mix", "06-layers", "07-dataset"),
    *("07-truths", "08-reasons", "09-waiting", "10-added", "10-saved", "11-filming", "11-record"),
    *("11-closing", "12-flip-scale", "13-typed", "refining"),
]
"""See `first_hour_screens`."""
VIEWS = ["single", "side4", "light-fields", "wipe", "flip", "difference", "values"]


@pytest.mark.parametrize(
    ("folder", "factor", "size", "schemes", "views"),
    [
        ("720p", 1, (1280, 720), ["dark", "light"], VIEWS),
        ("4k", 2, (1920, 1080), ["dark"], ["side4", "difference", *FIRST_HOUR]),
        ("1600x1000", 1, (1600, 1000), ["dark"], FIRST_HOUR),
        ("1024x640", 1, (1024, 640), ["dark"], FIRST_HOUR),
        ("2560x1440", 1, (2560, 1440), ["dark"], FIRST_HOUR),
    ],
)
def test_no_text_is_cut_off(folder, factor, size, schemes, views):
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "QT_SCALE_FACTOR": str(factor)}
    command = [sys.executable, str(SCRIPT), str(OUT / folder), "--size", f"{size[0]}x{size[1]}"]
    command += ["--schemes", *schemes, "--only", *views]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    # The script names every text that has not enough room.
    assert ran.stdout == ""
    for name in (f"{scheme}-{view}.png" for scheme in schemes for view in views):
        shape = iio.improps(OUT / folder / name).shape
        assert shape[:2] == (size[1] * factor, size[0] * factor)
