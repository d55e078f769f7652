"""What the GPU machine is: card, driver and versions, as one JSON object in $OUT/machine.json."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _driver() -> str | None:
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def main() -> None:
    names = ("torch", "triton", "numpy", "scipy", "safetensors", "PyQt6", "platformdirs")
    machine = {
        "card": torch.cuda.get_device_name(),
        "compute_capability": list(torch.cuda.get_device_capability()),
        "driver": _driver(),
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in names},
        "cores": os.cpu_count(),
    }
    text = json.dumps(machine, indent=1)
    Path(os.environ["OUT"], "machine.json").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
