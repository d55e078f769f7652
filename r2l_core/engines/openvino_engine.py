"""The OpenVINO backend for processors: fp32, bf16, and integer int8 with one scale per ray.

int8 layers are written as compressed weights (int8 constant, converted and scaled), which the CPU
plugin runs as integer products with activations quantised as they come, in groups of
DYNAMIC_QUANTIZATION_GROUP_SIZE channels. One group as wide as the layer is one scale per ray. With
group size 0 the same graph claims int8 but runs floats, so a freshly built int8 engine is probed
(`quantization.probe`) before it may call itself integer.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from r2l_core.engines.base import Shaded, failures_of
from r2l_core.engines.processor import this_processor
from r2l_core.model.encoding import FeatureEncoder
from r2l_core.model.light_field import LightField
from r2l_core.model.network import LEAKY_SLOPE, Activation, NetworkConfig
from r2l_core.model.quantized import described
from r2l_core.quantization.folding import FoldedNetwork, folded
from r2l_core.torch_threads import one_torch_thread
from r2l_core.types import Availability, EngineInfo, Precision

if TYPE_CHECKING:
    import openvino as ov

# OpenVINO reports every import to an analytics host, and keeps an id for that in the home folder,
# unless its package for it is missing. Nothing here leaves the machine, so it is: None makes an
# import fail as if nothing of that name were installed.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

_TILE_RAYS = 1024
_SMALL_TILES = (64, 160, 256, 400, 576, 800)
_WIDTH_MULTIPLE = 16
"""Other widths run as floats whatever the group size; layers are padded with zeros to this."""

_ARITHMETIC = {
    Precision.FP32: "float32",
    Precision.BF16: "bfloat16 products, float32 sums",
    Precision.INT8: "int8 x int8 -> int32, one scale per ray; float32 residual, head and tail",
}


class OpenVinoEngine:
    """One compiled graph per engine, for any number of rays. See Engine for the contract."""

    tile_rays = _TILE_RAYS
    small_tiles = _SMALL_TILES
    any_rays = False
    quiet_torch = True

    def __init__(self, light_field: LightField, precision: Precision) -> None:
        import openvino as ov

        network = light_field.network
        self._encoder = FeatureEncoder(light_field, self.tile_rays)
        numbers = folded(light_field, precision)
        quantized = numbers.integers
        graph = _Graph(network, numbers, self._encoder)
        config: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision is Precision.BF16 else "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "NUM_STREAMS": 1,
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": graph.width if precision is Precision.INT8 else 0,
        }
        model = graph.model(network.input_size)
        self._request = ov.Core().compile_model(model, "CPU", config).create_infer_request()
        # Both ends share memory with the graph, so that a tile is neither copied in nor out.
        self._colors = torch.empty(self.tile_rays, 3)
        self._ends = {
            n: tuple(
                ov.Tensor(end[:n].numpy(), shared_memory=True)
                for end in (self._encoder.features, self._colors)
            )
            for n in (*self.small_tiles, self.tile_rays)
        }
        self.info = EngineInfo(
            engine="openvino",
            precision=precision,
            device="cpu",
            weight_type={
                Precision.FP32: "float32",
                Precision.BF16: "bfloat16",
                Precision.INT8: "int8" if quantized else "float32",
            }[precision],
            arithmetic=described(_ARITHMETIC[precision], network, quantized)
            if precision is Precision.INT8
            else _ARITHMETIC[precision],
            kernel=f"OpenVINO {ov.__version__.split('-')[0]}",
            weight_bytes=numbers.weight_bytes(2 if precision is Precision.BF16 else 4),
        )

    def shade(self, origins: Tensor, directions: Tensor) -> Shaded:
        """See Engine.shade."""
        start = time.perf_counter()
        with one_torch_thread():
            self._encoder.encode(origins, directions)
        encoded = time.perf_counter()
        n = len(origins)
        features, colors = self._ends[n]
        with failures_of(self.info):
            self._request.set_input_tensor(features)
            self._request.set_output_tensor(colors)
            self._request.infer()
        done = time.perf_counter()
        return Shaded(self._colors[:n].clone(), (encoded - start) * 1e3, (done - encoded) * 1e3)


class _Graph:
    """The network as OpenVINO nodes, body padded with zero channels to a supported width."""

    def __init__(
        self,
        network: NetworkConfig,
        numbers: FoldedNetwork,
        encoder: FeatureEncoder,
    ) -> None:
        self._network = network
        self._tensors, self._turn = numbers.tensors, numbers.turn
        self._encoder = encoder
        self._quantized = numbers.integers
        self._biases = {
            "head.0": self._tensors["head.0.bias"],
            **numbers.biases,
            "tail.0": self._tensors["tail.0.bias"],
        }
        self._pad = -network.width % _WIDTH_MULTIPLE if numbers.integers else 0
        self.width = self._network.width + self._pad

    def model(self, input_size: int) -> ov.Model:
        """Features (n, input_size) to colours (n, 3), for any n."""
        import openvino as ov
        from openvino import opset13 as op

        features = op.parameter([-1, input_size], np.float32)
        network = self._network
        hidden = _activated(self._linear(features, "head.0"), network.act)
        if self._turn is not None:
            turn = functional.pad(self._turn, (0, self._pad, 0, self._pad))
            hidden = op.matmul(hidden, op.constant(turn.numpy()), False, True)
        x = hidden
        for k in range(network.n_blocks):
            *inner, last = network.block_layers(k)
            y = x
            for name in inner:
                y = _activated(self._linear(y, name), network.inact)
            x = op.add(x, self._linear(y, last, network.res_scale))
            x = _activated(x, network.outact)
        if network.use_residual:
            x = op.add(x, hidden)
        return ov.Model([op.sigmoid(self._linear(x, "tail.0"))], [features], "r2l")

    def _linear(self, x: Any, name: str, scale: float = 1.0) -> Any:
        from openvino import opset13 as op

        bias = self._biases[name]
        # Zero rows and columns: the padded channels stay zero, and change no row's maximum.
        columns = 0 if name == "head.0" else self._pad
        rows = 0 if name == "tail.0" else self._pad
        bias = functional.pad(bias, (0, rows))
        if name in self._quantized:
            rowwise = self._quantized[name].weight
            values = functional.pad(rowwise.values, (0, columns, 0, rows))
            scales = functional.pad(rowwise.scale * scale, (0, 0, 0, rows))
            matrix = op.multiply(
                op.convert(op.constant(values.numpy()), "f32"), op.constant(scales.numpy())
            )
        else:
            weight = self._tensors[f"{name}.weight"]
            if name == "head.0":
                weight = self._encoder.head_weight(weight)
            padded = functional.pad(weight * scale, (0, columns, 0, rows))
            matrix = op.constant(padded.contiguous().numpy())
        product = op.matmul(x, matrix, False, True)
        return op.add(product, op.constant(bias.reshape(1, -1).numpy()))


def _activated(x: Any, activation: Activation) -> Any:
    from openvino import opset13 as op

    if activation == "relu":
        return op.relu(x)
    if activation == "lrelu":
        return op.prelu(x, op.constant(np.array([LEAKY_SLOPE], np.float32)))
    return x


class OpenVinoFactory:
    """Says what OpenVINO can do on this processor, and builds its engines."""

    def available(self, precision: Precision, device: str) -> Availability:
        """fp32, bf16 where the processor has it, and int8 where it has 8-bit dot products."""
        if device != "cpu":
            return Availability(False, "the openvino engine runs on the CPU")
        if precision not in _ARITHMETIC:
            return Availability(False, "the openvino engine runs fp32, bf16 and int8")
        if importlib.util.find_spec("openvino") is None:
            return Availability(False, "OpenVINO is not installed (pip install openvino)")
        processor = this_processor()
        if precision is Precision.BF16 and not processor.has_any("avx512_bf16", "amx_bf16"):
            return Availability(False, "this processor has no bf16 arithmetic")
        if precision is Precision.INT8 and not processor.has_any("avx512_vnni", "avx_vnni"):
            return Availability(False, "this processor has no 8-bit dot products (VNNI)")
        return Availability(True)

    def build(self, light_field: LightField, precision: Precision, device: str) -> OpenVinoEngine:
        """See EngineFactory.build. An int8 engine that fails the integer probe is refused."""
        if precision is Precision.INT8:
            # Narrower networks are padded to this width, and too narrow ones prove nothing.
            _require_integers(max(light_field.network.width, _WIDTH_MULTIPLE))
        return OpenVinoEngine(light_field, precision)


def _require_integers(width: int) -> None:
    from r2l_core.errors import EngineUnavailable

    if not _runs_integers(width):
        raise EngineUnavailable(
            f"int8 cannot run at width {width} with OpenVINO",
            "its layers were calculated in floating point, so the label would not be true",
            "Choose int8-sim, or another engine.",
        )


@functools.cache
def _runs_integers(width: int) -> bool:
    """The integer probe, asked once per width: it compiles two networks."""
    from r2l_core.engines.integer_probe import runs_integers

    return runs_integers(lambda field: OpenVinoEngine(field, Precision.INT8), width)
