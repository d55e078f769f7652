"""A tiny light field, and engines whose every tile a test can hold, count or let fail."""

from __future__ import annotations

import gc
import math
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PyQt6 import sip
from PyQt6.QtCore import QSettings, QThreadPool
from torch import Tensor

from r2l_core.checkpoints.opening import save_light_field
from r2l_core.datasets import Dataset
from r2l_core.engines import backends
from r2l_core.engines.base import Shaded
from r2l_core.engines.reference import ReferenceEngine
from r2l_core.geometry.scene import SceneSpec
from r2l_core.model.light_field import LightField
from r2l_core.model.module import R2LNetwork
from r2l_core.model.network import NetworkConfig
from r2l_core.render import renderer
from r2l_core.types import Availability, Precision
from tests.viewer.small_datasets import write_views
from tests.viewer.states import shown
from viewer.app import App
from viewer.compare.helper_process import HelperProcess
from viewer.recording import recording_thread
from viewer.rendering import contests, render_thread
from viewer.state.view_state import ViewState
from viewer.widgets import theme
from viewer.widgets.controls.timers import REAL_TIME, Clock

TIMEOUT_MS = 300_000
"""Generous: it only ends tests that would never end."""

SCENE = SceneSpec("tiny", width_px=64, height_px=64)


@pytest.fixture(scope="session", autouse=True)
def _no_automatic_collector() -> Iterator[None]:
    """It would destroy the Qt objects of ended tests on the render thread of a later one."""
    gc.collect()
    gc.freeze()  # what was imported never goes, and looking through it takes long
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.disable()  # what a test ran to its end has enabled it again
    if gc.get_count()[0] > 2000:
        gc.collect()


class LabEngine(ReferenceEngine):
    """The reference in small tiles, each of which passes the lab's gate."""

    tile_rays = 128

    def __init__(self, lab: Lab, light_field: LightField, precision: Precision) -> None:
        super().__init__(light_field)
        self._lab = lab
        self.info = replace(self.info, engine="lab", precision=precision)

    def shade(self, origins: Tensor, directions: Tensor) -> Shaded:
        """See Engine.shade."""
        self._lab.pass_tile(tuple(origins[0].tolist()))
        return super().shade(origins, directions)


class Lab:
    """Takes the place of all engines. Everything it offers works until told otherwise."""

    def __init__(self) -> None:
        self.unavailable: set[Precision] = set()
        self.build_error: Exception | None = None
        self.shade_error: Exception | None = None
        self.tiles: list[tuple[float, ...]] = []
        """Origin of the first ray of each tile."""
        self.attempts = 0
        """Tiles that were asked for."""
        self.built: list[weakref.ref[LabEngine]] = []
        self.on_build: Callable[[], None] = lambda: None
        self._gate, self._arrived = threading.Event(), threading.Event()
        self._gate.set()

    def available(self, precision: Precision, device: str) -> Availability:
        """See EngineFactory.available."""
        if precision in self.unavailable or device != "cpu":
            return Availability(False, f"the lab has no {precision} on {device}")
        return Availability(True)

    def build(self, light_field: LightField, precision: Precision, device: str) -> LabEngine:
        """See EngineFactory.build."""
        self.on_build()
        if self.build_error is not None:
            raise self.build_error
        engine = LabEngine(self, light_field, precision)
        self.built.append(weakref.ref(engine))
        return engine

    def close_gate(self) -> None:
        """Hold the next tile, and those after it."""
        self._arrived.clear()
        self._gate.clear()

    def open_gate(self) -> None:
        """Let all tiles pass."""
        self._gate.set()

    def wait_for_tile(self) -> None:
        """Return once a tile waits at the closed gate."""
        assert self._arrived.wait(TIMEOUT_MS / 1e3)

    def pass_tile(self, origin: tuple[float, ...]) -> None:
        """Called on the render thread before each tile."""
        self._arrived.set()
        assert self._gate.wait(TIMEOUT_MS / 1e3)
        self.attempts += 1
        if self.shade_error is not None:
            raise self.shade_error
        self.tiles.append(origin)


@pytest.fixture
def lab(monkeypatch) -> Iterator[Lab]:
    """The only engine there is, for every precision on the CPU."""
    lab = Lab()
    monkeypatch.setattr(backends, "ENGINES", {"lab": lab})
    # Which would run on the fused engine.
    monkeypatch.setattr(render_thread, "first_look", lambda _: None)
    # Tiles this small are slower on several threads, and much slower while something else runs.
    # What a contest finds out is remembered by their number, so it takes as many.
    for module in (render_thread, recording_thread, contests):
        monkeypatch.setattr(module, "usable_processors", lambda: 1)
    # A busy machine must not add pictures in the middle of a pass.
    monkeypatch.setattr(renderer, "SHOW_EVERY_S", math.inf)
    yield lab
    lab.open_gate()


@pytest.fixture
def write_light_field(tmp_path) -> Callable[..., str]:
    """Writes `tmp_path/NAME.safetensors`, a random network in `scene`, and returns its path."""

    def make(name: str = "tiny", scene: SceneSpec = SCENE, nan: bool = False) -> str:
        config = NetworkConfig(depth=6, width=16, n_sample=4, n_frequencies=3)
        torch.manual_seed(len(name))
        tensors = {key: tensor.clone() for key, tensor in R2LNetwork(config).state_dict().items()}
        # Random networks are nearly grey all over; pictures shall differ from camera to camera.
        tensors["tail.0.weight"] *= 20.0
        if nan:
            tensors["tail.0.bias"][1] = torch.nan
        path = tmp_path / f"{name}.safetensors"
        save_light_field(LightField(name, config, scene, tensors), path)
        return str(path)

    return make


@pytest.fixture
def write_released(tmp_path) -> Callable[[str], str]:
    """Writes `tmp_path/NAME.tar` as the released code does, which says nothing of its scene."""

    def make(name: str) -> str:
        config = NetworkConfig(depth=6, width=16, n_sample=4, n_frequencies=10)
        torch.manual_seed(len(name))
        weights = OrderedDict(R2LNetwork(config).state_dict())
        torch.save({"network_fn_state_dict": weights}, tmp_path / f"{name}.tar")
        return str(tmp_path / f"{name}.tar")

    return make


@pytest.fixture
def until(qtbot) -> Callable[[Callable[[], bool]], None]:
    """Runs the event loop until a condition holds."""

    def wait(condition: Callable[[], bool]) -> None:
        qtbot.waitUntil(condition, timeout=TIMEOUT_MS)

    return wait


@pytest.fixture
def make_app(qapp, tmp_path, lab, monkeypatch) -> Iterator[Callable[..., App]]:
    """Builds viewers that are not started yet, and closes them in the end. They do not start
    processes: `test_apart.py` does."""
    monkeypatch.setattr(HelperProcess, "call", lambda _, function, *arguments: function(*arguments))
    theme.install(qapp)
    apps: list[App] = []

    def make(
        state: ViewState, dataset: str | None = None, asks: bool = False, clock: Clock = REAL_TIME
    ) -> App:
        settings = QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)
        app = App(state, settings, dataset, asks, clock)
        apps.append(app)
        return app

    yield make
    lab.open_gate()
    for app in apps:
        app.close()
        app.render_thread.stop()
    pool = QThreadPool.globalInstance()
    assert pool is not None
    pool.waitForDone()
    for app in apps:
        # Here and now: the next test's render thread may collect garbage while that test's event
        # loop deletes what was only posted for deletion.
        sip.delete(app.window)
        sip.delete(app)


@pytest.fixture
def app_clock() -> Clock:
    """What `app` goes by."""
    return REAL_TIME


@pytest.fixture
def app(write_light_field, make_app, app_clock, until) -> App:
    """A viewer that shows the complete first picture of a tiny light field in fp32."""
    app = make_app(shown(write_light_field(), precision=Precision.FP32), clock=app_clock)
    app.start()
    until(lambda: app.report.has_picture)
    return app


@pytest.fixture
def damaged(tmp_path, write_light_field) -> Callable[[str], Path]:
    """A path that cannot be opened: missing, nan, truncated, text or a folder."""

    def make(kind: str) -> Path:
        path = tmp_path / f"{kind}.safetensors"
        if kind == "nan":
            write_light_field(kind, nan=True)
        elif kind == "truncated":
            write_light_field(kind)
            path.write_bytes(path.read_bytes()[:-100])
        elif kind == "text":
            path.write_text("not a light field at all", encoding="utf-8")
        elif kind == "folder":
            path.mkdir()
        else:
            assert kind == "missing"
        return path

    return make


@pytest.fixture
def folder(tmp_path) -> Path:
    """A dataset in the Blender format."""
    return write_views(tmp_path / "toys")


@pytest.fixture
def open_dataset(app, until) -> Callable[..., Dataset]:
    """Opens a folder as the menu does, and waits until the renderer knows it."""

    def opened(path: Path) -> Dataset:
        app.window.dataset_requested.emit(str(path))
        until(lambda: not app.dataset.opening)
        dataset = app.dataset.dataset
        until(lambda: app.rendering.running.wish.dataset is dataset)
        return dataset

    return opened


@pytest.fixture
def dataset(app, open_dataset, folder) -> Dataset:
    """It is open, and pictures are rendered in the size of its photographs."""
    opened = open_dataset(folder)
    app.store.change(render_size_px=(32, 24))
    return opened
