"""The CUDA engine: captured graphs, and the fastest way through the network that works.

A tile of rays is one copy to the GPU, two graph replays (encoding, network) and one copy of colours
back; a whole picture is one replay (`pictures`), and so is a list of pixels (`pixels`). The 16-bit
formats and int8 run all residual blocks in one fused kernel: of CUDA C++ on an H100 or H200
(`hopper`), else through Triton; where none can be built, or it draws a wrong picture, they run
layer by layer through cuBLAS, as fp32 always does. `EngineInfo.kernel` says what runs,
`EngineInfo.fallback` what failed before.

State: everything but `device.CudaDevice` is tested on a processor, kernels in Triton's interpreter;
docs/gpu.md says on which cards all of it has run, how fast, and how to try it on another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec

import torch
from torch import Tensor

from r2l_core.engines import choice
from r2l_core.engines.base import Shaded, require_finite
from r2l_core.engines.cuda.device import (
    Device,
    SceneOnDevice,
    cuda_device,
    failures,
)
from r2l_core.engines.cuda.fusion import TRITON_WIDTHS, Fusion, TritonFusion
from r2l_core.engines.cuda.hopper.blocks import HOPPER, HopperFusion
from r2l_core.engines.cuda.network import DTYPES, DeviceNetwork
from r2l_core.engines.cuda.pictures import CudaPictures
from r2l_core.engines.cuda.pixels import CudaPixels
from r2l_core.errors import EngineError
from r2l_core.geometry.scene import SceneSpec
from r2l_core.model.encoding import FeatureEncoder
from r2l_core.model.light_field import LightField
from r2l_core.model.quantized import described
from r2l_core.quantization.folding import folded
from r2l_core.types import Availability, EngineInfo, Precision, RayMode

TILE_RAYS = 132 * 128
"""About as many rays as the fused kernels of one H100 have in flight (132 multiprocessors, one or
two programs each, 64 rays a program)."""

_TRITON_CAPABILITY = (8, 0)
"""The least compute capability Triton supports; all such GPUs have bf16 and int8 tensor cores."""
_INT8_CAPABILITY = (7, 5)
"""The least with integer tensor cores, which cuBLAS multiplies int8 with."""

_ARITHMETIC = {
    Precision.FP32: "float32, without TF32",
    Precision.BF16: "bfloat16 products, float32 sums and residual",
    Precision.FP16: "float16 products, float32 sums and residual",
    Precision.INT8: "int8 x int8 -> int32, one scale per ray; float32 residual, head and tail",
}


class CudaEngine:
    """fp32, bf16, fp16 or int8 on a GPU. See Engine for the contract.

    fusion: how to fuse the blocks, or None for layer by layer.
    """

    tile_rays = TILE_RAYS
    small_tiles: tuple[int, ...] = ()
    any_rays = False
    quiet_torch = False

    def __init__(
        self,
        light_field: LightField,
        precision: Precision,
        device: Device,
        fusion: Fusion | None,
    ) -> None:
        self._device = device
        self._precision = precision
        with failures("could not be built", precision):
            network = self._capture(light_field, fusion)
            by = fusion.name if fusion is not None and network.n_fused_blocks else ""
            info = engine_info(
                *(light_field, precision, device.name, network.n_fused_blocks, by),
                triton_ends=not network.needs_features,
            )
            self.info = replace(info, fallback=network.why_torch_ends)

    @torch.inference_mode()
    def _capture(self, light_field: LightField, fusion: Fusion | None) -> DeviceNetwork:
        device, place = self._device, self._device.torch_device
        self._marks = [device.mark() for _ in range(3)]
        self._rays_host = device.host_memory(2, self.tile_rays, 3)
        self._colors_host = device.host_memory(self.tile_rays, 3)
        self._rays = torch.zeros(2, self.tile_rays, 3, device=place)
        self._colors = torch.empty(self.tile_rays, 3, device=place)
        # A replayed graph uses the memory it was captured with, so these have to stay.
        encoder = FeatureEncoder(light_field, self.tile_rays, place)
        self._on_device = network = DeviceNetwork(light_field, self._precision, encoder, fusion)

        def encode() -> None:
            encoder.encode(self._rays[0], self._rays[1])

        def shade() -> None:
            if network.needs_features:
                self._colors.copy_(network.shaded(encoder.features))
            else:
                self._colors.copy_(network.colors(self._rays[0], self._rays[1]))

        self._encode = device.captured(encode) if network.needs_features else None
        self._network = device.captured(shade)
        return network

    @torch.inference_mode()
    def shade(self, origins: Tensor, directions: Tensor) -> Shaded:
        """See Engine.shade."""
        with failures("failed", self._precision):
            shaded = self._shade(origins, directions)
        require_finite(bool(shaded.colors.isfinite().all()), "cuda", self._precision)
        return shaded

    def _shade(self, origins: Tensor, directions: Tensor) -> Shaded:
        start, encoded, done = self._marks
        self._rays_host[0].copy_(origins)
        self._rays_host[1].copy_(directions)
        with self._device.working():
            start.record()
            self._rays.copy_(self._rays_host, non_blocking=True)
            if self._encode is not None:
                self._encode()
            encoded.record()
            self._network()
            self._colors_host.copy_(self._colors, non_blocking=True)
            done.record()
        done.synchronize()
        # The pinned buffer is written again by the next tile.
        colors = self._colors_host.clone()
        return Shaded(colors, start.elapsed_time(encoded), encoded.elapsed_time(done))

    def whole_pictures(self, scene: SceneSpec, ray_mode: RayMode) -> CudaPictures:
        """See PictureEngine.whole_pictures."""
        return CudaPictures(self._shown(scene, ray_mode))

    def pixel_lists(self, scene: SceneSpec, ray_mode: RayMode) -> CudaPixels:
        """See PictureEngine.pixel_lists."""
        sizes = [self.tile_rays // parts for parts in (8, 4, 2)]
        multiple = self._on_device.rays_multiple
        small = tuple(size for size in sizes if size and size % multiple == 0)
        return CudaPixels(self._shown(scene, ray_mode), small)

    def _shown(self, scene: SceneSpec, ray_mode: RayMode) -> SceneOnDevice:
        return SceneOnDevice(
            self._device, self._colors_of, self.tile_rays, self._precision, scene, ray_mode
        )

    def _colors_of(self, origins: Tensor, directions: Tensor) -> Tensor:
        """Rays of up to a tile to their colours, float32 (n, 3) each, all on the device."""
        return self._on_device.colors(origins, directions)


def ways(
    light_field: LightField, precision: Precision, device: Device
) -> tuple[list[Fusion | None], str]:
    """How to fuse the blocks, best first, None for layer by layer; and why they are not fused
    through Triton though they are in this precision, a clause."""
    if precision is Precision.FP32:
        return [None], ""
    network = light_field.network
    why_not = ""
    if not network.standard_blocks:
        why_not = "the fused kernels take blocks of two layers with a ReLU between"
    elif network.width > max(TRITON_WIDTHS):
        why_not = f"the fused kernels are at most {max(TRITON_WIDTHS)} channels wide"
    if why_not:
        return [None], why_not
    if find_spec("triton") is None:
        why_not = "Triton is not installed (pip install triton)"
    elif device.capability < _TRITON_CAPABILITY:
        why_not = "this GPU is too old for Triton, which needs compute capability 8.0"
    found: list[Fusion | None] = []
    # Narrower networks would be padded to much more than Triton pads them to.
    if device.capability == HOPPER and network.width > TRITON_WIDTHS[-2]:
        found.append(HopperFusion(triton_ends=not why_not))
    if not why_not:
        found.append(TritonFusion())
    return [*found, None], why_not


def engine_info(
    light_field: LightField,
    precision: Precision,
    device_name: str,
    n_fused: int,
    fused_by: str,
    triton_ends: bool = False,
) -> EngineInfo:
    """The account of an engine that runs `n_fused` of the network's blocks fused, by what, and
    maybe its first and last layer in kernels of their own."""
    dtype, numbers = DTYPES[precision], folded(light_field, precision)
    quantized = numbers.integers
    weight_type, arithmetic = str(dtype).removeprefix("torch."), _ARITHMETIC[precision]
    if precision is Precision.INT8:
        weight_type = "int8" if quantized else weight_type
        arithmetic = described(arithmetic, light_field.network, quantized)
    kernel = "cuBLAS layer by layer"
    if n_fused:
        kernel = f"{n_fused} of {light_field.network.n_blocks} blocks fused by {fused_by}"
    if triton_ends:
        kernel += ", first and last layer through Triton"
        if dtype is torch.float32:
            arithmetic += "; the head's float32 as three float16 products"
    return EngineInfo(
        engine="cuda",
        precision=precision,
        device=device_name,
        weight_type=weight_type,
        arithmetic=arithmetic,
        kernel=f"torch {torch.__version__}, {kernel}, captured in a CUDA graph",
        weight_bytes=numbers.weight_bytes(dtype.itemsize),
    )


class CudaFactory:
    """Says what the CUDA device can do, and builds its engines.

    device: gives the device to build for.
    """

    def __init__(self, device: Callable[[], Device] = cuda_device) -> None:
        self._device = device

    def available(self, precision: Precision, device: str) -> Availability:
        """fp32 and fp16 on any GPU torch runs on; bf16 and int8 on those that calculate in it."""
        if device != "cuda":
            return Availability(False, "the cuda engine runs on an NVIDIA GPU")
        if precision not in DTYPES:
            return Availability(False, "the cuda engine runs fp32, bf16, fp16 and int8")
        if not torch.cuda.is_available():
            return Availability(False, "torch finds no CUDA device")
        capability = torch.cuda.get_device_capability()
        if precision is Precision.BF16 and capability < (8, 0):
            return Availability(False, "this GPU has no bf16 arithmetic")
        if precision is Precision.INT8 and capability < _INT8_CAPABILITY:
            return Availability(False, "this GPU has no 8-bit tensor cores")
        return Availability(True)

    def build(self, light_field: LightField, precision: Precision, device: str) -> CudaEngine:
        """See EngineFactory.build. The first way that can be built and draws the right picture."""
        with failures("could not be started", precision):
            place = self._device()
            left, why_not = ways(light_field, precision, place)
        failed: list[str] = []
        while True:
            way = left.pop(0)
            try:
                engine = CudaEngine(light_field, precision, place, way)
                choice.check(engine, light_field)
            except EngineError as error:
                if not left:
                    raise
                # Not the error itself: its traceback would keep what was built so far.
                failed.append(f"{error.what}: {error.why}")
            else:
                if way is None and why_not:
                    failed.append(why_not)
                if engine.info.fallback:
                    failed.append(engine.info.fallback)
                engine.info = replace(engine.info, fallback="; ".join(failed))
                return engine
