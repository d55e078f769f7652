"""One viewer of `tests.soak`: drives its own window until it is ended."""

from __future__ import annotations

import json
import sys
from functools import partial
from itertools import count, cycle
from pathlib import Path

import torch
from PyQt6.QtCore import QSettings, QTimer
from PyQt6.QtWidgets import QApplication

from r2l_core.camera_paths.camera_path import CameraPath, Keyframe
from r2l_core.camera_paths.files import save_camera_path
from r2l_core.checkpoints.opening import save_light_field
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.scene import SceneSpec
from r2l_core.model.light_field import LightField
from r2l_core.model.network import NetworkConfig
from r2l_core.types import Precision
from tests.viewer.small_datasets import write_views
from viewer.app import App
from viewer.state.panes import PaneChoice
from viewer.state.view_state import LightFieldChoice, ViewState
from viewer.widgets import theme

_STEP_MS = 400


def _light_field(folder: Path, seed: int) -> str:
    config = NetworkConfig(depth=6, width=32, n_sample=4, n_frequencies=3)
    torch.manual_seed(seed)
    tensors = {name: torch.randn(shape) * 0.3 for name, shape in config.tensor_shapes().items()}
    path = folder / f"field{seed}.safetensors"
    scene = SceneSpec("soak", width_px=96, height_px=96)
    save_light_field(LightField("soak", config, scene, tensors), path)
    return str(path)


def main(folder: Path) -> int:
    """Open a window and go through the same steps for ever."""
    fields = [_light_field(folder, seed) for seed in range(3)]
    dataset = write_views(folder / "photographs")
    keys = tuple(Keyframe(Orbit(30.0 * k, 20.0, 4.0).T_world_camera(), 40.0) for k in range(5))
    save_camera_path(CameraPath(keys), folder / "path.json")
    (folder / "damaged.safetensors").write_bytes(b"damaged")
    (folder / "damaged.json").write_text(json.dumps({"format": "r2l-session"}))
    qt = QApplication(sys.argv[:1])
    theme.install(qt)
    settings = QSettings(str(folder / "settings.ini"), QSettings.Format.IniFormat)
    app = App(ViewState(LightFieldChoice(fields[0]), (PaneChoice(Precision.FP32),)), settings)
    app.start()
    films = count()

    def film() -> None:
        """Begin to film the window, or end it."""
        if app.live_capture.running:
            app.live_capture.stop()
        else:
            path = folder / f"seen{next(films) % 3}.mp4"
            # A film replaces none.
            for ending in (".mp4", ".json", ".csv"):
                path.with_suffix(ending).unlink(missing_ok=True)
            app.live_capture.start(str(path))

    steps = cycle(
        [
            *(partial(app.files.open, one) for one in fields),
            lambda: app.compare.choose_precision(Precision.BF16),
            lambda: app.compare.choose_precision(Precision.INT8_SIM),
            lambda: app.compare.choose_precision(Precision.FP32),
            film,
            lambda: app.files.open(str(dataset)),
            lambda: app.dataset.step(1),
            lambda: app.files.open(str(folder / "path.json")),
            lambda: app.files.open(str(folder / "damaged.safetensors")),
            lambda: app.files.open(str(folder / "damaged.json")),
            lambda: app.sessions.save(str(folder / "session.json")),
            lambda: app.files.open(str(folder / "session.json")),
            lambda: app.saving.save_picture(str(folder / f"{next(films) % 3}.png")),
            *(lambda: app.gestures.orbit_dragged(5.0, 2.0) for _ in range(5)),
            film,
        ]
    )
    timer = QTimer()
    timer.timeout.connect(lambda: next(steps)())
    timer.start(_STEP_MS)
    return qt.exec()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
