"""The CUDA engine: its kernels in Triton's interpreter and in its compiler, neither of which needs
a GPU, and the engine itself where there is one.

Triton decides when it is first imported whether it interprets, so kernels are interpreted in a
process of their own.
"""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from r2l_core.engines import cuda_engine
from r2l_core.engines.choice import shade_all
from r2l_core.engines.cuda_engine import CudaEngine, CudaFactory
from r2l_core.engines.cuda_network import FusedBlocks
from r2l_core.engines.integer_probe import runs_integers
from r2l_core.engines.reference import ReferenceEngine
from r2l_core.engines.simulated import SimulatedEngine
from r2l_core.errors import EngineError, EngineUnavailable
from r2l_core.images.metrics import mse, psnr_db
from r2l_core.model.arithmetic import quantize_rows
from r2l_core.model.quantized import body_layers
from r2l_core.quantization.recipes import quantized
from r2l_core.types import Availability, Precision

REPOSITORY = Path(__file__).resolve().parents[2]
N_RAYS = 16
HALVES = {"fp16": torch.float16, "bf16": torch.bfloat16}
AMPERE, HOPPER = (8, 0), (9, 0)
# Their chunks differ, and with them the number of parts a tile is put together from.
SHAPES = [(4, 64, AMPERE), (6, 64, AMPERE), (6, 128, AMPERE), (6, 256, AMPERE), (6, 256, HOPPER)]

needs_triton = pytest.mark.skipif(
    sys.platform != "linux", reason="Triton is published for Linux only"
)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

INTERPRETER = """
import pickle, sys
import torch, triton.language as tl
from triton.runtime import interpreter
from r2l_core.engines.cuda_network import DeviceNetwork
from r2l_core.engines.features import FeatureEncoder

torch.set_num_threads(1)
builder, create_dot = interpreter.InterpreterBuilder, interpreter.InterpreterBuilder.create_dot

def widened(self, x):
    # Triton 3.7 interprets a product of bfloat16 as one of their bit patterns.
    return self.cast_impl(x, tl.float32) if x.dtype.scalar == tl.bfloat16 else x

builder.create_dot = lambda self, a, b, *rest: create_dot(
    self, widened(self, a), widened(self, b), *rest
)

def run_blocks(blocks, x, rays_per_program):
    blocks(x, rays_per_program)
    return x

def network_colors(light_field, precision, rays, capability):
    encoder = FeatureEncoder(light_field, len(rays[0]))
    network = DeviceNetwork(light_field, precision, encoder, capability)
    return network(encoder.encode(*rays)), network.n_fused_blocks

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
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(REPOSITORY)}
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", INTERPRETER],
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
    """A function that runs FusedBlocks on float32 (rays, width) in the interpreter."""

    def run(blocks: FusedBlocks, x: torch.Tensor, rays_per_program: int = N_RAYS) -> torch.Tensor:
        return interpreted("run_blocks", blocks, x, rays_per_program)

    return run


def launch(dtype: torch.dtype, width: int, capability: tuple[int, int]) -> dict[str, int]:
    from r2l_core.engines.triton_kernels import launch_shape

    return launch_shape(dtype, width, capability)


def random_layers(depth: int, width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Weights and biases of a body and its input, of about the size that trained ones have."""
    generator = torch.Generator().manual_seed(depth * width)
    weights = torch.randn(depth - 2, width, width, generator=generator) * 0.7 / width**0.5
    biases = torch.randn(depth - 2, width, generator=generator) * 0.2
    return weights, biases, torch.randn(N_RAYS, width, generator=generator) * 3


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
@pytest.mark.parametrize(("depth", "width", "capability"), SHAPES, ids=str)
@pytest.mark.parametrize("dtype", HALVES.values(), ids=HALVES.keys())
def test_halves_are_exact_on_small_integers(run_blocks, dtype, depth, width, capability):
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
    blocks = FusedBlocks(
        weights.to(dtype), biases.to(dtype), None, launch(dtype, width, capability)
    )
    assert torch.equal(run_blocks(blocks, x).double(), expected)


@needs_triton
@pytest.mark.parametrize(("depth", "width", "capability"), SHAPES, ids=str)
def test_fp16_rounds_where_it_should_and_nowhere_else(run_blocks, depth, width, capability):
    """Against float64 rounded to fp16 at the inputs of products only. What remains are float32 sums
    and, by them, values rounded to the neighbouring fp16 number here and there: a fraction of what
    the roundings do all together. No value is off by more than one such neighbour (2^-7 for
    activations below 16) times a weight (below 0.3)."""
    weights, biases, x = random_layers(depth, width)
    weights, biases = weights.half(), biases.half()
    blocks = FusedBlocks(weights, biases, None, launch(torch.float16, width, capability))
    result = run_blocks(blocks, x).double()
    same_roundings = blocks_in_halves(x, weights, biases, torch.float16)
    no_roundings = blocks_in_halves(x, weights, biases)
    off = (result - same_roundings).square().mean().sqrt()
    assert off < (no_roundings - same_roundings).square().mean().sqrt() / 4
    assert (result - same_roundings).abs().max() < 2.5e-3


# --- the int8 kernel ---------------------------------------------------------------------------


def int8_blocks(weights, biases, capability=AMPERE) -> FusedBlocks:
    rows = [quantize_rows(weight) for weight in weights]
    return FusedBlocks(
        torch.stack([row.values for row in rows]),
        biases,
        torch.stack([row.scale[:, 0] for row in rows]),
        launch(torch.int8, biases.shape[1], capability),
    )


def blocks_in_integers(x: torch.Tensor, blocks: FusedBlocks) -> torch.Tensor:
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
@pytest.mark.parametrize(("depth", "width", "capability"), SHAPES, ids=str)
def test_int8_is_integer_arithmetic_to_the_bit(run_blocks, depth, width, capability):
    weights, biases, x = random_layers(depth, width)
    x *= 10.0 ** torch.linspace(-3, 3, N_RAYS)[:, None]  # every ray in its own range
    blocks = int8_blocks(weights, biases, capability)
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

    def linear_part(blocks: FusedBlocks, rays: torch.Tensor) -> torch.Tensor:
        return run_blocks(blocks, rays)[:, 0]  # the residual of channel 0 is 127 in both

    int8 = int8_blocks(weights, biases)
    assert torch.equal(linear_part(int8, x), linear_part(int8, noisy))
    half = FusedBlocks(weights.half(), biases.half(), None, launch(torch.float16, width, AMPERE))
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
    halves = FusedBlocks(weights.half(), biases.half(), None, launch(torch.float16, 64, AMPERE))
    together = run_blocks(halves, rays)
    order = torch.arange(64).roll(N_RAYS)
    assert torch.equal(run_blocks(halves, rays[order]), together[order])


@needs_triton
def test_tiles_must_be_whole():
    weights, biases, x = random_layers(4, 64)
    with pytest.raises(ValueError, match="tiles of 64 rays"):
        int8_blocks(weights, biases)(x)


# --- the network around the kernels ------------------------------------------------------------

NETWORKS = {
    "published-encoding": {"depth": 6, "width": 64, "n_sample": 16, "n_frequencies": 10},
    "width-40": {"depth": 4, "width": 40},
    "width-181": {"depth": 6, "width": 181},
    "width-1": {"width": 1},
    "depth-2": {"depth": 2},
    "no-skip-res-scale": {"width": 64, "use_residual": False, "res_scale": -0.4},
}
LEAST_PSNR_DB = {Precision.FP32: 80.0, Precision.FP16: 50.0, Precision.BF16: 32.0}


def _psnr_db(colors: torch.Tensor, expected: torch.Tensor) -> float:
    return psnr_db(mse(colors.numpy(), expected.numpy()))


@needs_triton
@pytest.mark.parametrize("capability", [None, AMPERE], ids=["layer-by-layer", "fused"])
@pytest.mark.parametrize("precision", LEAST_PSNR_DB)
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_colours_agree_with_the_reference(
    interpreted, make_light_field, scene_rays, network, precision, capability
):
    light_field, rays = make_light_field(**network), scene_rays(128)
    colors, n_fused = interpreted("network_colors", light_field, precision, rays, capability)
    expected = ReferenceEngine(light_field).shade(*rays).colors
    assert expected.std() > 0.02, "otherwise anything would agree"
    assert _psnr_db(colors, expected) >= LEAST_PSNR_DB[precision]
    fuses = capability is not None and precision is not Precision.FP32
    assert n_fused == (light_field.network.n_blocks if fuses else 0)


def int8_twin(light_field, rays) -> torch.Tensor:
    return shade_all(SimulatedEngine(light_field, Precision.INT8_SIM), *rays)


@needs_triton
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_int8_is_what_its_simulation_says(interpreted, make_light_field, scene_rays, network):
    """But for values a rounding error away from the middle of two levels."""
    light_field, rays = make_light_field(**network), scene_rays(128)
    colors, _ = interpreted("network_colors", light_field, Precision.INT8, rays, AMPERE)
    assert _psnr_db(colors, int8_twin(light_field, rays)) > 60


@needs_triton
@pytest.mark.parametrize("in_float", [[0], [3, 4], [0, 1, 2, 3, 4, 5]], ids=str)
def test_int8_keeps_to_a_mix(interpreted, make_light_field, scene_rays, in_float):
    """Blocks that a mix leaves in float32, whole or in part, run beside the kernel."""
    light_field, rays = make_light_field(depth=8, width=40, res_scale=0.6), scene_rays(128)
    names = body_layers(light_field.network)
    mixed = quantized(light_field, "int8", mix={names[i]: "fp32" for i in in_float})
    colors, n_fused = interpreted("network_colors", mixed, Precision.INT8, rays, AMPERE)
    assert n_fused == 3 - len({i // 2 for i in in_float})
    twin, unmixed = int8_twin(mixed, rays), int8_twin(light_field, rays)
    assert _psnr_db(colors, twin) > max(60, _psnr_db(colors, unmixed) + 10)


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

    from r2l_core.engines import triton_kernels

    if os.environ.get("TRITON_INTERPRET"):
        pytest.skip("TRITON_INTERPRET is set")
    eight_bits = dtype is torch.int8
    kernel = triton_kernels.int8_blocks if eight_bits else triton_kernels.float_blocks
    weight = {torch.float16: "*fp16", torch.bfloat16: "*bf16", torch.int8: "*i8"}[dtype]
    types = {"weight_ptr": weight, "bias_ptr": "*fp32" if eight_bits else weight, "n_blocks": "i32"}
    types |= {"x_ptr": "*fp32", "scale_ptr": "*fp32"}
    shape = launch(dtype, 256, divmod(capability, 10))
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


# --- availability ------------------------------------------------------------------------------


@pytest.fixture
def pretend_gpu(monkeypatch):
    """A function that makes torch claim a GPU of a compute capability, with Triton or without."""

    def pretend(capability=(8, 6), triton=True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
        monkeypatch.setattr(cuda_engine, "find_spec", lambda name: object() if triton else None)

    return pretend


RUNS = (Precision.FP32, Precision.BF16, Precision.FP16, Precision.INT8)


@pytest.mark.parametrize("precision", Precision)
def test_without_a_gpu_nothing_is_available(monkeypatch, precision):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    on_gpu = CudaFactory().available(precision, "cuda")
    if precision in RUNS:
        assert on_gpu == Availability(False, "torch finds no CUDA device")
    else:
        assert on_gpu == Availability(False, "the cuda engine runs fp32, bf16, fp16 and int8")
    on_cpu = CudaFactory().available(precision, "cpu")
    assert on_cpu == Availability(False, "the cuda engine runs on an NVIDIA GPU")


def test_availability_on_a_gpu(pretend_gpu):
    def answers() -> list[Availability]:
        return [CudaFactory().available(precision, "cuda") for precision in RUNS]

    yes = Availability(True)
    pretend_gpu()
    assert answers() == [yes] * 4
    pretend_gpu(triton=False)
    no_triton = Availability(False, "Triton is not installed (pip install triton)")
    assert answers() == [yes, yes, yes, no_triton]
    pretend_gpu((7, 5))
    fp32, bf16, fp16, int8 = answers()
    assert (fp32, fp16) == (yes, yes)
    assert bf16 == Availability(False, "this GPU has no bf16 arithmetic")
    assert "compute capability 8.0" in int8.why_not


def test_what_is_fused(pretend_gpu, make_light_field):
    narrow, wide = make_light_field(width=256), make_light_field(width=257)
    pretend_gpu((8, 6))
    for precision, expected in zip(RUNS, (None, (8, 6), (8, 6), (8, 6)), strict=True):
        assert cuda_engine._fused_for(narrow, precision) == expected
    assert cuda_engine._fused_for(wide, Precision.FP16) is None
    with pytest.raises(EngineUnavailable, match="at most 256 channels wide"):
        CudaFactory().build(wide, Precision.INT8, "cuda")
    pretend_gpu(triton=False)
    assert cuda_engine._fused_for(narrow, Precision.FP16) is None
    with pytest.raises(EngineUnavailable, match="Triton is not installed"):
        CudaFactory().build(narrow, Precision.INT8, "cuda")


def test_the_account(make_light_field, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "Some GPU")
    light_field = make_light_field(width=64)
    n_values = sum(tensor.numel() for tensor in light_field.tensors.values())

    info = cuda_engine._info(light_field, Precision.FP16, 0)
    assert (info.engine, info.device, info.emulated) == ("cuda", "Some GPU", None)
    assert (info.weight_type, info.weight_bytes) == ("float16", 2 * n_values)
    assert "cuBLAS" in info.kernel
    info = cuda_engine._info(light_field, Precision.INT8, 0)
    assert info.weight_type == "int8"
    assert info.weight_bytes == 4 * n_values - 3 * 64 * 64 * 4
    assert info.arithmetic.startswith("int8 x int8 -> int32, one scale per ray")

    names = body_layers(light_field.network)
    mixed = quantized(light_field, "int8", mix={names[0]: "fp32"})
    info = cuda_engine._info(mixed, Precision.INT8, 0)
    assert "1 of 4 body layers in float32" in info.arithmetic
    info = cuda_engine._info(make_light_field(depth=2), Precision.INT8, 0)
    assert (info.weight_type, info.arithmetic) == ("float32", "float32")


@needs_triton
def test_the_account_of_fused_blocks(make_light_field, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "Some GPU")
    info = cuda_engine._info(make_light_field(depth=8), Precision.INT8, 2)
    assert "2 of 3 blocks fused by Triton 3." in info.kernel


def test_exact_products_are_asked_for_and_given_back():
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    try:
        matmul.fp32_precision = "tf32"
        with cuda_engine._exact_products():
            assert matmul.fp32_precision == "ieee"
            assert not matmul.allow_fp16_reduced_precision_reduction
        assert matmul.fp32_precision == "tf32"
        assert matmul.allow_fp16_reduced_precision_reduction
    finally:
        matmul.fp32_precision = before


def test_nothing_needs_triton_to_start():
    code = "import sys; sys.modules['triton'] = None; import r2l_core.engines.cuda_engine"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


# --- on a GPU ----------------------------------------------------------------------------------


@pytest.fixture(params=RUNS)
def precision_on_gpu(request):
    answer = CudaFactory().available(request.param, "cuda")
    if not answer.available:
        pytest.skip(answer.why_not)
    return request.param


@needs_gpu
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_the_engine_agrees_with_the_reference(
    precision_on_gpu, make_light_field, scene_rays, network
):
    light_field, rays = make_light_field(**network), scene_rays(1500)
    colors = shade_all(CudaEngine(light_field, precision_on_gpu), *rays)
    if precision_on_gpu is Precision.INT8:
        assert _psnr_db(colors, int8_twin(light_field, rays)) > 55
    else:
        expected = shade_all(ReferenceEngine(light_field), *rays)
        assert _psnr_db(colors, expected) >= LEAST_PSNR_DB[precision_on_gpu]


@needs_gpu
@pytest.mark.parametrize("width", [64, 128, 256])
def test_the_published_depth_runs_at_every_width(precision_on_gpu, make_light_field, width):
    light_field = make_light_field(depth=88, width=width, res_scale=0.1)
    engine = CudaEngine(light_field, precision_on_gpu)
    rays = torch.zeros(engine.tile_rays, 3), torch.ones(engine.tile_rays, 3)
    colors = engine.shade(*rays).colors
    assert colors.isfinite().all()
    assert torch.equal(colors, colors[:1].expand_as(colors)), "equal rays, equal colours"


@needs_gpu
def test_tiles_are_independent_and_timed(precision_on_gpu, light_field, scene_rays):
    engine = CudaEngine(light_field, precision_on_gpu)
    rays, others = (scene_rays(engine.tile_rays, seed=seed) for seed in (0, 1))
    first = engine.shade(*rays)
    kept = first.colors.clone()
    assert not torch.equal(engine.shade(*others).colors, kept)
    assert torch.equal(first.colors, kept), "the next tile must not overwrite it"
    assert torch.equal(engine.shade(*rays).colors, kept)
    assert first.encode_ms > 0
    assert first.network_ms > 0


@needs_gpu
@needs_triton
def test_int8_on_the_gpu_is_integers(light_field):
    if not CudaFactory().available(Precision.INT8, "cuda").available:
        pytest.skip("no int8 on this GPU")
    assert runs_integers(lambda field: CudaEngine(field, Precision.INT8), 256)
    assert not runs_integers(lambda field: CudaEngine(field, Precision.FP16), 256)


@needs_gpu
@needs_triton
@pytest.mark.parametrize("width", [64, 128, 256])
def test_the_gpu_agrees_with_the_interpreter(run_blocks, width):
    weights, biases, x = random_layers(6, width)
    rays = x.repeat(4, 1)
    capability = torch.cuda.get_device_capability()
    blocks = int8_blocks(weights, biases, capability)
    tensors = ("weights", "biases", "scales")
    on_gpu = replace(blocks, **{name: getattr(blocks, name).cuda() for name in tensors})
    result = rays.cuda()
    on_gpu(result)
    # Contracted multiply-adds round once where the interpreter rounds twice.
    expected = run_blocks(blocks, rays)
    assert (result.cpu() - expected).norm() < 2e-3 * expected.norm()


@needs_gpu
def test_a_failing_build_is_an_engine_error(light_field, monkeypatch):
    def fail(*_):
        raise ValueError("Failed to find C compiler.\nDetails")

    monkeypatch.setattr(cuda_engine, "DeviceNetwork", fail)
    with pytest.raises(EngineError, match="could not be built in fp32: Failed to find C compiler"):
        CudaEngine(light_field, Precision.FP32)
