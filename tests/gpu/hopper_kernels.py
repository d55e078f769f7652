"""Hopper's kernels by themselves: each one's trial in a process of its own, then its speed.

The three are tried at the same time. One that hangs or crashes says so, and is not used afterwards.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from r2l_core.engines.cuda.device import cuda_device
from r2l_core.engines.cuda.hopper.blocks import HOPPER, HopperFusion
from r2l_core.model.arithmetic import quantize_rows

KINDS = {"bfloat16": torch.bfloat16, "float16": torch.float16, "int8": torch.int8}


def speed(kind: str, n_rays: int, depth: int, times: int) -> dict[str, float]:
    """Median of the device's time for a body, and what that is in TFLOP/s."""
    device = cuda_device()
    place, random = device.torch_device, torch.Generator().manual_seed(0)
    weights = torch.randn(depth - 2, 256, 256, generator=random) * 0.1 / 16
    biases = (torch.randn(depth - 2, 256, generator=random) * 0.1).to(place)
    scales = None
    if kind == "int8":
        rows = [quantize_rows(weight) for weight in weights]
        weights = torch.stack([row.values for row in rows])
        scales = torch.stack([row.scale[:, 0] for row in rows]).to(place)
    blocks = HopperFusion().blocks(weights.to(place, KINDS[kind]), biases, scales)
    x = torch.randn(n_rays, 256, generator=random).to(place)
    run, start, done = device.captured(lambda: blocks(x)), device.mark(), device.mark()
    spent_ms = []
    for _ in range(times):
        with device.working():
            start.record()
            run()
            done.record()
        done.synchronize()
        spent_ms.append(start.elapsed_time(done))
    ms = statistics.median(spent_ms)
    return {"ms": ms, "tflops": 2 * 256 * 256 * (depth - 2) * n_rays / ms / 1e9}


def tried(kind: str) -> str:
    """Empty, or why the kernel may not be used."""
    place = cuda_device().torch_device
    weights = torch.zeros(2, 256, 256, dtype=KINDS[kind], device=place)
    biases = torch.zeros(2, 256, device=place)
    try:
        HopperFusion().blocks(weights, biases, biases if kind == "int8" else None)
    except Exception as error:
        return str(error)
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rays", type=int, default=2 * 132 * 128 * 4)
    parser.add_argument("--depth", type=int, default=88)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    if cuda_device().capability != HOPPER:
        options.json.write_text(json.dumps({"all": "this card is no H100 or H200"}))
        return
    report: dict[str, object] = {}
    began = time.perf_counter()
    with ThreadPoolExecutor() as pool:
        failures = dict(zip(KINDS, pool.map(tried, KINDS), strict=True))
    print(f"tried in {time.perf_counter() - began:.1f} s")
    for kind, why in failures.items():
        report[kind] = why or speed(kind, options.rays, options.depth, options.times)
        print(kind, report[kind])
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    sys.exit(any(failures.values()))


if __name__ == "__main__":
    main()
