"""The fused kernels in Triton's interpreter and in its compiler, neither of which needs a GPU."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import torch

from r2l_core.engines.cuda.fusion import TritonBlocks
from r2l_core.engines.reference import ReferenceEngine
from r2l_core.errors import EngineError
from r2l_core.model.encoding import RayCoordinates, encode_reference
from r2l_core.model.quantized import body_layers
from r2l_core.quantization.dynamic import turn_of
from r2l_core.quantization.recipes import quantized
from r2l_core.types import Precision
from tests.cuda_cases import (
    LEAST_PSNR_DB,
    NETWORKS,
    colors_psnr_db,
    int8_blocks,
    int8_twin,
    launch,
    needs_triton,
    random_layers,
)
from tests.triton_interpreter import N_RAYS, interpreted, run_blocks

pytestmark = pytest.mark.slow

__all__ = ["interpreted", "run_blocks"]

HALVES = {"fp16": torch.float16, "bf16": torch.bfloat16}
# Their chunks differ, and with them the number of parts a tile is put together from.
SHAPES = [(4, 64), (6, 64), (6, 128), (6, 256)]


# --- 16-bit kernels ----------------------------------------------------------------------------


def blocks_in_halves(x, weights, biases, dtype=None):
    """The blocks in float64, with the roundings of the kernel (`dtype`) or none."""

    def rounded(values):
        return values if dtype is None else values.to(dtype).double()

    x, weights, biases = x.double(), weights.double(), biases.double()
    for first in range(0, len(weights), 2):
        hidden = (rounded(x) @ weights[first].T + biases[first]).clamp_min(0)
        x = x + rounded(hidden) @ weights[first + 1].T + biases[first + 1]
    return x


@needs_triton
@pytest.mark.parametrize(("depth", "width"), SHAPES, ids=str)
@pytest.mark.parametrize("dtype", HALVES.values(), ids=HALVES.keys())
def test_halves_are_exact_on_small_integers(run_blocks, dtype, depth, width):
    """Integers up to 256 are exact in both formats, so there is only one right result."""
    generator = torch.Generator().manual_seed(width)

    def integers(*shape: int, density: float) -> torch.Tensor:
        values = torch.randint(-1, 2, shape, generator=generator)
        return (values * (torch.rand(shape, generator=generator) < density)).float()

    weights = integers(depth - 2, width, width, density=6 / width)
    biases = integers(depth - 2, width, density=0.5)
    x = integers(N_RAYS, width, density=1.0)
    expected = blocks_in_halves(x, weights, biases)
    assert 8 < expected.abs().max() <= 256
    blocks = TritonBlocks(weights.to(dtype), biases, None, launch(dtype, width))
    assert torch.equal(run_blocks(blocks, x).double(), expected)


@needs_triton
@pytest.mark.parametrize(("depth", "width"), SHAPES, ids=str)
def test_fp16_rounds_where_it_should_and_nowhere_else(run_blocks, depth, width):
    """Against float64 rounded to fp16 at the inputs of products only. What remains are float32 sums
    and, by them, values rounded to the neighbouring fp16 number here and there: a fraction of what
    the roundings do all together. No value is off by more than one such neighbour (2^-7 for
    activations below 16) times a weight (below 0.3)."""
    weights, biases, x = random_layers(depth, width)
    weights = weights.half()
    blocks = TritonBlocks(weights, biases, None, launch(torch.float16, width))
    result = run_blocks(blocks, x).double()
    same_roundings = blocks_in_halves(x, weights, biases, torch.float16)
    no_roundings = blocks_in_halves(x, weights, biases)
    off = (result - same_roundings).square().mean().sqrt()
    assert off < (no_roundings - same_roundings).square().mean().sqrt() / 4
    assert (result - same_roundings).abs().max() < 2.5e-3


@needs_triton
@pytest.mark.parametrize("where", ["residual", "hidden"])
def test_fp16_that_overflows_is_not_a_number_in_the_end(run_blocks, where):
    """Not a zero of the ReLU, which would pass for a colour."""
    weights, biases, x = random_layers(6, 64)
    if where == "residual":
        x[3] *= 1e6
    else:
        biases[0, :8] = 7e4
    blocks = TritonBlocks(weights.half(), biases, None, launch(torch.float16, 64))
    result = run_blocks(blocks, x)
    rows = [3] if where == "residual" else list(range(N_RAYS))
    assert not result[rows].isfinite().any()
    if where == "residual":
        assert result[:3].isfinite().all()
    bf16 = TritonBlocks(weights.bfloat16(), biases, None, launch(torch.bfloat16, 64))
    assert run_blocks(bf16, x).isfinite().all()


# --- the int8 kernel ---------------------------------------------------------------------------


def blocks_in_integers(x: torch.Tensor, blocks: TritonBlocks) -> torch.Tensor:
    """Products in int64, everything else float32 in the kernel's order."""

    def layer(values: torch.Tensor, index: int) -> torch.Tensor:
        top = values.abs().amax(dim=1, keepdim=True)
        inverse = torch.where(top <= 2.0**-24, 0.0, 127.0 / top)
        levels = (values * inverse).round().to(torch.int64)
        assert levels.abs().max() <= 127
        sums = (levels @ blocks.weights[index].to(torch.int64).T).float()
        scale = torch.where(top <= 2.0**-24, 0.0, top / 127.0)
        return sums * (scale * blocks.scales[index]) + blocks.biases[index]

    for first in range(0, len(blocks.weights), 2):
        x = x + layer(layer(x, first).clamp_min(0), first + 1)
    return x


@needs_triton
@pytest.mark.parametrize(("depth", "width"), SHAPES, ids=str)
def test_int8_is_integer_arithmetic_to_the_bit(run_blocks, depth, width):
    weights, biases, x = random_layers(depth, width)
    x *= 10.0 ** torch.linspace(-3, 3, N_RAYS)[:, None]  # every ray in its own range
    blocks = int8_blocks(weights, biases)
    result = run_blocks(blocks, x)
    assert torch.equal(result, blocks_in_integers(x, blocks))
    exact = blocks_in_halves(x, weights, biases)
    error = (result - exact).norm(dim=1) / exact.norm(dim=1)
    assert 1e-4 < error.max() < 0.03, "eight bits, and no more than that"


@needs_triton
@pytest.mark.parametrize("zero", ["rays", "first-layers", "second-layers", "everything"])
def test_int8_of_zeros(run_blocks, zero):
    weights, biases, x = random_layers(6, 64)
    if zero in ("rays", "everything"):
        x[::3] = 0.0
        x[1] = 2.0**-25  # so small that it counts as zero, and without biases nothing hides it
        biases[:] = 0.0
    if zero in ("first-layers", "everything"):
        weights[::2], biases[::2] = 0.0, 0.0
    if zero in ("second-layers", "everything"):
        weights[1::2] = 0.0
    blocks = int8_blocks(weights, biases)
    result = run_blocks(blocks, x)
    assert result.isfinite().all()
    assert torch.equal(result, blocks_in_integers(x, blocks))
    if zero in ("rays", "everything"):
        assert torch.equal(result[[0, 1, 3]], x[[0, 1, 3]])


@needs_triton
def test_halves_round_to_even(run_blocks):
    """Levels 0.5, 1.5, 2.5 ... of a ray whose maximum is 127 become 0, 2, 2 ..."""
    width = 64
    x = torch.zeros(N_RAYS, width)
    x[:, 0] = 127.0
    x[:, 1] = torch.arange(N_RAYS) - 7.5
    weights = torch.zeros(2, width, width)
    # The first layer passes channel 1 on, made positive by the maximum; the second adds it to 2.
    weights[0, 1, 0] = weights[0, 1, 1] = weights[1, 2, 1] = 1.0
    blocks = int8_blocks(weights, torch.zeros(2, width))
    result = run_blocks(blocks, x)[:, 2]
    levels = torch.tensor([round(level - 7.5) for level in range(N_RAYS)], dtype=torch.float32)
    torch.testing.assert_close(result, 127.0 + levels, rtol=1e-6, atol=0)


@needs_triton
@pytest.mark.parametrize("width", [64, 256])
def test_small_activations_vanish_in_int8_alone(run_blocks, width):
    """Eight bits with one scale per ray cannot tell [127, 0.4, 0.4, ...] from [127, 0, 0, ...]."""
    weights, biases, _ = random_layers(4, width)
    weights, x = weights.abs(), torch.zeros(N_RAYS, width)
    x[:, 0] = 127.0
    noisy = x.clone()
    noisy[:, 1:] = 0.4

    def linear_part(blocks: TritonBlocks, rays: torch.Tensor) -> torch.Tensor:
        return run_blocks(blocks, rays)[:, 0]  # the residual of channel 0 is 127 in both

    int8 = int8_blocks(weights, biases)
    assert torch.equal(linear_part(int8, x), linear_part(int8, noisy))
    half = TritonBlocks(weights.half(), biases, None, launch(torch.float16, width))
    assert ((linear_part(half, x) - linear_part(half, noisy)).abs() > 1).all()


@needs_triton
def test_rays_depend_on_no_other(run_blocks):
    """In whichever program and row; in int8, with scales per ray, as well."""
    weights, biases, x = random_layers(6, 64)
    rays = torch.cat([x * scale for scale in (1.0, 100.0, 0.01, 3.0)])
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    blocks = int8_blocks(weights, biases)
    together = run_blocks(blocks, rays)
    assert torch.equal(run_blocks(blocks, rays[order]), together[order])
    # The interpreter's float products depend on the row, so here programs alone change.
    halves = TritonBlocks(weights.half(), biases, None, launch(torch.float16, 64))
    together = run_blocks(halves, rays)
    order = torch.arange(64).roll(N_RAYS)
    assert torch.equal(run_blocks(halves, rays[order]), together[order])


@needs_triton
def test_tiles_must_be_whole():
    weights, biases, x = random_layers(4, 64)
    with pytest.raises(ValueError, match="tiles of 64 rays"):
        int8_blocks(weights, biases)(x)


# --- the network around the kernels ------------------------------------------------------------


@needs_triton
@pytest.mark.parametrize("fused", [False, True], ids=["layer-by-layer", "fused"])
@pytest.mark.parametrize("precision", LEAST_PSNR_DB)
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_colours_agree_with_the_reference(
    interpreted, make_light_field, scene_rays, network, precision, fused
):
    light_field, rays = make_light_field(**network), scene_rays(128)
    colors, n_fused = interpreted("network_colors", light_field, precision, rays, fused)
    expected = ReferenceEngine(light_field).shade(*rays).colors
    assert expected.std() > 0.02, "otherwise anything would agree"
    assert colors_psnr_db(colors, expected) >= LEAST_PSNR_DB[precision]
    fuses = fused and precision is not Precision.FP32
    assert n_fused == (light_field.network.n_blocks if fuses else 0)


@needs_triton
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_int8_is_what_its_simulation_says(interpreted, make_light_field, scene_rays, network):
    """But for values a rounding error away from the middle of two levels."""
    light_field, rays = make_light_field(**network), scene_rays(128)
    colors, _ = interpreted("network_colors", light_field, Precision.INT8, rays, True)
    assert colors_psnr_db(colors, int8_twin(light_field, rays)) > 60


@needs_triton
@pytest.mark.parametrize("in_float", [[0], [3, 4], [0, 1, 2, 3, 4, 5]], ids=str)
def test_int8_keeps_to_a_mix(interpreted, make_light_field, scene_rays, in_float):
    """Blocks that a mix leaves in float32, whole or in part, run beside the kernel."""
    light_field, rays = make_light_field(depth=8, width=40, res_scale=0.6), scene_rays(128)
    names = body_layers(light_field.network)
    mixed = quantized(light_field, "int8", mix={names[i]: "fp32" for i in in_float})
    colors, n_fused = interpreted("network_colors", mixed, Precision.INT8, rays, True)
    assert n_fused == 3 - len({i // 2 for i in in_float})
    twin, unmixed = int8_twin(mixed, rays), int8_twin(light_field, rays)
    assert colors_psnr_db(colors, twin) > max(60, colors_psnr_db(colors, unmixed) + 10)


# --- what the compiler makes of the kernels ----------------------------------------------------

SHARED_BYTES = {80: 163 << 10, 86: 99 << 10, 90: 227 << 10, 120: 99 << 10}
"""Shared memory a program can have, by compute capability (CUDA C++ programming guide)."""

PRODUCTS = {
    torch.float16: r"mma[_a-z.]*\.m\d+n\d+k16\.[a-z.]*f32\.f16\.f16",
    torch.bfloat16: r"mma[_a-z.]*\.m\d+n\d+k16\.[a-z.]*f32\.bf16\.bf16",
    torch.int8: r"mma[_a-z.]*\.m\d+n\d+k32\.[a-z.]*s32\.s8\.s8",
}


@needs_triton
@pytest.mark.parametrize(
    ("capability", "dtype"),
    [(80, torch.bfloat16)]
    + [
        (capability, dtype) for capability in (86, 90, 120) for dtype in (torch.float16, torch.int8)
    ],
    ids=str,
)
def test_kernels_compile_for_tensor_cores(capability, dtype, tmp_path):
    """Width 256, the largest: the right instructions, asynchronous weight copies, shared memory
    within the GPU's limit and hardly a register in local memory."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from r2l_core.engines.cuda import triton_kernels

    if os.environ.get("TRITON_INTERPRET"):
        pytest.skip("TRITON_INTERPRET is set")
    eight_bits = dtype is torch.int8
    kernel = triton_kernels.int8_blocks if eight_bits else triton_kernels.float_blocks
    weight = {torch.float16: "*fp16", torch.bfloat16: "*bf16", torch.int8: "*i8"}[dtype]
    types = {"weight_ptr": weight, "bias_ptr": "*fp32", "n_blocks": "i32"}
    types |= {"x_ptr": "*fp32", "scale_ptr": "*fp32"}
    shape = launch(dtype, 256)
    n_warps = shape.pop("num_warps")
    names = kernel.arg_names
    source = ASTSource(
        kernel,
        {name: types.get(name, "constexpr") for name in names},
        {(names.index(k),): v for k, v in {"WIDTH": 256, "RAYS": 64, **shape}.items()},
        {(i,): [["tt.divisibility", 16]] for i, name in enumerate(names) if name.endswith("_ptr")},
    )
    target = GPUTarget("cuda", capability, 32)
    compiled = triton.compile(source, target=target, options={"num_warps": n_warps})
    assert re.search(PRODUCTS[dtype], compiled.asm["ptx"])
    assert "cp.async" in compiled.asm["ptx"]
    assert compiled.metadata.shared <= SHARED_BYTES[capability]

    cubin = tmp_path / "kernel.cubin"
    cubin.write_bytes(compiled.asm["cubin"])
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    usage = subprocess.run([tool, "-res-usage", cubin], capture_output=True, text=True, check=True)
    (stack,) = re.findall(r"STACK:(\d+)", usage.stdout)
    assert int(stack) <= 64


@needs_triton
@pytest.mark.parametrize("three", [False, True], ids=["sixteen bits", "three products"])
@pytest.mark.parametrize(("capability", "rays"), [(80, 64), (86, 64), (90, 128), (120, 64)])
def test_the_first_layer_compiles_for_tensor_cores(capability, rays, three):
    """As published, 48 coordinates into 256 channels: nothing in local memory, and shared memory
    within the GPU's limit."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from r2l_core.engines.cuda.triton_ends import STAGES, WARPS, first_layer

    if os.environ.get("TRITON_INTERPRET"):
        pytest.skip("TRITON_INTERPRET is set")
    shape = {"COORDINATES": 64, "WIDTH": 256, "RAYS": rays, "THREE": three, "STAGES": STAGES}
    names = first_layer.arg_names
    types = {name: "*fp32" for name in names if name.endswith("_ptr")}
    types |= dict.fromkeys(("weight_ptr", "low_ptr"), "*fp16" if three else "*bf16")
    types |= dict.fromkeys(("n_coordinates", "n_frequencies"), "i32")
    source = ASTSource(
        first_layer,
        {name: types.get(name, "constexpr") for name in names},
        {(names.index(k),): v for k, v in shape.items()},
        {(i,): [["tt.divisibility", 16]] for i, name in enumerate(names) if name.endswith("_ptr")},
    )
    target = GPUTarget("cuda", capability, 32)
    compiled = triton.compile(source, target=target, options={"num_warps": WARPS})
    assert re.search(PRODUCTS[torch.float16 if three else torch.bfloat16], compiled.asm["ptx"])
    assert ".local" not in compiled.asm["ptx"], "a library's sine would need a stack"
    assert compiled.metadata.shared <= SHARED_BYTES[capability]


@needs_triton
@pytest.mark.parametrize("precision", [Precision.BF16, Precision.FP16, Precision.INT8])
def test_the_ends_are_near_float64(interpreted, make_light_field, scene_rays, precision):
    """int8 has its first layer in float32, as three products in float16, and the stream turned by
    three more."""
    light_field, rays = make_light_field(width=64, n_sample=16, n_frequencies=10), scene_rays(128)
    hidden = interpreted("first_layer", light_field, precision, rays)
    points = RayCoordinates(light_field.network, light_field.scene)(*rays)
    features = encode_reference(points, light_field.network.n_frequencies).double()
    weight, bias = (light_field.tensors[f"head.0.{part}"].double() for part in ("weight", "bias"))
    expected = (features @ weight.T + bias).clamp_min(0.0)
    if precision is Precision.INT8:
        expected = expected @ turn_of(light_field.network).T.double()
    error = (hidden - expected).norm() / expected.norm()
    assert error < {Precision.BF16: 4e-3, Precision.FP16: 5e-4, Precision.INT8: 1e-5}[precision]


@needs_triton
@pytest.mark.parametrize("how", ["x", "hidden", "colors", "low", "turn"])
def test_wrong_ends_are_refused(interpreted, make_light_field, how):
    """Also where only the smaller halves of the weights are missing, a ten-thousandth."""
    light_field = make_light_field(width=64, n_sample=16, n_frequencies=6)
    interpreted("spoiled_ends", light_field, Precision.INT8, "not at all")
    with pytest.raises(EngineError, match="from float64"):
        interpreted("spoiled_ends", light_field, Precision.INT8, how)
