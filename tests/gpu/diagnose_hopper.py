"""What is wrong with a Hopper kernel that failed its trial: simple networks, each in a process.

For every case: how far the result is from float64, and which rays and channels are wrong; those
that are off also go to a file, first inputs, results and what is right.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from r2l_core.engines.cuda.hopper.blocks import HopperBlocks, in_float64, loaded
from r2l_core.engines.cuda.hopper.packing import pack_halves, pack_integers
from r2l_core.model.arithmetic import quantize_rows

KINDS = {"bfloat16": torch.bfloat16, "int8": torch.int8}
CASES = ("zero", "bias 2", "bias 1", "identity", "first", "second", "both", "two blocks", "tiles")
_PATIENCE_S = 12


def layers(case: str) -> tuple[torch.Tensor, torch.Tensor]:
    """float32 weights (2 * n_blocks, 256, 256), out by in, and biases (2 * n_blocks, 256)."""
    random, identity = torch.Generator().manual_seed(1), torch.eye(256)
    n_blocks = 2 if case == "two blocks" else 1
    weights, biases = torch.zeros(2 * n_blocks, 256, 256), torch.zeros(2 * n_blocks, 256)
    drawn = torch.randn(2 * n_blocks, 256, 256, generator=random) / 16
    if case == "bias 2":
        biases[1] = torch.arange(256.0)
    elif case == "bias 1":
        biases[0], weights[1] = torch.arange(256.0) / 16, identity
    elif case == "identity":
        weights[:] = identity
    elif case == "first":
        weights[0], weights[1] = drawn[0], identity
    elif case == "second":
        weights[0], weights[1] = identity, drawn[1]
    elif case != "zero":
        weights = drawn
    return weights, biases


def run(kind: str, case: str, out: Path) -> None:
    weights, biases = layers(case)
    scales = None
    if kind == "int8":
        rows = [quantize_rows(weight) for weight in weights]
        weights = torch.stack([row.values for row in rows])
        scales = torch.stack([row.scale[:, 0] for row in rows]).cuda()
    weights, biases = weights.to(KINDS[kind]).cuda(), biases.cuda()
    n_rays = 4 * 256 if case == "tiles" else 256
    start = torch.randn(n_rays, 256, generator=torch.Generator().manual_seed(2)).cuda()
    expected = in_float64(start, weights, biases, scales)
    if scales is None:
        packed, parameters = pack_halves(weights), biases
    else:
        packed, parameters = pack_integers(weights), torch.stack([biases, scales], 1)
    x = start.clone()
    # Of "tiles", each thread block has two, one after the other.
    HopperBlocks(loaded(KINDS[kind]), packed, parameters, len(weights) // 2, 4)(x)
    error = float((x - expected).norm() / expected.norm())
    wrong = ~((x - expected).abs() <= 0.05)
    rays = wrong.any(1).nonzero().view(-1).tolist()
    channels = wrong.any(0).nonzero().view(-1).tolist()
    print(f"{error:.1e}, {len(rays)} rays {rays[:8]}, {len(channels)} channels {channels[:8]}")
    if not error <= 2e-3:
        found = {"start": start, "result": x, "expected": expected.float()}
        arrays = {name: values[:128].cpu().numpy() for name, values in found.items()}
        np.savez_compressed(out / f"{kind}-{case.replace(' ', '-')}.npz", **arrays)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--case", nargs=2, metavar=("KIND", "CASE"), help="one case, here")
    options = parser.parse_args()
    if options.case:
        run(*options.case, options.out)
        return
    for kind in KINDS:
        for case in CASES:
            command = [sys.executable, __file__, "--out", str(options.out), "--case", kind, case]
            try:
                done = subprocess.run(
                    command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False
                )
            except subprocess.TimeoutExpired:
                print(f"{kind} {case}: did not come to an end")
                break
            said = (done.stderr if done.returncode else done.stdout).strip().splitlines()
            print(f"{kind} {case}: {said[-1] if said else done.returncode}")


if __name__ == "__main__":
    main()
