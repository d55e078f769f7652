"""LPIPS with stand-ins for its packages: whether it is asked, and what with."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from r2l_core.images import perceptual
from r2l_core.images.metrics import compare
from r2l_core.images.perceptual import ALEXNET_FILE, lpips, unavailable

LPIPS = """
import warnings


class LPIPS:
    def __init__(self, net, verbose):
        assert net == "alex" and not verbose
        warnings.warn("'pretrained' is deprecated")

    def __call__(self, image, reference, normalize):
        assert normalize and image.shape == reference.shape and image.shape[:2] == (1, 3)
        # Tells channels, rows and the two images apart.
        return (image[:, 1, -1] - 2 * reference[:, 1, -1]).mean().reshape(1, 1, 1, 1)
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A function that makes packages importable, of which none is to begin with."""
    find_spec = perceptual.find_spec
    monkeypatch.setattr(
        perceptual, "find_spec", lambda name: find_spec(name) if name in installed else None
    )
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.syspath_prepend(tmp_path)
    installed: set[str] = set()
    perceptual._network.cache_clear()

    def install_it(*names: str, weights: bool = False) -> None:
        for name in names:
            installed.add(name)
            (tmp_path / f"{name}.py").write_text(LPIPS if name == "lpips" else "")
        if weights:
            path = tmp_path / "torch" / "hub" / "checkpoints" / ALEXNET_FILE
            path.parent.mkdir(parents=True)
            path.touch()

    yield install_it
    perceptual._network.cache_clear()
    for name in ("lpips", "torchvision"):
        sys.modules.pop(name, None)


@pytest.fixture
def images():
    random = np.random.default_rng(2)
    return [random.random((64, 80, 3), dtype=np.float32) for _ in range(2)]


@pytest.mark.parametrize(
    ("packages", "missing"),
    [((), "lpips"), (("torchvision",), "lpips"), (("lpips",), "torchvision")],
    ids=str,
)
def test_what_is_not_installed_is_named(install, images, packages, missing):
    install(*packages)
    distance, why_not = lpips(*images)
    assert distance is None
    assert f"package {missing} " in why_not
    scores = compare(*images)
    assert (scores.lpips, scores.lpips_why_not) == (None, why_not)


def test_weights_are_not_downloaded(install, images, monkeypatch):
    install("lpips", "torchvision")
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)
    distance, why_not = lpips(*images)
    assert distance is None
    assert ALEXNET_FILE in why_not


def test_with_everything_there(install, images):
    install("lpips", "torchvision", weights=True)
    assert unavailable() == ""
    distance, why_not = lpips(*images)
    image, reference = images
    expected = (image[-1, :, 1] - 2 * reference[-1, :, 1]).mean()
    assert distance == pytest.approx(expected, abs=1e-6)
    assert why_not == ""
    assert compare(*images).lpips == distance


def test_packages_that_do_not_fit_are_no_crash(install, images, tmp_path):
    install("lpips", "torchvision", weights=True)
    (tmp_path / "lpips.py").write_text("raise RuntimeError('operator nms does not exist')")
    distance, why_not = lpips(*images)
    assert distance is None
    assert why_not == "lpips cannot be loaded (operator nms does not exist)"


def test_small_images_are_not_measured(install, images):
    install("lpips", "torchvision", weights=True)
    distance, why_not = lpips(*(image[:, :63] for image in images))
    assert distance is None
    assert "64" in why_not
