"""Triton's interpreter in a process of its own: Triton decides when it is first imported whether it
interprets."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from r2l_core.engines.cuda.fusion import TritonBlocks

REPOSITORY = Path(__file__).resolve().parents[1]
N_RAYS = 16

PREPARATION = """
import numpy, torch, triton.language as tl
from triton.runtime import interpreter

torch.set_num_threads(1)
numpy.seterr(over="ignore", invalid="ignore")  # GPUs do not warn of either
patch_tensor = interpreter._patch_lang_tensor

def with_an_index(tensor, scope):
    # Triton 3.6 calls int() on arrays of one item, which numpy 2.4 and later refuse.
    patch_tensor(tensor, scope)
    scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))

interpreter._patch_lang_tensor = with_an_index
builder, create_dot = interpreter.InterpreterBuilder, interpreter.InterpreterBuilder.create_dot

def widened(self, x):
    # Triton 3.7 interprets a product of bfloat16 as one of their bit patterns.
    return self.cast_impl(x, tl.float32) if x.dtype.scalar == tl.bfloat16 else x

builder.create_dot = lambda self, a, b, *rest: create_dot(
    self, widened(self, a), widened(self, b), *rest
)
"""
"""Mends the interpreter; run it where TRITON_INTERPRET is set, before any kernel."""

INTERPRETER = """
import pickle, sys
from r2l_core.engines.cuda.fusion import TritonFusion
from r2l_core.engines.cuda.network import DTYPES, DeviceNetwork
from r2l_core.model.encoding import FeatureEncoder
from r2l_core.quantization.folding import folded

def run_blocks(blocks, x, rays_per_program):
    blocks(x, rays_per_program)
    return x

def network_colors(light_field, precision, rays, fused):
    encoder = FeatureEncoder(light_field, len(rays[0]))
    fusion = TritonFusion() if fused else None
    network = DeviceNetwork(light_field, precision, encoder, fusion)
    assert not network.why_torch_ends, network.why_torch_ends
    return network.colors(*rays), network.n_fused_blocks

def first_layer(light_field, precision, rays):
    from r2l_core.engines.cuda.triton_ends import TritonEnds

    numbers = folded(light_field, precision)
    width = light_field.network.width
    ends = TritonEnds(light_field, numbers, DTYPES[precision], width, rays[0].device)
    return ends.first(*rays)[0]

def spoiled_ends(light_field, precision, how):
    from r2l_core.engines.cuda import triton_ends

    class Spoiled(triton_ends.TritonEnds):
        def first(self, origins, directions):
            if how == "low":
                self._low.zero_()
            if how == "turn":
                self._turn[0].zero_()
            x, hidden = super().first(origins, directions)
            return (x.roll(1, 1) if how == "x" else x, hidden + (how == "hidden"))

        def last(self, x, hidden):
            return super().last(x, hidden) + 0.1 * (how == "colors")

    kind, triton_ends.TritonEnds = triton_ends.TritonEnds, Spoiled
    place = light_field.tensors["tail.0.bias"].device
    try:
        triton_ends.checked_ends(
            light_field,
            folded(light_field, precision),
            DTYPES[precision],
            light_field.network.width,
            place,
        )
    finally:
        triton_ends.TritonEnds = kind

while True:
    name, arguments = pickle.load(sys.stdin.buffer)
    try:
        answer = globals()[name](*arguments)
    except Exception as error:
        answer = error
    pickle.dump(answer, sys.stdout.buffer)
    sys.stdout.buffer.flush()
"""


@pytest.fixture(scope="module")
def interpreted():
    """A function (name of one in INTERPRETER, arguments...) that runs it in the interpreter."""
    # Behind the repository, what the caller has on the path: packages may be installed beside.
    path = os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": path}
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PREPARATION + INTERPRETER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
        )

        def run(name: str, *arguments):
            try:
                pickle.dump((name, arguments), process.stdin)
                process.stdin.flush()
                answer = pickle.load(process.stdout)
            except (EOFError, BrokenPipeError):
                process.wait()
                errors.seek(0)
                pytest.fail(f"the interpreter ended:\n{errors.read().decode()}")
            if isinstance(answer, Exception):
                raise answer
            return answer

        yield run
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def run_blocks(interpreted):
    """A function that runs TritonBlocks on float32 (rays, width) in the interpreter."""

    def run(blocks: TritonBlocks, x: torch.Tensor, rays_per_program: int = N_RAYS) -> torch.Tensor:
        return interpreted("run_blocks", blocks, x, rays_per_program)

    return run
