"""Eight bits simulated in float32: the readable twins that integer engines are tested against.

Values are rounded to integers and multiplied as floats. Sums of products of 8-bit integers stay
below 2^24 for layers up to 1,040 wide, where float32 is exact: the arithmetic is that of an integer
engine, at no gain in speed. The published `dynamic-int8-fake` recipe runs here as well.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor

from r2l_core.engines.base import Shaded, failures_of
from r2l_core.engines.torch_engine import PackedLinear
from r2l_core.model.encoding import FeatureEncoder
from r2l_core.model.light_field import LightField
from r2l_core.model.quantized import body_layers, described
from r2l_core.model.turning import turned
from r2l_core.quantization.mix import quantized_layers, stream_turn
from r2l_core.quantization.simulation import Layer, fake_batch, fake_rows, simulated_layer
from r2l_core.quantization.walk import TURN, Layers, colors_of, walk
from r2l_core.types import Availability, EngineInfo, Precision

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
    small_tiles: tuple[int, ...] = ()
    any_rays = False
    quiet_torch = False

    def __init__(
        self, light_field: LightField, precision: Precision, rounding: bool = True
    ) -> None:
        network = light_field.network
        self._network = network
        self._encoder = FeatureEncoder(light_field, self.tile_rays)
        quantized, turn = (
            quantized_layers(light_field, precision),
            stream_turn(light_field, precision),
        )
        tensors = turned(network, light_field.tensors, turn)

        def layer(name: str) -> Layer:
            weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
            if name == "head.0":
                weight = self._encoder.head_weight(weight)
            if precision is Precision.DYNAMIC_INT8_FAKE:
                rounded = PackedLinear(fake_rows(weight), bias, self.tile_rays)
                return lambda x: rounded(fake_batch(x))
            if name in quantized:
                integers = quantized[name].weight.values.to(torch.float32)
                product = PackedLinear(integers, torch.zeros(len(bias)), self.tile_rays)
                return simulated_layer(quantized[name], bias, product, rounding)
            return PackedLinear(weight, bias, self.tile_rays)

        names = ["head.0", *body_layers(network), "tail.0"]
        layers = {name: layer(name) for name in names}
        if turn is not None:
            layers[TURN] = PackedLinear(turn, torch.zeros(len(turn)), self.tile_rays)
        self._layers = Layers(lambda name, x: layers[name](x), turn)
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
        with failures_of(self.info):
            return self._shade(origins, directions)

    def _shade(self, origins: Tensor, directions: Tensor) -> Shaded:
        start = time.perf_counter()
        features = self._encoder.encode(origins, directions)
        encoded = time.perf_counter()
        colors = colors_of(walk(self._network, self._layers, features))
        done = time.perf_counter()
        return Shaded(colors, (encoded - start) * 1e3, (done - encoded) * 1e3)


class SimulatedFactory:
    """Builds the simulations; they run anywhere."""

    def available(self, precision: Precision, device: str) -> Availability:
        """The simulated eight-bit precisions, on the CPU."""
        if device != "cpu":
            return Availability(False, "the simulations run on the CPU")
        if precision not in _ARITHMETIC:
            return Availability(False, "the simulations are of eight bits only")
        return Availability(True, emulated=True)

    def build(self, light_field: LightField, precision: Precision, device: str) -> SimulatedEngine:
        """See EngineFactory.build."""
        return SimulatedEngine(light_field, precision)
