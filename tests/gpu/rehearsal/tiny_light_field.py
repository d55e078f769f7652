"""Writes a light field that an interpreter can render: the demo's scene, a small random network."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import torch

from r2l_core.checkpoints.opening import save_light_field
from r2l_core.geometry.scene import load_scene
from r2l_core.model.light_field import LightField
from r2l_core.model.network import NetworkConfig


def main() -> None:
    random = torch.Generator().manual_seed(0)
    # Wide enough for Hopper's kernels.
    network = NetworkConfig(depth=4, width=136, n_sample=4, n_frequencies=2)
    tensors = {
        name: torch.randn(shape, generator=random) / math.sqrt(shape[-1])
        for name, shape in network.tensor_shapes().items()
    }
    light_field = LightField("tiny", network, load_scene("demo"), tensors)
    save_light_field(light_field, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
