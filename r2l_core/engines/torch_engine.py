"""The torch backend: oneDNN-packed weights on a CPU, plain tensor-core products on CUDA.

On a CPU, `torch.nn.functional.linear` in float32 runs at less than half the speed of the same
product with weights packed by oneDNN once; the packed operators are the ones torch's own compiler
emits. The residual blocks work in two reused activations per tile.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor
from torch.nn import functional

from r2l_core.checkpoint import LightField
from r2l_core.encoding import encode_into, feature_major_order
from r2l_core.engines.base import Shaded
from r2l_core.errors import EngineError
from r2l_core.rays import sample_depths, sample_points
from r2l_core.types import Availability, EngineInfo, Precision

_DTYPES = {
    Precision.FP32: torch.float32,
    Precision.BF16: torch.bfloat16,
    Precision.FP16: torch.float16,
}

# Measured best on two AVX-512 cores; bf16 is nearly as fast in tiles half the size, and smaller
# tiles answer a new camera sooner.
_CPU_TILE_RAYS = {Precision.FP32: 2048, Precision.BF16: 1024}
_CUDA_TILE_RAYS = 16384


def _cpu_has(*features: str) -> bool:
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(feature, False) for feature in features)


def _onednn() -> bool:
    return bool(torch._C._has_mkldnn)


class _Linear:
    """One linear layer, packed by oneDNN where that exists, otherwise as torch has it."""

    def __init__(self, weight: Tensor, bias: Tensor, tile_rays: int, packed: bool) -> None:
        self._packed = packed
        self._bias = bias
        self._weight = (
            torch.ops.mkldnn._reorder_linear_weight(weight, tile_rays) if packed else weight
        )

    def __call__(self, x: Tensor, activation: str = "none") -> Tensor:
        if self._packed:
            result: Tensor = torch.ops.mkldnn._linear_pointwise(
                x, self._weight, self._bias, activation, [], ""
            )
            return result
        result = functional.linear(x, self._weight, self._bias)
        return result.relu_() if activation == "relu" else result

    def plus(self, x: Tensor, other: Tensor) -> Tensor:
        """other + linear(x), in one sweep over memory where oneDNN can."""
        if self._packed and x.dtype is not torch.float32:
            result: Tensor = torch.ops.mkldnn._linear_pointwise.binary(
                x, other, self._weight, self._bias, "add"
            )
            return result
        return other.add_(self(x))


class TorchEngine:
    """fp32, bf16 or fp16 through torch. See Engine for the contract."""

    def __init__(self, light_field: LightField, precision: Precision, device: str) -> None:
        network, tensors = light_field.network, light_field.tensors
        self._dtype = _DTYPES[precision]
        self._device = torch.device(device)
        self._n_frequencies = network.n_frequencies
        self._use_residual = network.use_residual
        packed = device == "cpu" and _onednn()
        self.tile_rays = _CUDA_TILE_RAYS if device == "cuda" else _CPU_TILE_RAYS[precision]
        self._depths = sample_depths(light_field.scene, network.n_sample, self._device)

        order = feature_major_order(3 * network.n_sample, network.n_frequencies)
        self._head = self._linear(
            tensors["head.0.weight"][:, order], tensors["head.0.bias"], packed
        )
        self._blocks = [
            (
                self._linear(
                    tensors[f"body.{k}.body.0.weight"], tensors[f"body.{k}.body.0.bias"], packed
                ),
                # res_scale is folded into the layer it multiplies.
                self._linear(
                    tensors[f"body.{k}.body.2.weight"] * network.res_scale,
                    tensors[f"body.{k}.body.2.bias"] * network.res_scale,
                    packed,
                ),
            )
            for k in range(network.n_blocks)
        ]
        self._tail = self._linear(tensors["tail.0.weight"], tensors["tail.0.bias"], packed)
        self._features = torch.empty(self.tile_rays, network.input_size, device=self._device)

        name = str(self._dtype).removeprefix("torch.")
        kernel = "oneDNN, packed weights" if packed else "unpacked linear layers"
        self.info = EngineInfo(
            engine="torch",
            precision=precision,
            device=torch.cuda.get_device_name() if device == "cuda" else "cpu",
            weight_type=name,
            arithmetic=f"{name} products, float32 sums",
            kernel=f"torch {torch.__version__}, {kernel}",
            weight_bytes=sum(t.numel() for t in tensors.values()) * self._dtype.itemsize,
        )

    def _linear(self, weight: Tensor, bias: Tensor, packed: bool) -> _Linear:
        return _Linear(
            weight.to(self._device, self._dtype).contiguous(),
            bias.to(self._device, self._dtype),
            self.tile_rays,
            packed,
        )

    @torch.inference_mode()
    def shade(self, origins: Tensor, directions: Tensor) -> Shaded:
        """See Engine.shade."""
        try:
            return self._shade(origins, directions)
        except RuntimeError as error:
            raise EngineError(
                f"The torch engine failed in {self.info.precision}",
                str(error).splitlines()[0],
                "Choose another precision; if memory ran out, close other programs.",
            ) from error

    def _shade(self, origins: Tensor, directions: Tensor) -> Shaded:
        start = self._clock()
        origins, directions = origins.to(self._device), directions.to(self._device)
        points = sample_points(origins, directions, self._depths)
        encode_into(points, self._n_frequencies, self._features)
        features = self._features.to(self._dtype)
        encoded = self._clock()
        hidden = self._head(features, "relu")
        x = hidden.clone() if self._use_residual else hidden
        for first, second in self._blocks:
            x = second.plus(first(x, "relu"), x)
        if self._use_residual:
            x = x + hidden
        colors = self._tail(x).float().sigmoid_().cpu()
        done = self._clock()
        return Shaded(colors, (encoded - start) * 1e3, (done - encoded) * 1e3)

    def _clock(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


class TorchFactory:
    """Says what torch can do here, and builds its engines."""

    def available(self, precision: Precision, device: str) -> Availability:
        """fp32 anywhere; 16-bit formats where the processor calculates in them."""
        if device == "cuda":
            if not torch.cuda.is_available():
                return Availability(False, "torch finds no CUDA device")
            if precision is Precision.BF16 and not torch.cuda.is_bf16_supported(
                including_emulation=False
            ):
                return Availability(False, "this GPU has no bf16 arithmetic")
            return Availability(True)
        if precision is Precision.FP16:
            # oneDNN reports fp16 support only for processors that calculate in it.
            if not (_onednn() and torch.ops.mkldnn._is_mkldnn_fp16_supported()):
                return Availability(
                    False,
                    "this processor has no fp16 arithmetic; torch would emulate it several times "
                    "slower than fp32",
                )
            return Availability(True)
        if precision is Precision.BF16 and not _cpu_has("avx512_bf16", "amx_bf16", "bf16"):
            return Availability(
                False, "this processor has no bf16 arithmetic; torch would emulate it"
            )
        return Availability(True)

    def build(self, light_field: LightField, precision: Precision, device: str) -> TorchEngine:
        """See EngineFactory.build."""
        return TorchEngine(light_field, precision, device)
