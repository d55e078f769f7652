"""A kernel's first run on a GPU, in a process of its own.

One that waits for itself would never give the GPU back, and one that writes elsewhere would take
everything else of its process with it. So neither may happen in the process that asks; a kernel
that has passed on a card is not tried there again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import torch

from r2l_core.engines.cuda.hopper import compiler
from r2l_core.errors import EngineError
from r2l_core.files import replacing

_PATIENCE_S = 60.0
"""A trial takes some five seconds, most of them to start."""

_RAYS = 2 * 132 * 128
"""Two tiles for each of an H100's processors."""
_BLOCKS = 5


def require_passed(kind: str, code: bytes, card: str) -> None:
    """Raise RuntimeError where a kernel does not pass its trial on `card`.

    kind: of its weights, "int8", "bfloat16" or "float16". code: its machine code.
    """
    note = _note(code, card)
    if note is not None and note.exists():
        return
    # Wherever this process has its modules from.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            _command(kind),
            env=environment,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(
            f"the Hopper kernel did not come to an end in its trial of {_PATIENCE_S:g} s"
        ) from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise RuntimeError(f"the Hopper kernel failed in its trial ({said[-1]})")
    if note is not None:
        # Then it is tried again the next time.
        what = "The trial of a kernel could not be noted"
        with contextlib.suppress(EngineError), replacing(note, EngineError, what) as new:
            new.write_text(card + "\n", encoding="utf-8")


def _command(kind: str) -> list[str]:
    return [sys.executable, "-c", f"from {__name__} import main; main({kind!r})"]


def _note(code: bytes, card: str) -> Path | None:
    folder = compiler.cache_folder()
    digest = hashlib.sha256(card.encode() + b"\0" + code).hexdigest()[:32]
    return folder and folder / f"passed-{digest}"


def main(kind: str) -> None:
    """The trial itself: random blocks against float64, on all processors, two tiles each."""
    from r2l_core.engines.cuda.hopper.blocks import HopperFusion, in_float64, loaded
    from r2l_core.model.arithmetic import quantize_rows

    dtype = {"int8": torch.int8, "bfloat16": torch.bfloat16, "float16": torch.float16}[kind]
    random = torch.Generator().manual_seed(0)
    weights = torch.randn(2 * _BLOCKS, 256, 256, generator=random) * 0.7 / 16
    biases = (torch.randn(2 * _BLOCKS, 256, generator=random) * 0.2).cuda()
    x = (torch.randn(_RAYS, 256, generator=random) * 3).cuda()
    scales = None
    if dtype is torch.int8:
        rows = [quantize_rows(weight) for weight in weights]
        weights = torch.stack([row.values for row in rows])
        scales = torch.stack([row.scale[:, 0] for row in rows]).cuda()
    weights = weights.to(dtype).cuda()
    blocks = HopperFusion(loaded).blocks(weights, biases, scales)
    expected = in_float64(x, weights, biases, scales)
    blocks(x)
    error = float((x - expected).norm() / expected.norm())
    if not error <= 2e-3:
        raise SystemExit(f"its result is {error:.1e} from float64")
