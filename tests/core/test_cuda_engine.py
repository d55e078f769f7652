"""The CUDA engine with a processor in the place of its GPU: which way through the network it takes,
what it says of itself, and what happens when something fails."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from r2l_core.engines import backends, choice
from r2l_core.engines.building import build_engine
from r2l_core.engines.choice import shade_all
from r2l_core.engines.cuda import engine as cuda_engine
from r2l_core.engines.cuda import network as cuda_network
from r2l_core.engines.cuda.device import exact_products
from r2l_core.engines.cuda.engine import CudaEngine, CudaFactory
from r2l_core.engines.cuda.fusion import TritonFusion
from r2l_core.engines.cuda.hopper.blocks import HopperFusion
from r2l_core.engines.integer_probe import runs_integers
from r2l_core.engines.reference import ReferenceEngine
from r2l_core.errors import EngineError
from r2l_core.model.quantized import body_layers
from r2l_core.quantization.recipes import quantized
from r2l_core.types import Availability, Precision
from tests.cuda_cases import (
    LEAST_PSNR_DB,
    NETWORKS,
    RUNS,
    colors_psnr_db,
    int8_twin,
    needs_triton,
)
from tests.hopper_emulation import HalfKernel, IntegerKernel
from tests.stand_in_device import CaptureError, StandInDevice

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch):
    """A processor would take seconds for the real ones."""
    monkeypatch.setattr(CudaEngine, "tile_rays", 256)


def layer_by_layer(light_field, precision: Precision) -> CudaEngine:
    return CudaEngine(light_field, precision, StandInDevice(), None)


# --- colours -----------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", RUNS)
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_layer_by_layer_is_right(make_light_field, scene_rays, network, precision):
    light_field, rays = make_light_field(**network), scene_rays(300)
    colors = shade_all(layer_by_layer(light_field, precision), *rays)
    if precision is Precision.INT8:
        assert colors_psnr_db(colors, int8_twin(light_field, rays)) > 55
    else:
        expected = shade_all(ReferenceEngine(light_field), *rays)
        assert colors_psnr_db(colors, expected) >= LEAST_PSNR_DB[precision]


@pytest.mark.parametrize("width", [24, 256, 300])
def test_int8_layer_by_layer_is_integers(width):
    def build(precision: Precision):
        return lambda light_field: layer_by_layer(light_field, precision)

    assert runs_integers(build(Precision.INT8), width)
    assert not runs_integers(build(Precision.FP32), width)


def test_two_graphs_and_one_copy_each_way(light_field, scene_rays):
    device = StandInDevice()
    engine = CudaEngine(light_field, Precision.FP32, device, None)
    assert (device.graphs, device.replays) == (2, 0)
    first = engine.shade(*scene_rays(256))
    assert device.replays == 2
    kept = first.colors.clone()
    assert not torch.equal(engine.shade(*scene_rays(256, seed=1)).colors, kept)
    assert torch.equal(first.colors, kept), "the next tile must not overwrite it"
    assert first.encode_ms > 0
    assert first.network_ms > 0


def test_the_stand_in_refuses_what_a_graph_cannot_hold():
    values = torch.ones(3)
    for forbidden in (lambda: values.sum().item(), values.nonzero, lambda: torch.tensor([1.0])):
        with pytest.raises(CaptureError):
            StandInDevice().captured(forbidden)


# --- the way down ------------------------------------------------------------------------------


@pytest.fixture
def pretend_gpu(monkeypatch):
    """A function that makes torch claim a GPU of a compute capability, and puts a stand-in of it
    where the cuda engine looks for its device."""

    def pretend(capability=(8, 6), triton=True) -> CudaFactory:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "stand-in")
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
        monkeypatch.setattr(cuda_engine, "find_spec", lambda name: object() if triton else None)
        factory = CudaFactory(lambda: StandInDevice(capability))
        monkeypatch.setitem(backends.ENGINES, "cuda", factory)
        return factory

    return pretend


@pytest.fixture
def spoil(monkeypatch):
    """A function that makes a way through the network fail: "fused" or "layer by layer", by an
    exception or by colours to add."""

    def install(way: str, error: Exception | float) -> None:
        network = cuda_engine.DeviceNetwork

        class Spoiled(network):
            def __init__(self, light_field, precision, encoder, fusion) -> None:
                self._wrong = 0.0
                if (fusion is None) == (way == "layer by layer"):
                    if isinstance(error, Exception):
                        raise error
                    self._wrong = error
                # Nothing fused runs on a processor.
                super().__init__(light_field, precision, encoder, None)

            def shaded(self, features):
                return super().shaded(features) + self._wrong

        monkeypatch.setattr(cuda_engine, "DeviceNetwork", Spoiled)

    return install


BUILD_FAILURES = {
    "no-compiler": RuntimeError("Failed to find C compiler.\nDetails"),
    "unknown-card": ValueError("unsupported architecture sm_999"),
    "out-of-shared-memory": Exception("out of resource: shared memory, Required: 300000"),
    "out-of-memory": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB"),
    "wrong-picture": 0.5,
    "not-a-number": float("nan"),
}


@pytest.mark.parametrize("precision", [Precision.BF16, Precision.FP16, Precision.INT8])
@pytest.mark.parametrize("failure", BUILD_FAILURES.values(), ids=BUILD_FAILURES.keys())
def test_from_fused_to_layer_by_layer(pretend_gpu, spoil, light_field, failure, precision):
    pretend_gpu()
    spoil("fused", failure)
    info = build_engine(light_field, precision).info
    assert (info.engine, info.device) == ("cuda", "stand-in")
    assert "cuBLAS layer by layer" in info.kernel
    assert info.fallback.startswith("The cuda engine ")


@pytest.mark.parametrize("precision", RUNS)
@pytest.mark.parametrize("failure", BUILD_FAILURES.values(), ids=BUILD_FAILURES.keys())
def test_from_layer_by_layer_to_the_processor(pretend_gpu, spoil, light_field, failure, precision):
    pretend_gpu(triton=False)
    spoil("layer by layer", failure)
    info = build_engine(light_field, precision).info
    assert info.device == "cpu"
    assert info.fallback.startswith("The cuda engine ")
    with pytest.raises(EngineError, match="The cuda engine "):
        build_engine(light_field, precision, device="cuda")


def test_triton_fails_by_itself_where_there_is_no_gpu(pretend_gpu, light_field):
    """No fake failure: Triton is there, and cannot run on a processor's memory."""
    pytest.importorskip("triton")
    pretend_gpu()
    info = build_engine(light_field, Precision.FP16, device="cuda").info
    assert "cuBLAS layer by layer" in info.kernel
    assert "could not be built in fp16" in info.fallback


def test_a_device_that_cannot_be_had(pretend_gpu, light_field, monkeypatch):
    def lost():
        raise torch.AcceleratorError("CUDA error: unspecified launch failure\nCompile with ...")

    pretend_gpu()
    monkeypatch.setitem(backends.ENGINES, "cuda", CudaFactory(lost))
    assert build_engine(light_field, Precision.BF16).info.device == "cpu"
    with pytest.raises(EngineError, match=r"no longer answers .*launch failure") as caught:
        build_engine(light_field, Precision.BF16, device="cuda")
    assert "\n" not in str(caught.value)


def test_what_works_is_no_fallback(pretend_gpu, light_field):
    pretend_gpu(triton=False)
    info = build_engine(light_field, Precision.BF16).info
    assert info.engine == "cuda"
    assert "Triton is not installed" in info.fallback
    assert build_engine(light_field, Precision.FP32).info.fallback == ""


def test_the_check_looks_at_all_of_a_tile(light_field, monkeypatch):
    """Also where the reference is asked about some of its rays only."""
    monkeypatch.setattr(choice, "CHECK_RAYS", 64)
    engine = layer_by_layer(light_field, Precision.FP32)
    choice.check(engine, light_field)
    shade = engine.shade

    def wrong_at_the_end(origins, directions):
        shaded = shade(origins, directions)
        added = torch.zeros_like(shaded.colors)
        added[-64:] = 0.1
        return replace(shaded, colors=shaded.colors + added)

    monkeypatch.setattr(engine, "shade", wrong_at_the_end)
    with pytest.raises(EngineError, match="refused"):
        choice.check(engine, light_field)


# --- failures while it renders -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried ..."), "the GPU's memory is used up"),
        (torch.AcceleratorError("CUDA error: device lost\nCompile"), "no longer answers"),
        (RuntimeError("cuBLAS said no\nat line 3"), "cuBLAS said no"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_failing_gpu_is_one_error_of_one_paragraph(
    light_field, scene_rays, monkeypatch, error, why
):
    device = StandInDevice()
    engine = CudaEngine(light_field, Precision.BF16, device, None)

    def fail():
        raise error

    monkeypatch.setattr(device, "working", fail)
    with pytest.raises(EngineError, match="The cuda engine failed in bf16") as caught:
        engine.shade(*scene_rays(256))
    assert why in caught.value.why
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


def hot(make_light_field, scale: float):
    """A light field whose hidden activations grow with `scale`, and not its colours."""
    light_field = make_light_field(depth=4, width=16)
    tensors = dict(light_field.tensors)
    tensors["body.0.body.0.weight"] = tensors["body.0.body.0.weight"] * scale
    tensors["body.0.body.0.bias"] = tensors["body.0.body.0.bias"] * scale
    tensors["body.0.body.2.weight"] = tensors["body.0.body.2.weight"] / scale
    return replace(light_field, tensors=tensors)


def test_fp16_that_overflows_is_noticed(make_light_field, scene_rays, pretend_gpu):
    light_field, rays = hot(make_light_field, 100_000.0), scene_rays(256)
    layer_by_layer(light_field, Precision.BF16).shade(*rays)
    with pytest.raises(EngineError, match=r"exceed 65,504.*Choose bf16"):
        layer_by_layer(light_field, Precision.FP16).shade(*rays)
    pretend_gpu(triton=False)
    assert build_engine(light_field, Precision.BF16).info.engine == "cuda"
    with pytest.raises(EngineError, match="exceed 65,504"):
        build_engine(light_field, Precision.FP16, device="cuda")


# --- availability ------------------------------------------------------------------------------


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
    assert answers() == [yes] * 4, "cuBLAS does without"
    pretend_gpu((7, 5))
    assert answers() == [yes, Availability(False, "this GPU has no bf16 arithmetic"), yes, yes]
    pretend_gpu((7, 0))
    assert answers()[3] == Availability(False, "this GPU has no 8-bit tensor cores")


def test_which_ways_there_are(make_light_field, monkeypatch):
    narrow, wide = make_light_field(width=256), make_light_field(width=257)
    monkeypatch.setattr(cuda_engine, "find_spec", lambda name: object())

    def ways(light_field, precision, capability=(8, 6)):
        return cuda_engine.ways(light_field, precision, StandInDevice(capability))

    through_triton = TritonFusion()
    assert ways(narrow, Precision.FP32) == ([None], "")
    for precision in (Precision.BF16, Precision.FP16, Precision.INT8):
        assert ways(narrow, precision) == ([through_triton, None], "")
        assert ways(wide, precision)[0] == [None]
        assert "at most 256 channels wide" in ways(wide, precision)[1]
        assert "too old for Triton" in ways(narrow, precision, (7, 5))[1]
    monkeypatch.setattr(cuda_engine, "find_spec", lambda name: None)
    assert ways(narrow, Precision.FP16) == ([None], "Triton is not installed (pip install triton)")


def test_hopper_has_a_way_of_its_own(make_light_field, monkeypatch):
    def ways(width, capability=(9, 0), precision=Precision.BF16):
        light_field = make_light_field(width=width)
        return cuda_engine.ways(light_field, precision, StandInDevice(capability))[0]

    monkeypatch.setattr(cuda_engine, "find_spec", lambda name: object())
    for width in (129, 256):
        hopper = HopperFusion(triton_ends=True)
        assert ways(width) == [hopper, TritonFusion(), None]
    assert ways(128) == [TritonFusion(), None], "it would be padded to twice its width"
    assert ways(257) == [None]
    assert ways(256, precision=Precision.FP32) == [None]
    for other in ((8, 9), (10, 0), (12, 0)):
        assert ways(256, other) == [TritonFusion(), None]
    monkeypatch.setattr(cuda_engine, "find_spec", lambda name: None)
    assert ways(256) == [HopperFusion(), None], "it needs no Triton"


HALVES_AND_INTEGERS = [Precision.BF16, Precision.FP16, Precision.INT8]


@pytest.fixture
def on_hopper(pretend_gpu, monkeypatch):
    """A function that pretends an H100 whose kernels are those that `kernel` gives, and returns a
    list of the ways that are tried."""

    def install(kernel, triton=True, ends=False) -> list[object]:
        pretend_gpu((9, 0), triton)
        if not ends:  # there is no GPU for Triton
            monkeypatch.setattr(cuda_network, "ends_in_triton", lambda _: False)
        monkeypatch.setattr(cuda_engine, "HopperFusion", partial(HopperFusion, kernel))
        network, tried = cuda_engine.DeviceNetwork, []

        def noted(light_field, precision, encoder, fusion):
            tried.append(fusion and type(fusion))
            return network(light_field, precision, encoder, fusion)

        monkeypatch.setattr(cuda_engine, "DeviceNetwork", noted)
        return tried

    return install


def emulated(dtype: torch.dtype):
    return IntegerKernel() if dtype is torch.int8 else HalfKernel(dtype)


@pytest.mark.parametrize(
    ("precision", "triton"),
    [
        (Precision.BF16, True),
        (Precision.BF16, False),
        (Precision.FP16, True),
        (Precision.INT8, True),
    ],
)
def test_on_hopper_the_kernels_for_it_come_first(on_hopper, make_light_field, precision, triton):
    tried = on_hopper(emulated, triton)
    engine = build_engine(make_light_field(width=200, depth=8), precision)
    assert tried == [HopperFusion], engine.info.fallback
    assert "3 of 3 blocks fused by CUDA C++ for Hopper" in engine.info.kernel
    assert engine.info.fallback == "", "nothing better is missing"


def test_ends_that_fail_give_way_to_torch(on_hopper, make_light_field):
    """Triton's kernels fail by themselves: there is no GPU."""
    pytest.importorskip("triton")
    tried = on_hopper(emulated, ends=True)
    info = build_engine(make_light_field(width=200, depth=8), Precision.BF16).info
    assert tried == [HopperFusion]
    assert "3 of 3 blocks fused by CUDA C++ for Hopper" in info.kernel
    assert info.fallback.startswith("The first and the last layer run through torch: ")


def no_nvrtc(dtype):
    raise OSError("NVRTC was not found")


def refused_by_the_driver(dtype):
    raise RuntimeError("CUDA's driver refused cuModuleLoadData (CUDA_ERROR_NO_BINARY_FOR_GPU)")


def hangs(dtype):
    raise RuntimeError("the Hopper kernel did not come to an end in its trial of 60 s")


def wrong(dtype):
    kernel = emulated(dtype)

    class Wrong:
        n_processors = 4

        def __call__(self, n_programs, x, *rest) -> None:
            kernel(n_programs, x, *rest)
            x.copy_(x.flip(1))

    return Wrong()


@pytest.mark.parametrize("kernel", [no_nvrtc, refused_by_the_driver, hangs, wrong])
@pytest.mark.parametrize("precision", HALVES_AND_INTEGERS)
def test_from_hopper_to_triton_to_layer_by_layer(on_hopper, make_light_field, precision, kernel):
    """Triton fails by itself: there is no GPU."""
    pytest.importorskip("triton")
    tried = on_hopper(kernel)
    info = build_engine(make_light_field(width=200), precision, device="cuda").info
    assert tried == [HopperFusion, TritonFusion, None]
    assert "cuBLAS layer by layer" in info.kernel
    hopper, triton = info.fallback.split("; ")
    assert re.search(
        "NVRTC was not found|driver refused|did not come to an end|from float64", hopper
    )
    assert triton.startswith("The cuda engine could not be built")


def test_a_hopper_kernel_that_is_wrong_in_the_end_is_not_shown(on_hopper, make_light_field):
    """Right in the first blocks, which are held against float64, and wrong in all of them."""

    def late(dtype):
        kernel = emulated(dtype)

        class Late:
            n_processors = 4

            def __call__(self, n_programs, x, weights, parameters, n_blocks, n_tiles) -> None:
                kernel(n_programs, x, weights, parameters, n_blocks, n_tiles)
                if n_blocks > 4:
                    x.neg_()

        return Late()

    on_hopper(late, triton=False)
    info = build_engine(make_light_field(width=200, depth=14), Precision.BF16, device="cuda").info
    assert "cuBLAS layer by layer" in info.kernel
    assert "The cuda engine was refused for bf16: its picture is only" in info.fallback


# --- what it says of itself --------------------------------------------------------------------


def test_the_account(make_light_field):
    light_field = make_light_field(width=64)
    n_values = sum(tensor.numel() for tensor in light_field.tensors.values())

    info = cuda_engine.engine_info(light_field, Precision.FP16, "Some GPU", 0, "")
    assert (info.engine, info.device, info.emulated) == ("cuda", "Some GPU", None)
    assert (info.weight_type, info.weight_bytes) == ("float16", 2 * n_values)
    assert "cuBLAS" in info.kernel
    info = cuda_engine.engine_info(light_field, Precision.INT8, "Some GPU", 0, "")
    assert info.weight_type == "int8"
    # Four layers in eight bits, and the matrix that turns the stream.
    assert info.weight_bytes == 4 * (n_values + 64 * 64) - 3 * 64 * 64 * 4
    assert info.arithmetic.startswith("int8 x int8 -> int32, one scale per ray")

    names = body_layers(light_field.network)
    mixed = quantized(light_field, "int8", mix={names[0]: "fp32"})
    info = cuda_engine.engine_info(mixed, Precision.INT8, "Some GPU", 0, "")
    assert "1 of 4 body layers in float32" in info.arithmetic
    info = cuda_engine.engine_info(make_light_field(depth=2), Precision.INT8, "Some GPU", 0, "")
    assert (info.weight_type, info.arithmetic) == ("float32", "float32")


def test_the_account_of_fused_blocks(make_light_field):
    light_field = make_light_field(depth=8)
    info = cuda_engine.engine_info(
        light_field, Precision.INT8, "Some GPU", 2, "Something 3.1", True
    )
    assert "first and last layer through Triton" in info.kernel
    assert info.arithmetic.endswith("the head's float32 as three float16 products")
    halves = cuda_engine.engine_info(light_field, Precision.BF16, "Some GPU", 2, "Some", True)
    assert "head" not in halves.arithmetic
    info = cuda_engine.engine_info(light_field, Precision.INT8, "Some GPU", 2, "Something 3.1")
    assert "three" not in info.arithmetic
    assert "2 of 3 blocks fused by Something 3.1" in info.kernel


@needs_triton
def test_triton_says_its_version():
    assert re.fullmatch(r"Triton 3\.\d+\.\d+.*", TritonFusion().name)


def test_exact_products_are_asked_for_and_given_back():
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    try:
        matmul.fp32_precision = "tf32"
        with exact_products():
            assert matmul.fp32_precision == "ieee"
            assert not matmul.allow_fp16_reduced_precision_reduction
        assert matmul.fp32_precision == "tf32"
        assert matmul.allow_fp16_reduced_precision_reduction
    finally:
        matmul.fp32_precision = before


def test_nothing_needs_triton_to_start():
    code = "import sys; sys.modules['triton'] = None; import r2l_core.engines.cuda.engine"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)
