"""The worst files of up to 16 MB, opened in a window: memory stays below the limit, the window's
own thread goes on, and another light field can be opened while they are, or afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from r2l_core.checkpoints.opening import save_light_field
from r2l_core.geometry.scene import SceneSpec
from r2l_core.model.light_field import LightField
from r2l_core.model.network import NetworkConfig
from tests.core.test_resources import KINDS, LARGEST_BYTES, MOST_MB, MOST_SECONDS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MOST_BLOCKED_S = 3.0
"""Of the processor, between two looks at what a person does; a path of 10,000 keys takes one."""

SCRIPT = """
import json, os, re, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from PyQt6.QtCore import QSettings
from PyQt6.QtWidgets import QApplication
from r2l_core.types import Precision
from viewer.app import App
from viewer.state.panes import PaneChoice
from viewer.state.view_state import LightFieldChoice, ViewState
from viewer.widgets import theme

small, worst, at_once = sys.argv[1], sys.argv[2], sys.argv[3] == "at once"
qt = QApplication(sys.argv[:1])
theme.install(qt)
settings = QSettings(str(Path(small).with_name("s.ini")), QSettings.Format.IniFormat)
app = App(ViewState(LightFieldChoice(small), (PaneChoice(Precision.FP32),)), settings)
app.start()
window, blocked_s = app.window, 0.0

def until(what):
    global blocked_s
    while not what():
        began = time.thread_time()
        qt.processEvents()
        blocked_s = max(blocked_s, time.thread_time() - began)
        time.sleep(0.002)

def shows(path):
    running, frames = app.rendering.running, window.pane.frames
    return (
        running is not None
        and running.wish.light_field.checkpoint == path
        and bool(frames)
        and frames[0].epoch == running.epoch
    )

until(lambda: shows(small))
blocked_s, began_s = 0.0, time.process_time()
app.files.open(worst)
if not at_once:
    until(
        lambda: window.message.isVisible() or app.store.state.path is not None or shows(worst)
    )
app.files.open(small)
until(lambda: shows(small) and app.store.state.light_field.checkpoint == small)
peak_kb = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
said = {"peak_mb": peak_kb / 1024, "s": time.process_time() - began_s, "blocked_s": blocked_s}
print(json.dumps(said), flush=True)
os._exit(0)
"""


def small_light_field(path: Path) -> Path:
    config = NetworkConfig(depth=4, width=16, n_sample=4, n_frequencies=3)
    tensors = {name: torch.randn(shape) * 0.3 for name, shape in config.tensor_shapes().items()}
    scene = SceneSpec("small", width_px=48, height_px=48)
    save_light_field(LightField("small", config, scene, tensors), path)
    return path


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is counted otherwise here")
@pytest.mark.parametrize(
    ("kind", "when"),
    [
        *((kind, "afterwards") for kind in ("wide", "features", "keyframes", "lists")),
        *((kind, "at once") for kind in ("features", "keyframes")),
    ],
)
def test_the_window_with_the_worst_of_a_kind(tmp_path, kind, when):
    name, _, make = KINDS[kind]
    torch.manual_seed(0)
    worst = make(tmp_path / name)
    assert worst.stat().st_size <= LARGEST_BYTES
    small = small_light_field(tmp_path / "small.safetensors")
    homes = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, small, worst, when],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={
            **os.environ,
            "QT_QPA_PLATFORM": "offscreen",
            "OMP_NUM_THREADS": "1",
            **dict.fromkeys(homes, str(tmp_path)),
        },
    )
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout.splitlines()[-1])
    assert measured["peak_mb"] < MOST_MB
    assert measured["s"] < MOST_SECONDS
    assert measured["blocked_s"] < MOST_BLOCKED_S
