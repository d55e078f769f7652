"""Nothing leaves the machine, and nothing is written but into folders of our own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import json, sys
from pathlib import Path

seen = []

def hook(event, arguments):
    if event.startswith("socket.") and event != "socket.gethostname":
        seen.append([event, repr(arguments)[:200]])
    if event == "open" and isinstance(arguments[0], str):
        path, mode, flags = arguments
        if (mode and set(mode) & set("wax+")) or (flags and flags & 3):
            seen.append(["write", path])

sys.addaudithook(hook)
from r2l_core.checkpoints.opening import load_light_field
from r2l_core.engines.backends import ENGINES, devices
from r2l_core.engines.building import build_engine
from r2l_core.types import Precision

light_field = load_light_field(sys.argv[1])
built = []
for name, factory in ENGINES.items():
    for precision in Precision:
        for device in devices("auto"):
            if factory.available(precision, device).available:
                build_engine(light_field, precision, name, device)
                built.append(f"{name} {precision}")
build_engine(light_field, Precision.FP32)
print(json.dumps({"seen": seen, "built": built}))
"""


@pytest.mark.slow
def test_building_every_engine(light_field_file, user_dirs):
    """In a process of its own, whose every opened socket and written file is seen."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(light_field_file)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert any(name.startswith("openvino ") for name in told["built"])
    assert [one for one in told["seen"] if one[0] != "write"] == []
    ours = {"r2l-viewer", "r2l_viewer", "torch_extensions", "triton"}
    written = [Path(path) for what, path in told["seen"] if what == "write"]
    strange = [
        path
        for path in written
        if path.is_relative_to(user_dirs) and not ours & set(path.relative_to(user_dirs).parts)
    ]
    assert strange == []
    left = [path for path in user_dirs.rglob("*") if path.is_file()]
    assert all(ours & set(path.relative_to(user_dirs).parts) for path in left), left
