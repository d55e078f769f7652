"""Runs each fused kernel once, without graphs: what a sanitizer or a profiler looks at."""

from __future__ import annotations

import argparse

import torch

from r2l_core.engines.cuda.device import cuda_device
from r2l_core.engines.cuda.network import FusedBlocks
from r2l_core.engines.cuda.triton_kernels import launch_shape
from r2l_core.model.arithmetic import quantize_rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rays", type=int, default=256)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--depth", type=int, default=6)
    options = parser.parse_args()
    device, width = cuda_device(), options.width
    random = torch.Generator().manual_seed(0)
    weights = torch.randn(options.depth - 2, width, width, generator=random) * 0.1 / width**0.5
    biases = torch.randn(options.depth - 2, width, generator=random) * 0.1
    rays = torch.randn(options.rays, width, generator=random)
    rows = [quantize_rows(weight) for weight in weights]
    integers = torch.stack([row.values for row in rows])
    scales = torch.stack([row.scale[:, 0] for row in rows])
    place = device.torch_device
    cases = {
        "fp16": (weights.half(), None),
        "bf16": (weights.bfloat16(), None),
        "int8": (integers, scales.to(place)),
    }
    results = {}
    for name, (values, factors) in cases.items():
        launch = launch_shape(values.dtype, width, device.capability)
        blocks = FusedBlocks(values.to(place), biases.to(place), factors, launch)
        x = rays.to(place, copy=True)
        blocks(x)
        results[name] = x.cpu()
        print(f"{name}: {launch}, finite: {bool(results[name].isfinite().all())}")
    for name in ("bf16", "int8"):
        error = (results[name] - results["fp16"]).norm() / results["fp16"].norm()
        print(f"{name} differs from fp16 by {float(error):.2e}")
        assert error < 0.05


if __name__ == "__main__":
    main()
