"""The torch backend: oneDNN-packed weights on a CPU, plain products elsewhere.

On a CPU, `torch.nn.functional.linear` in float32 runs at less than half the speed of the same
product with weights packed by oneDNN once; the packed operators are the ones torch's own compiler
emits.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor
from torch.nn import functional

from r2l_core.engines.base import Shaded, failures_of, require_finite
from r2l_core.engines.processor import this_processor
from r2l_core.model.encoding import FeatureEncoder
from r2l_core.model.light_field import LightField
from r2l_core.model.module import activate_
from r2l_core.model.network import Activation
from r2l_core.quantization.simulation import rounded_tensors
from r2l_core.types import Availability, EngineInfo, Precision

_NO_FP16 = "this processor has no fp16 arithmetic: fp16 weights, calculated in float32"
_RECIPE = "published recipe: weights are rounded, everything is calculated in float32"

# Measured best on two AVX-512 cores, where a tile of either size takes about 50 ms.
_TILE_RAYS = {torch.float32: 2048, torch.bfloat16: 3072, torch.float16: 3072}
# A 400x400 preview of every 32nd, 16th or eighth pixel has about 135, 520 or 2,080 rays that
# meet the scene; those between are for what fits a frame.
_SMALL_TILES = (160, 256, 576, 800, 1024, 1280, 1536, 1792, 2112, 2560)


def _onednn() -> bool:
    return bool(torch._C._has_mkldnn)


def _fp16_arithmetic() -> bool:
    # oneDNN reports fp16 only for processors that calculate in it, and knows no pretences of ours.
    has_fp16 = this_processor().has_any("avx512_fp16", "amx_fp16", "fp16_arith")
    return has_fp16 and _onednn() and bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())


class PackedLinear:
    """One linear layer on the CPU, packed by oneDNN where that exists, otherwise as torch has it.

    weight: (out, in), bias: (out,), of one type, packed for inputs of `tile_rays` rows.
    """

    def __init__(self, weight: Tensor, bias: Tensor, tile_rays: int) -> None:
        self._packed = _onednn()
        self._bias = bias
        self._weight = (
            torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), tile_rays)
            if self._packed
            else weight
        )

    def __call__(self, x: Tensor, activation: Activation = "none") -> Tensor:
        """(n, in) -> (n, out), with "relu" applied in the same sweep."""
        if self._packed:
            fused = "relu" if activation == "relu" else "none"
            result: Tensor = torch.ops.mkldnn._linear_pointwise(
                x, self._weight, self._bias, fused, [], ""
            )
            return result if activation == fused else activate_(result, activation)
        return activate_(functional.linear(x, self._weight, self._bias), activation)

    def plus(self, x: Tensor, other: Tensor) -> Tensor:
        """other + linear(x), in one sweep where that is faster; `other` may be overwritten."""
        if self._packed and x.dtype is not torch.float32:
            result: Tensor = torch.ops.mkldnn._linear_pointwise.binary(
                x, other, self._weight, self._bias, "add"
            )
            return result
        return other.add_(self(x))


class TorchEngine:
    """Floating precisions and weight-only roundings on the CPU. See Engine for the contract."""

    any_rays = False
    quiet_torch = False

    def __init__(self, light_field: LightField, precision: Precision) -> None:
        network, tensors = light_field.network, light_field.tensors
        dtype, self.info = _plan(light_field, precision)
        if self.info.emulated is not None:
            tensors = rounded_tensors(precision, tensors)
        self._dtype = dtype
        self._network = network
        self.tile_rays = _TILE_RAYS[dtype]
        self.small_tiles = tuple(n for n in _SMALL_TILES if n < self.tile_rays)
        self._encoder = FeatureEncoder(light_field, self.tile_rays)

        def linear(name: str, scale: float = 1.0) -> PackedLinear:
            weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
            if name == "head.0":
                weight = self._encoder.head_weight(weight)
            weight, bias = (weight * scale).to(dtype), (bias * scale).to(dtype)
            return PackedLinear(weight, bias, self.tile_rays)

        self._head = linear("head.0")
        # res_scale is folded into the layer it multiplies.
        self._blocks = [
            ([linear(name) for name in inner], linear(last, network.res_scale))
            for *inner, last in map(network.block_layers, range(network.n_blocks))
        ]
        self._tail = linear("tail.0")

    @torch.inference_mode()
    def shade(self, origins: Tensor, directions: Tensor) -> Shaded:
        """See Engine.shade."""
        with failures_of(self.info):
            return self._shade(origins, directions)

    def _shade(self, origins: Tensor, directions: Tensor) -> Shaded:
        start = time.perf_counter()
        features = self._encoder.encode(origins, directions).to(self._dtype)
        encoded = time.perf_counter()
        network = self._network
        hidden = self._head(features, network.act)
        x = hidden.clone() if network.use_residual else hidden
        for inner, last in self._blocks:
            y = x
            for layer in inner:
                y = layer(y, network.inact)
            x = activate_(last.plus(y, x), network.outact)
        if network.use_residual:
            x = x + hidden
        logits = self._tail(x).float()
        if self._dtype is torch.float16:
            require_finite(bool(logits.isfinite().all()), "torch", self.info.precision)
        colors = logits.sigmoid_()
        done = time.perf_counter()
        return Shaded(colors, (encoded - start) * 1e3, (done - encoded) * 1e3)


def _plan(light_field: LightField, precision: Precision) -> tuple[torch.dtype, EngineInfo]:
    """The type that is calculated in, and the words for it."""
    emulated: str | None = None
    if precision in (Precision.FP32, Precision.BF16):
        dtype = stored = torch.float32 if precision is Precision.FP32 else torch.bfloat16
    elif precision is Precision.FP16:
        dtype = torch.float16 if _fp16_arithmetic() else torch.float32
        stored = torch.float16
        emulated = None if dtype is torch.float16 else _NO_FP16
    else:
        dtype, emulated = torch.float32, _RECIPE
        stored = torch.bfloat16 if precision is Precision.WEIGHTS_BF16 else torch.int8
    weight_type = str(stored).removeprefix("torch.")
    if emulated is not None:
        weight_type += " values in float32"
    name = str(dtype).removeprefix("torch.")
    kernel = "oneDNN, packed weights" if _onednn() else "unpacked linear layers"
    info = EngineInfo(
        engine="torch",
        precision=precision,
        device="cpu",
        weight_type=weight_type,
        arithmetic="float32" if dtype is torch.float32 else f"{name} products, float32 sums",
        kernel=f"torch {torch.__version__}, {kernel}",
        weight_bytes=sum(t.numel() for t in light_field.tensors.values()) * dtype.itemsize,
        emulated=emulated,
    )
    return dtype, info


class TorchFactory:
    """Says what torch can do on this processor, and builds its engines."""

    def available(self, precision: Precision, device: str) -> Availability:
        """fp32 and rounded weights anywhere; bf16 where the processor calculates in it."""
        if device != "cpu":
            return Availability(False, "the torch engine runs on the CPU")
        if precision is Precision.BF16 and not this_processor().has_any(
            "avx512_bf16", "amx_bf16", "bf16"
        ):
            return Availability(
                False, "this processor has no bf16 arithmetic; torch would emulate it"
            )
        if precision in (
            Precision.FP32,
            Precision.BF16,
            Precision.FP16,
            Precision.WEIGHTS_BF16,
            Precision.WEIGHTS_INT8_FAKE,
        ):
            rounded = precision.published_recipe or precision is Precision.FP16
            native_fp16 = precision is Precision.FP16 and _fp16_arithmetic()
            return Availability(True, emulated=rounded and not native_fp16)
        return Availability(False, "the torch engine has no eight-bit arithmetic")

    def build(self, light_field: LightField, precision: Precision, device: str) -> TorchEngine:
        """See EngineFactory.build."""
        return TorchEngine(light_field, precision)
