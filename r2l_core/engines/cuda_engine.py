# mypy: allow-untyped-calls
"""The CUDA backend: a captured graph per engine, and fused Triton kernels for the body.

A tile is one copy of rays to the GPU, two graph replays (encoding, network) and one copy of colours
back. fp32 calculates layer by layer through torch. The 16-bit formats run all residual blocks in
one fused kernel where Triton and the GPU allow it, and layer by layer where not. int8 demands the
fused kernel, because layer by layer it would be slower than fp16; only blocks of which a layer mix
keeps a part in float32 run on their own. `EngineInfo.kernel` says what runs.

State: kernels and network are tested on a processor, in Triton's interpreter. Graph capture, events
and pinned copies need a GPU and have never run on one; the tests that use them wait for one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import torch
from torch import Tensor

from r2l_core.engines.base import Shaded
from r2l_core.engines.cuda_network import DTYPES, FUSED_WIDTHS, DeviceNetwork
from r2l_core.engines.features import FeatureEncoder
from r2l_core.errors import EngineError, EngineUnavailable
from r2l_core.model.light_field import LightField
from r2l_core.model.quantized import described
from r2l_core.quantization.mix import quantized_layers
from r2l_core.types import Availability, EngineInfo, Precision

TILE_RAYS = 16384
"""About as many rays as the fused kernels of one H100 have in flight (132 multiprocessors, one or
two programs each, 64 rays a program)."""

_TRITON_CAPABILITY = (8, 0)
"""The least compute capability Triton supports; all such GPUs have bf16 and int8 tensor cores."""

_ARITHMETIC = {
    Precision.FP32: "float32, without TF32",
    Precision.BF16: "bfloat16 products, float32 sums and residual",
    Precision.FP16: "float16 products, float32 sums and residual",
    Precision.INT8: "int8 x int8 -> int32, one scale per ray; float32 residual, head and tail",
}
_WARM_UPS = 3


class CudaEngine:
    """fp32, bf16, fp16 or int8 on the current CUDA device. See Engine for the contract."""

    tile_rays = TILE_RAYS
    small_tiles: tuple[int, ...] = ()
    quiet_torch = False

    def __init__(self, light_field: LightField, precision: Precision) -> None:
        fused_for = _fused_for(light_field, precision)
        self._precision = precision
        self._device = torch.device("cuda", torch.cuda.current_device())
        # Its own stream: whatever else uses the GPU from this process does not wait for a tile.
        self._stream = torch.cuda.Stream(self._device)
        self._events = [torch.cuda.Event(enable_timing=True) for _ in range(3)]
        try:
            network = self._capture(light_field, fused_for)
        except Exception as error:
            # Triton's compiler raises errors of all kinds, for want of a C compiler, say.
            raise _failed("could not be built", precision, error) from error
        self.info = _info(light_field, precision, network.n_fused_blocks)

    @torch.inference_mode()
    def _capture(self, light_field: LightField, fused_for: tuple[int, int] | None) -> DeviceNetwork:
        self._rays_host = torch.empty(2, self.tile_rays, 3, pin_memory=True)
        self._colors_host = torch.empty(self.tile_rays, 3, pin_memory=True)
        self._rays = torch.zeros(2, self.tile_rays, 3, device=self._device)
        self._colors = torch.empty(self.tile_rays, 3, device=self._device)
        encoder = FeatureEncoder(light_field, self.tile_rays, self._device)
        network = DeviceNetwork(light_field, self._precision, encoder, fused_for)
        # A replayed graph uses the memory it was captured with, so that has to stay.
        self._held = (encoder, network)

        def encode() -> None:
            encoder.encode(self._rays[0], self._rays[1])

        def shade() -> None:
            self._colors.copy_(network(encoder.features))

        with _exact_products():
            self._encode = _captured(encode, self._stream)
            self._network = _captured(shade, self._stream)
        return network

    @torch.inference_mode()
    def shade(self, origins: Tensor, directions: Tensor) -> Shaded:
        """See Engine.shade."""
        try:
            return self._shade(origins, directions)
        except RuntimeError as error:
            raise _failed("failed", self._precision, error) from error

    def _shade(self, origins: Tensor, directions: Tensor) -> Shaded:
        start, encoded, done = self._events
        self._rays_host[0].copy_(origins)
        self._rays_host[1].copy_(directions)
        with torch.cuda.stream(self._stream):
            start.record(self._stream)
            self._rays.copy_(self._rays_host, non_blocking=True)
            self._encode.replay()
            encoded.record(self._stream)
            self._network.replay()
            self._colors_host.copy_(self._colors, non_blocking=True)
            done.record(self._stream)
        done.synchronize()
        # The pinned buffer is written again by the next tile.
        colors = self._colors_host.clone()
        return Shaded(colors, start.elapsed_time(encoded), encoded.elapsed_time(done))


def _captured(run: Callable[[], None], stream: torch.cuda.Stream) -> torch.cuda.CUDAGraph:
    """`run` as a graph, after warming up on a side stream as capturing demands: libraries allocate
    and kernels are compiled in the first calls."""
    stream.wait_stream(torch.cuda.current_stream(stream.device))
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UPS):
            run()
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    # thread_local: other threads of the process may go on allocating GPU memory meanwhile.
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        run()
    return graph


@contextmanager
def _exact_products() -> Iterator[None]:
    """No TF32 in float32, no 16-bit partial sums, whatever the process has set.

    Needed while warming up and capturing only: a graph keeps the kernels it was captured with.
    """
    matmul = torch.backends.cuda.matmul
    names = (
        "fp32_precision",
        "allow_fp16_reduced_precision_reduction",
        "allow_bf16_reduced_precision_reduction",
    )
    before = [getattr(matmul, name) for name in names]
    try:
        for name, value in zip(names, ("ieee", False, False), strict=True):
            setattr(matmul, name, value)
        yield
    finally:
        for name, value in zip(names, before, strict=True):
            setattr(matmul, name, value)


def _failed(what: str, precision: Precision, error: Exception) -> EngineError:
    lines = str(error).splitlines()
    return EngineError(
        f"The cuda engine {what} in {precision}",
        lines[0].rstrip(".") if lines else type(error).__name__,
        "Choose another precision or the processor; if memory ran out, close other programs.",
    )


def _no_triton() -> str:
    """Why the fused kernels cannot run on this machine's GPU, or nothing."""
    if find_spec("triton") is None:
        return "Triton is not installed (pip install triton)"
    if torch.cuda.get_device_capability() < _TRITON_CAPABILITY:
        return "this GPU is too old for Triton, which needs compute capability 8.0"
    return ""


def _fused_for(light_field: LightField, precision: Precision) -> tuple[int, int] | None:
    """The GPU's compute capability where the body runs fused, or None where it need not.

    Raises EngineUnavailable where int8 cannot run.
    """
    if precision is Precision.FP32:
        return None
    why_not = _no_triton()
    if not why_not and not light_field.network.standard_blocks:
        why_not = "the fused kernels take blocks of two layers with a ReLU between"
    if not why_not and light_field.network.width > max(FUSED_WIDTHS):
        why_not = f"the fused kernels are at most {max(FUSED_WIDTHS)} channels wide"
    if why_not and precision is Precision.INT8:
        raise EngineUnavailable(
            f"int8 cannot run on this GPU for {light_field.name}",
            why_not,
            "Choose another precision, or the processor.",
        )
    return None if why_not else torch.cuda.get_device_capability()


def _info(light_field: LightField, precision: Precision, n_fused: int) -> EngineInfo:
    dtype, quantized = DTYPES[precision], quantized_layers(light_field, precision)
    weight_type, arithmetic = str(dtype).removeprefix("torch."), _ARITHMETIC[precision]
    if precision is Precision.INT8:
        weight_type = "int8" if quantized else weight_type
        arithmetic = described(arithmetic, light_field.network, quantized)
    kernel = "cuBLAS layer by layer"
    if n_fused:
        import triton

        n_blocks = light_field.network.n_blocks
        kernel = f"{n_fused} of {n_blocks} blocks fused by Triton {triton.__version__}"
    return EngineInfo(
        engine="cuda",
        precision=precision,
        device=torch.cuda.get_device_name(),
        weight_type=weight_type,
        arithmetic=arithmetic,
        kernel=f"torch {torch.__version__}, {kernel}, captured in a CUDA graph",
        weight_bytes=sum(
            tensor.numel() * (1 if name.removesuffix(".weight") in quantized else dtype.itemsize)
            for name, tensor in light_field.tensors.items()
        ),
    )


class CudaFactory:
    """Says what the CUDA device can do, and builds its engines."""

    def available(self, precision: Precision, device: str) -> Availability:
        """fp32 and fp16 on any GPU torch runs on; bf16 and int8 on those that calculate in it."""
        if device != "cuda":
            return Availability(False, "the cuda engine runs on an NVIDIA GPU")
        if precision not in DTYPES:
            return Availability(False, "the cuda engine runs fp32, bf16, fp16 and int8")
        if not torch.cuda.is_available():
            return Availability(False, "torch finds no CUDA device")
        if precision is Precision.BF16 and torch.cuda.get_device_capability() < (8, 0):
            return Availability(False, "this GPU has no bf16 arithmetic")
        if precision is Precision.INT8 and (why_not := _no_triton()):
            return Availability(False, why_not)
        return Availability(True)

    def build(self, light_field: LightField, precision: Precision, device: str) -> CudaEngine:
        """See EngineFactory.build."""
        return CudaEngine(light_field, precision)
