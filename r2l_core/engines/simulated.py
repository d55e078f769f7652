"""Eight bits simulated in float32: the readable twins that integer engines are tested against.

Values are rounded to integers and multiplied as floats. Sums of products of 8-bit integers stay
below 2^24 for layers up to 1,040 wide, where float32 is exact: the arithmetic is that of an integer
engine, at no gain in speed. The published `dynamic-int8-fake` recipe runs here as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from r2l_core.checkpoint import LightField
from r2l_core.engines.base import Shaded
from r2l_core.engines.features import FeatureEncoder
from r2l_core.engines.torch_engine import PackedLinear
from r2l_core.errors import EngineError
from r2l_core.network import activate_
from r2l_core.quantization.arithmetic import LEVELS, TINY
from r2l_core.quantization.calibration import calibrated
from r2l_core.quantization.model import (
    Quantization,
    QuantizedLinear,
    body_layers,
    described,
    quantize_dynamic,
)
from r2l_core.quantization.published import fake_batch, fake_rows
from r2l_core.types import Availability, EngineInfo, Precision

Layer = Callable[[Tensor], Tensor]

_TILE_RAYS = 2048
_ARITHMETIC = {
    Precision.INT8_SIM: "8-bit values, one scale per ray, multiplied in float32",
    Precision.INT8_STATIC_SIM: "8-bit values, one fixed scale per layer, multiplied in float32",
    Precision.DYNAMIC_INT8_FAKE: "8-bit values, one scale per batch, multiplied in float32",
}
_EMULATED = {
    Precision.INT8_SIM: "simulated in float32: no speed-up",
    Precision.INT8_STATIC_SIM: "simulated in float32: no speed-up",
    Precision.DYNAMIC_INT8_FAKE: (
        "published recipe, simulated in float32; a colour depends on the rays rendered with it"
    ),
}


class SimulatedEngine:
    """int8-sim, int8-static-sim and dynamic-int8-fake. See Engine for the contract.

    `rounding` off leaves activations as they are: for tests that must tell rounding from none.
    """

    tile_rays = _TILE_RAYS

    def __init__(
        self, light_field: LightField, precision: Precision, rounding: bool = True
    ) -> None:
        network, tensors = light_field.network, light_field.tensors
        self._network = network
        self._encoder = FeatureEncoder(light_field, self.tile_rays)
        quantized = _quantized_layers(light_field, precision)

        def layer(name: str) -> Layer:
            weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
            if name == "head.0":
                weight = self._encoder.head_weight(weight)
            if precision is Precision.DYNAMIC_INT8_FAKE:
                rounded = PackedLinear(fake_rows(weight), bias, self.tile_rays)
                return lambda x: rounded(fake_batch(x))
            if name in quantized:
                return _simulated(quantized[name], bias, self.tile_rays, rounding)
            return PackedLinear(weight, bias, self.tile_rays)

        self._head, self._tail = layer("head.0"), layer("tail.0")
        self._blocks = [
            [layer(name) for name in network.block_layers(k)] for k in range(network.n_blocks)
        ]
        arithmetic = _ARITHMETIC[precision]
        rounds_weights = precision is Precision.DYNAMIC_INT8_FAKE
        if not rounds_weights:
            arithmetic = described(arithmetic, network, quantized)
        self.info = EngineInfo(
            engine="simulated",
            precision=precision,
            device="cpu",
            weight_type="int8 values in float32" if rounds_weights or quantized else "float32",
            arithmetic=arithmetic,
            kernel=f"torch {torch.__version__}",
            weight_bytes=sum(t.numel() * 4 for t in tensors.values()),
            emulated=_EMULATED[precision],
        )

    @torch.inference_mode()
    def shade(self, origins: Tensor, directions: Tensor) -> Shaded:
        """See Engine.shade."""
        try:
            return self._shade(origins, directions)
        except RuntimeError as error:
            raise EngineError(
                f"The simulated engine failed in {self.info.precision}",
                str(error).splitlines()[0],
                "Choose another precision; if memory ran out, close other programs.",
            ) from error

    def _shade(self, origins: Tensor, directions: Tensor) -> Shaded:
        start = time.perf_counter()
        features = self._encoder.encode(origins, directions)
        encoded = time.perf_counter()
        network = self._network
        hidden = activate_(self._head(features), network.act)
        x = hidden
        for *inner, last in self._blocks:
            y = x
            for layer in inner:
                y = activate_(layer(y), network.inact)
            x = activate_(x + last(y) * network.res_scale, network.outact)
        if network.use_residual:
            x = x + hidden
        colors = self._tail(x).sigmoid_()
        done = time.perf_counter()
        return Shaded(colors, (encoded - start) * 1e3, (done - encoded) * 1e3)


def _quantized_layers(
    light_field: LightField, precision: Precision
) -> Mapping[str, QuantizedLinear]:
    """The file's own scales where it brings those of this recipe; otherwise found now."""
    own: Quantization | None = light_field.quantization
    if precision is Precision.INT8_SIM:
        if own is not None and own.recipe == "int8":
            return own.layers
        return quantize_dynamic(light_field.tensors, body_layers(light_field.network))
    if precision is Precision.INT8_STATIC_SIM:
        if own is not None and own.recipe == "int8-static":
            return own.layers
        return calibrated(light_field).layers
    return {}


def _simulated(layer: QuantizedLinear, bias: Tensor, tile_rays: int, rounding: bool) -> Layer:
    weight = layer.weight.values.to(torch.float32)
    product = PackedLinear(weight, torch.zeros(len(weight)), tile_rays)
    weight_scale = layer.weight.scale.reshape(1, -1)
    fixed = None if layer.input_amax is None else torch.tensor(layer.input_amax)

    def run(x: Tensor) -> Tensor:
        if layer.smooth is not None:
            x = x / layer.smooth
        amax = x.abs().amax(dim=1, keepdim=True) if fixed is None else fixed
        scale = torch.where(amax <= TINY, 0.0, amax / LEVELS)
        levels = x / torch.where(scale == 0, 1.0, scale)
        if rounding:
            levels = levels.round().clamp_(-LEVELS, LEVELS)
        return product(levels) * (scale * weight_scale) + bias

    return run


class SimulatedFactory:
    """Builds the simulations; they run anywhere."""

    def available(self, precision: Precision, device: str) -> Availability:
        """The simulated eight-bit precisions, on the CPU."""
        if device != "cpu":
            return Availability(False, "the simulations run on the CPU")
        if precision not in _ARITHMETIC:
            return Availability(False, "the simulations are of eight bits only")
        return Availability(True)

    def build(self, light_field: LightField, precision: Precision, device: str) -> SimulatedEngine:
        """See EngineFactory.build."""
        return SimulatedEngine(light_field, precision)
