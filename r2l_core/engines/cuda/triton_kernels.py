# mypy: allow-untyped-decorators, allow-untyped-calls
"""Fused Triton kernels: all residual blocks of the network in one launch.

One program takes 64 rays and keeps their float32 residual in registers from the first block to the
last; only weights are read on the way, from the L2 cache that all programs share. Triton cannot
slice a tile in registers, and a whole 256 x 256 weight does not fit beside the activations in
most GPUs' shared memory. So a layer is a loop over chunks of its *outputs*: the input tile stays
whole (Triton holds it in shared memory), chunk after chunk of weight rows streams past it by
asynchronous copies, and what comes out is kept as a tuple of chunks. A tuple cannot be indexed by a
loop variable either; the right element is picked by a select. (Rotating the tuple would do as well,
but loops that pass on a value untouched are not pipelined by Triton 3.7.)

State: the numerics are tested in Triton's interpreter, and the tests compile the kernels for
compute capabilities 8.0 to 12.0 (tensor-core instructions, asynchronous copies, shared memory,
registers). They have run on an H200; elsewhere the launch shapes follow from what the compiler
says, not from a clock.

Triton is optional: nothing imports this module unless Triton is installed.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from r2l_core.model.arithmetic import LEVELS, TINY

_LEVELS = tl.constexpr(float(LEVELS))
_TINY = tl.constexpr(TINY)
# Adding and subtracting it rounds a float32 of up to 2^22 to an integer, halves to even.
_ROUNDING = tl.constexpr(1.5 * 2.0**23)


@triton.jit
def _side_by_side(a: tl.tensor, b: tl.tensor) -> tl.tensor:
    """(R, C) and (R, C) to (R, 2C)."""
    return tl.reshape(tl.permute(tl.join(a, b), (0, 2, 1)), (a.shape[0], 2 * a.shape[1]))


@triton.jit
def _whole(parts: tl.tuple, N: tl.constexpr) -> tl.tensor:
    """A tuple of 1, 2 or 4 chunks to one tile."""
    if N == 1:
        return parts[0]
    elif N == 2:  # noqa: RET505 - Triton wants one return per branch of a compile-time choice
        return _side_by_side(parts[0], parts[1])
    else:
        return _side_by_side(_side_by_side(parts[0], parts[1]), _side_by_side(parts[2], parts[3]))


@triton.jit
def _with_part(parts: tl.tuple, place: tl.tensor, part: tl.tensor, N: tl.constexpr) -> tl.tuple:
    """The tuple with `part` at `place`, which is known only while running."""
    new: tl.tuple = ()
    for c in tl.static_range(N):
        new = new + (tl.where(place == c, part, parts[c]),)  # noqa: RUF005 - not in Triton
    return new


@triton.jit
def _with_sum(parts: tl.tuple, place: tl.tensor, part: tl.tensor, N: tl.constexpr) -> tl.tuple:
    """The tuple with `part` added at `place`."""
    new: tl.tuple = ()
    for c in tl.static_range(N):
        new = new + (tl.where(place == c, parts[c] + part, parts[c]),)  # noqa: RUF005
    return new


@triton.jit
def _chunks(here: tl.tensor, N: tl.constexpr, CHUNK: tl.constexpr) -> tl.tuple:
    """A tile as a tuple of chunks, from the pointers to its first."""
    parts: tl.tuple = ()
    for c in tl.static_range(N):
        parts = parts + (tl.load(here + c * CHUNK),)  # noqa: RUF005
    return parts


@triton.jit
def _narrowed(parts: tl.tuple, DTYPE: tl.constexpr, N: tl.constexpr) -> tl.tuple:
    new: tl.tuple = ()
    for c in tl.static_range(N):
        new = new + (parts[c].to(DTYPE),)  # noqa: RUF005
    return new


@triton.jit
def _quantized(parts: tl.tuple, N: tl.constexpr) -> tl.tuple:
    """A float32 tile in chunks to (int8 tile, float32 (R,) scale per ray), as `quantize_rows`.

    It multiplies by 127 / maximum, one division a ray, where `quantize_rows` divides each value by
    maximum / 127: values within a rounding error of a tie may come out one level apart.
    """
    top = tl.max(tl.abs(parts[0]), 1)
    for c in tl.static_range(1, N):
        top = tl.maximum(top, tl.max(tl.abs(parts[c]), 1))
    empty = top <= _TINY
    inverse = tl.where(empty, 0.0, _LEVELS / tl.where(empty, 1.0, top))
    levels: tl.tuple = ()
    for c in tl.static_range(N):
        rounded = (parts[c] * inverse[:, None] + _ROUNDING) - _ROUNDING
        levels = levels + (rounded.to(tl.int8),)  # noqa: RUF005
    return _whole(levels, N), tl.where(empty, 0.0, top / _LEVELS)


@triton.jit
def float_blocks(
    x_ptr: tl.tensor,
    weight_ptr: tl.tensor,
    bias_ptr: tl.tensor,
    n_blocks: tl.tensor,
    WIDTH: tl.constexpr,
    CHUNK: tl.constexpr,
    RAYS: tl.constexpr,
    STAGES: tl.constexpr,
) -> None:
    """x += W2 relu(W1 x + b1) + b2 for all blocks, in place; one program per RAYS rows.

    x: float32 (rays, WIDTH). weight: float16 or bfloat16 (2 * n_blocks, WIDTH, WIDTH), out by in.
    bias: float32 (2 * n_blocks, WIDTH). Sums and residual are float32. A sum that is not a number,
    as float16 makes of inputs above 65,504, passes the ReLU, so that it is noticed in the end.
    """
    DTYPE: tl.constexpr = weight_ptr.dtype.element_ty
    N: tl.constexpr = WIDTH // CHUNK
    columns = tl.arange(0, CHUNK)
    rows = tl.program_id(0) * RAYS + tl.arange(0, RAYS)
    here = x_ptr + rows[:, None] * WIDTH + columns[None, :]
    # (in, out) tile of a row-major (out, in) weight: adjacent inputs are adjacent in memory.
    tile = tl.arange(0, WIDTH)[:, None] + columns[None, :] * WIDTH
    x = _chunks(here, N, CHUNK)
    for block in tl.range(n_blocks, num_stages=1):
        weight = weight_ptr + block * (2 * WIDTH * WIDTH)
        bias = bias_ptr + block * (2 * WIDTH) + columns
        hidden = _narrowed(x, DTYPE, N)
        inputs = _whole(hidden, N)
        for c in tl.range(N, num_stages=STAGES):
            y = tl.dot(inputs, tl.load(weight + c * (CHUNK * WIDTH) + tile))
            y += tl.load(bias + c * CHUNK)[None, :]
            y = tl.maximum(y, 0.0, propagate_nan=tl.PropagateNan.ALL)
            hidden = _with_part(hidden, c, y.to(DTYPE), N)
        inputs = _whole(hidden, N)
        weight += WIDTH * WIDTH
        bias += WIDTH
        for c in tl.range(N, num_stages=STAGES):
            y = tl.dot(inputs, tl.load(weight + c * (CHUNK * WIDTH) + tile))
            x = _with_sum(x, c, y + tl.load(bias + c * CHUNK)[None, :], N)
    for c in tl.static_range(N):
        tl.store(here + c * CHUNK, x[c])


@triton.jit
def int8_blocks(
    x_ptr: tl.tensor,
    weight_ptr: tl.tensor,
    scale_ptr: tl.tensor,
    bias_ptr: tl.tensor,
    n_blocks: tl.tensor,
    WIDTH: tl.constexpr,
    CHUNK: tl.constexpr,
    RAYS: tl.constexpr,
    STAGES: tl.constexpr,
) -> None:
    """`float_blocks` in 8-bit integers: inputs of each layer quantised with one scale per ray.

    weight: int8 (2 * n_blocks, WIDTH, WIDTH). scale, bias: float32 (2 * n_blocks, WIDTH); a scale
    is of a row of a weight. Products are int8 x int8 -> int32, everything between them float32.
    """
    N: tl.constexpr = WIDTH // CHUNK
    columns = tl.arange(0, CHUNK)
    rows = tl.program_id(0) * RAYS + tl.arange(0, RAYS)
    here = x_ptr + rows[:, None] * WIDTH + columns[None, :]
    tile = tl.arange(0, WIDTH)[:, None] + columns[None, :] * WIDTH
    x = _chunks(here, N, CHUNK)
    for block in tl.range(n_blocks, num_stages=1):
        weight = weight_ptr + block * (2 * WIDTH * WIDTH)
        scale = scale_ptr + block * (2 * WIDTH) + columns
        bias = bias_ptr + block * (2 * WIDTH) + columns
        inputs, per_ray = _quantized(x, N)
        hidden = x
        for c in tl.range(N, num_stages=STAGES):
            y = tl.dot(inputs, tl.load(weight + c * (CHUNK * WIDTH) + tile), out_dtype=tl.int32)
            scales = per_ray[:, None] * tl.load(scale + c * CHUNK)[None, :]
            y = y.to(tl.float32) * scales + tl.load(bias + c * CHUNK)[None, :]
            hidden = _with_part(hidden, c, tl.maximum(y, 0.0), N)
        inputs, per_ray = _quantized(hidden, N)
        weight += WIDTH * WIDTH
        scale += WIDTH
        bias += WIDTH
        for c in tl.range(N, num_stages=STAGES):
            y = tl.dot(inputs, tl.load(weight + c * (CHUNK * WIDTH) + tile), out_dtype=tl.int32)
            scales = per_ray[:, None] * tl.load(scale + c * CHUNK)[None, :]
            y = y.to(tl.float32) * scales + tl.load(bias + c * CHUNK)[None, :]
            x = _with_sum(x, c, y, N)
    for c in tl.static_range(N):
        tl.store(here + c * CHUNK, x[c])


def launch_shape(dtype: torch.dtype, width: int) -> dict[str, int]:
    """CHUNK, STAGES and num_warps for a GPU: the largest that the compiler fits into registers, and
    with the input tile into the 99 KiB of shared memory of consumer GPUs. On an H200 chunks of 128
    in 16 bits, which would fit there, took 8 % longer."""
    return {
        "CHUNK": max(64, min(width // 2, 128 if dtype is torch.int8 else 64)),
        "STAGES": 3,
        "num_warps": 8,
    }
