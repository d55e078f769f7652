"""LPIPS (Zhang et al. 2018), where a person has installed it: nothing is ever downloaded here."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALEXNET_FILE = "alexnet-owt-7be5be79.pth"
"""What torchvision calls AlexNet's weights, in torch's own folder for them."""

_LEAST_SIZE_PX = 64
"""AlexNet's own windows are as large."""


def lpips(image: NDArray[np.float32], reference: NDArray[np.float32]) -> tuple[float | None, str]:
    """Distance in AlexNet's features (version 0.1), 0 is identical; or None, and why it was not
    measured. Both float32 (H, W, 3) in [0, 1]."""
    if why_not := unavailable():
        return None, why_not
    if min(image.shape[:2]) < _LEAST_SIZE_PX:
        return None, f"the image is smaller than {_LEAST_SIZE_PX} pixels"
    try:
        network = _network()
    except Exception as error:
        # Packages that do not fit this torch fail in all kinds of ways; they are optional.
        return None, f"lpips cannot be loaded ({str(error) or type(error).__name__})"
    import torch

    def tensor(values: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))[None]

    with torch.inference_mode():
        distance = network(tensor(image), tensor(reference), normalize=True)
    return float(distance), ""


def unavailable() -> str:
    """Why LPIPS cannot be measured here, or nothing."""
    for package in ("lpips", "torchvision"):
        if find_spec(package) is None:
            return f"the package {package} is not installed (pip install lpips torchvision)"
    import torch

    weights = Path(torch.hub.get_dir()) / "checkpoints" / ALEXNET_FILE
    if not weights.is_file():
        return f"AlexNet's weights are not on this machine ({weights})"
    return ""


@lru_cache(maxsize=1)
def _network() -> Any:
    import warnings

    from lpips import LPIPS

    with warnings.catch_warnings():
        # It asks torchvision for weights in a manner that torchvision has come to dislike.
        warnings.simplefilter("ignore")
        return LPIPS(net="alex", verbose=False)
