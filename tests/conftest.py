"""What every test may rely on: no display needed, and the person's own files left alone."""

from __future__ import annotations

import os
import sys

import pytest
from hypothesis import settings

# Before anything imports Qt. A display server can still be asked for from outside.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

# Timing limits fail by chance on a busy machine.
settings.register_profile("project", deadline=None)
settings.load_profile("project")


GPU_PROMISED = os.environ.get("R2L_REQUIRE_GPU") == "1"
"""Whether a test that is skipped for want of a GPU, or of anything else, has failed."""


def pytest_configure(config):
    config.addinivalue_line("markers", "gpu: needs a CUDA device (see docs/gpu.md)")


def pytest_runtest_setup(item):
    """Tests of the GPU are skipped where there is none."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("torch finds no CUDA device")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """With R2L_REQUIRE_GPU=1, tests of the GPU run or fail."""
    report = yield
    if GPU_PROMISED and report.skipped and item.get_closest_marker("gpu"):
        report.outcome = "failed"
        report.longrepr = f"R2L_REQUIRE_GPU=1, but skipped: {call.excinfo.value}"
    return report


@pytest.fixture(scope="session", autouse=True)
def _few_torch_threads():
    """Small tensors gain nothing from more threads, and the results do not depend on the machine's
    core count. Only where a test module has imported torch."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(2)


@pytest.fixture(autouse=True)
def user_dirs(tmp_path_factory, monkeypatch):
    """A fresh, empty home for every test: settings, caches and data of platformdirs and Qt.

    Returns its path. Not inside the test's own `tmp_path`, which stays empty.
    """
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for kind in ("config", "cache", "data", "state", "runtime"):
        folder = home / kind
        folder.mkdir(mode=0o700)
        suffix = "DIR" if kind == "runtime" else "HOME"
        monkeypatch.setenv(f"XDG_{kind.upper()}_{suffix}", str(folder))
    # QSettings looks at the environment only once a process, so it has to be told each time.
    if qt_core := sys.modules.get("PyQt6.QtCore"):
        for scope in qt_core.QSettings.Scope:
            for settings_format in (
                qt_core.QSettings.Format.NativeFormat,
                qt_core.QSettings.Format.IniFormat,
            ):
                qt_core.QSettings.setPath(settings_format, scope, str(home / "config"))
    return home
