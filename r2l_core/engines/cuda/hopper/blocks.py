"""Residual blocks in CUDA C++ for compute capability 9.0 (H100, H200), of networks 256 wide.

They read a quarter of the weights that the Triton kernels read for a ray, and multiply while more
weights are on their way. Before one is used at all it is held against float64, and then, as every
engine, against the reference.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from r2l_core.engines.cuda.hopper import compiler, trial
from r2l_core.engines.cuda.hopper.packing import (
    WIDTH,
    pack_halves,
    pack_integers,
    pack_parameters,
)
from r2l_core.errors import EngineError
from r2l_core.model.arithmetic import LEVELS, TINY

HOPPER = (9, 0)
"""The one compute capability that has these instructions."""

_TILE_RAYS = 128
_THREADS = 384
_HALF_BYTES = 65536 + 4 * 32768 + 256 + 2 * 2048
"""Shared memory of half_blocks.cu: inputs, stages, barriers, biases of two blocks."""
_INTEGER_BYTES = 131072 + 5 * 16384 + 256 + 2 * 4096
"""Shared memory of int8_blocks.cu: residual, stages, barriers, parameters of two blocks."""

_CHECK_RAYS = 4 * _TILE_RAYS
_CHECK_BLOCKS = 4
_CHECK_ERROR = 2e-3
"""Greatest relative error against float64: a few values on the edge between two roundings. A wrong
layout is off by 1."""


class Launch(Protocol):
    """What runs a kernel; see compiler.Kernel."""

    n_processors: int

    def __call__(self, n_blocks: int, *arguments: Tensor | int) -> None:
        """Run it with so many thread blocks."""


@dataclass(frozen=True, eq=False)
class HopperBlocks:
    """See fusion.Blocks.

    weights: uint8, packed. parameters: float32, of each residual block two biases of 256 channels,
    or in 8 bits what `pack_parameters` makes. n_programs: most thread blocks at a time.
    """

    launch: Launch
    weights: Tensor
    parameters: Tensor
    n_blocks: int
    n_programs: int

    def __call__(self, x: Tensor) -> None:
        """See fusion.Blocks; rays must be a multiple of 256, as two thread blocks go in step."""
        n_rays, width = x.shape
        if width != WIDTH or n_rays % (2 * _TILE_RAYS) or not x.is_contiguous():
            raise ValueError(f"{tuple(x.shape)} is not made of tiles of {2 * _TILE_RAYS} rays")
        n_tiles = n_rays // _TILE_RAYS
        n_programs = min(self.n_programs, n_tiles) // 2 * 2
        self.launch(n_programs, x, self.weights, self.parameters, self.n_blocks, n_tiles)


@functools.cache
def loaded(dtype: torch.dtype) -> Launch:
    """The kernel for weights of a type, compiled and loaded once a process, never tried."""
    code, name, shared_bytes = _code(dtype)
    return compiler.Kernel(code, name, _THREADS, shared_bytes)


def kernel(dtype: torch.dtype) -> Launch:
    """`loaded`, after it has passed its trial. Raises RuntimeError where it does not."""
    code, _, _ = _code(dtype)
    kind = str(dtype).removeprefix("torch.")
    trial.require_passed(kind, code, torch.cuda.get_device_name())
    return loaded(dtype)


@functools.cache
def _code(dtype: torch.dtype) -> tuple[bytes, str, int]:
    """Machine code, the function's name, and its shared memory in bytes."""
    if dtype is torch.int8:
        return compiler.machine_code("int8_blocks.cu"), "hopper_int8_blocks", _INTEGER_BYTES
    half = {torch.bfloat16: "Bf16", torch.float16: "Fp16"}[dtype]
    code = compiler.machine_code("half_blocks.cu", (f"HALF={half}",))
    return code, "hopper_half_blocks", _HALF_BYTES


@dataclass(frozen=True)
class HopperFusion:
    """See fusion.Fusion. kernel: gives the kernel for weights of a type; by default one that has
    passed its trial. triton_ends: where Triton is there."""

    kernel: Callable[[torch.dtype], Launch] | None = None
    triton_ends: bool = False
    name = "CUDA C++ for Hopper"
    widths = (WIDTH,)
    rays_multiple = 2 * _TILE_RAYS

    def blocks(self, weights: Tensor, biases: Tensor, scales: Tensor | None) -> HopperBlocks:
        """See fusion.Fusion.blocks. Raises EngineError where the kernel is wrong."""
        launch = (self.kernel or kernel)(weights.dtype)
        if scales is None:
            packed, parameters = pack_halves(weights), biases.contiguous()
        else:
            packed, parameters = pack_integers(weights), pack_parameters(biases, scales)
        blocks = HopperBlocks(launch, packed, parameters, len(weights) // 2, launch.n_processors)
        _check(blocks, weights, biases, scales)
        return blocks


def _check(blocks: HopperBlocks, weights: Tensor, biases: Tensor, scales: Tensor | None) -> None:
    """Raise EngineError where the first few blocks differ from float64, on rays for two thread
    blocks that each have two tiles one after the other."""
    few = replace(blocks, n_blocks=min(blocks.n_blocks, _CHECK_BLOCKS), n_programs=2)
    random = torch.Generator().manual_seed(0)
    x = torch.randn(_CHECK_RAYS, WIDTH, generator=random).to(weights.device)
    expected = in_float64(x, weights[: 2 * few.n_blocks], biases, scales)
    few(x)
    error = float((x - expected).norm() / expected.norm())
    if not error <= _CHECK_ERROR:
        raise EngineError(
            "The Hopper kernel was refused",
            f"it is {error:.1e} from float64, where {_CHECK_ERROR:g} may be",
            "Another kernel is taken instead; nothing has to be done.",
        )


def in_float64(x: Tensor, weights: Tensor, biases: Tensor, scales: Tensor | None) -> Tensor:
    """What the kernels compute, with every sum in float64: float64 (rays, width).

    x: float32 (rays, width). weights, biases, scales: see fusion.Fusion.blocks.
    """
    residual = x.double()
    for k in range(0, len(weights), 2):
        hidden = _layer(residual, k, weights, biases, scales).clamp_min(0.0)
        residual = residual + _layer(hidden, k + 1, weights, biases, scales)
    return residual


def _layer(x: Tensor, k: int, weights: Tensor, biases: Tensor, scales: Tensor | None) -> Tensor:
    weight = weights[k].double().T
    if scales is None:
        return x.to(weights.dtype).double() @ weight + biases[k].double()
    top = x.abs().amax(1, keepdim=True)
    levels = torch.where(top <= TINY, 0.0, x * (LEVELS / top)).round()
    return (levels @ weight) * (top / LEVELS * scales[k].double()) + biases[k].double()
