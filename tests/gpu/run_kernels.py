"""Runs each fused kernel once, without graphs: what a sanitizer or a profiler looks at."""

from __future__ import annotations

import argparse

import torch

from r2l_core.engines.cuda.device import cuda_device
from r2l_core.engines.cuda.fusion import Fusion, TritonFusion
from r2l_core.engines.cuda.hopper.blocks import HOPPER, HopperFusion
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
    fusions: list[Fusion] = [TritonFusion()]
    if device.capability == HOPPER and width == 256 and options.rays % 256 == 0:
        fusions.append(HopperFusion())
    results: dict[str, torch.Tensor] = {}
    for name, (values, factors) in cases.items():
        for fusion in fusions:
            blocks = fusion.blocks(values.to(place), biases.to(place), factors)
            x = rays.to(place, copy=True)
            blocks(x)
            results[f"{name} {fusion.name}"] = x.cpu()
    reference = next(iter(results.values()))
    for name, result in results.items():
        error = float((result - reference).norm() / reference.norm())
        print(f"{name}: {error:.2e} from the first")
        assert error < 0.05


if __name__ == "__main__":
    main()
