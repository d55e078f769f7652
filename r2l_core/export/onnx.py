"""A light field as an ONNX graph: rays in, colours out, for runtimes other than ours.

The graph holds everything between: depths, points, positional encoding and the network. In eight
bits, body layers are pairs of QuantizeLinear and DequantizeLinear (QDQ), which runtimes either
compute as written or fuse into integer products. See `describe` for what a file says about itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from r2l_core.errors import ExportError
from r2l_core.export.saturation import without_saturation
from r2l_core.files import replacing
from r2l_core.geometry.rays import sample_depths
from r2l_core.geometry.scene import SceneSpec
from r2l_core.model.arithmetic import LEVELS, TINY
from r2l_core.model.light_field import LightField
from r2l_core.model.network import LEAKY_SLOPE, Activation, NetworkConfig
from r2l_core.model.quantized import QuantizedLinear
from r2l_core.quantization.mix import quantized_layers
from r2l_core.types import Precision

EXPORTED = (Precision.FP32, Precision.INT8_STATIC_SIM)
OPSET = 17
IR_VERSION = 8
"""Of 2022, with all that is needed here: newer ones would only shut out older runtimes."""

MAX_BYTES = 2**31 - 1
"""Most that one protobuf message holds."""


def onnx_model(light_field: LightField, precision: Precision) -> onnx.ModelProto:
    """`origins` and `directions`, float32 (n, 3) as `Engine.shade` takes them, to `colors`, float32
    (n, 3) in [0, 1], for any n. Checked by `onnx.checker`.

    `int8-static-sim`: the layers of `without_saturation` as QDQ. Activations have one scale a
    layer, weights one per output row, zero points are 0. Where the simulation saturates at -127,
    ONNX does at -128.

    Raises ExportError where ONNX cannot say it, and QuantizationError where a static range cannot
    be found.
    """
    if precision not in EXPORTED:
        raise ExportError(
            f"{precision} cannot be exported",
            "an ONNX file holds the network in float32 or in static eight bits here",
            f"Choose one of {', '.join(EXPORTED)}.",
        )
    if precision is Precision.INT8_STATIC_SIM:
        light_field = without_saturation(light_field)
    quantized = quantized_layers(light_field, precision)
    weight_bytes = sum(
        tensor.numel() * (1 if name.removesuffix(".weight") in quantized else 4)
        for name, tensor in light_field.tensors.items()
    )
    # A tenth for names, nodes and scales.
    if 1.1 * weight_bytes > MAX_BYTES:
        raise ExportError(
            f"The light field {light_field.name} cannot be exported in {precision}",
            f"its weights take {weight_bytes / 1e9:.1f} GB, and an ONNX file holds up to 2",
            "Choose a smaller network.",
        )
    graph = _Graph(light_field.network, light_field.tensors, quantized)
    graph.network(graph.features(light_field.scene))
    model = graph.model()
    helper.set_model_props(model, describe(light_field, precision))
    onnx.checker.check_model(model, full_check=True)
    return model


def describe(light_field: LightField, precision: Precision) -> dict[str, str]:
    """What the file's `metadata_props` say: `network` and `scene` (near, far, background and where
    it lies) are JSON; `rays` is the `RayMode` that the graph's inputs must be in."""
    return {
        # A file's name need not be text, and a protobuf string has to be.
        "name": light_field.name.encode(errors="replace").decode(),
        "precision": str(precision),
        "checkpoint_sha256": light_field.sha256,
        "network": json.dumps(light_field.network.to_dict()),
        "scene": light_field.scene.to_json(),
        "rays": light_field.ray_mode(),
    }


def save_model(model: onnx.ModelProto, path: Path) -> None:
    """Write an ONNX file, whole or not at all. Raises ExportError."""
    with replacing(path, ExportError, f"The ONNX file {path} could not be written") as new:
        new.write_bytes(model.SerializeToString())


class _Graph:
    """An ONNX graph as it grows. Values are known by their names; nodes bear those of layers."""

    def __init__(
        self,
        config: NetworkConfig,
        tensors: Mapping[str, Tensor],
        quantized: Mapping[str, QuantizedLinear],
    ) -> None:
        self._config = config
        self._tensors = tensors
        self._quantized = quantized
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def model(self) -> onnx.ModelProto:
        """Everything so far, of which `origins`, `directions` and `colors` are the ends."""
        meanings = {
            "origins": "where each ray starts, in world units",
            "directions": "along each ray; depth 1 is origin + direction",
            "colors": "sRGB in [0, 1]",
        }
        ends = {
            end: helper.make_tensor_value_info(end, TensorProto.FLOAT, ["n", 3], meaning)
            for end, meaning in meanings.items()
        }
        graph = helper.make_graph(
            self._nodes,
            "light_field",
            [ends["origins"], ends["directions"]],
            [ends["colors"]],
            list(self._constants.values()),
        )
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="r2l_core",
        )

    def features(self, scene: SceneSpec) -> str:
        """Rays to encoded features (n, input_size), in the published order (`encode_reference`)."""
        config = self._config
        points = self._plucker() if config.plucker else self._points(scene)
        points = self._reshaped("coordinates", points, config.n_coordinates, 1)
        octaves = 2.0 ** torch.arange(config.n_frequencies, dtype=torch.float32)
        parts = [points]
        if config.n_frequencies:
            angles = self._node("Mul", "angles", points, self._constant("octaves", octaves))
            parts = [self._node("Sin", "sin", angles), self._node("Cos", "cos", angles), points]
        encoded = self._node("Concat", "encoding", *parts, axis=2)
        return self._reshaped("features", encoded, config.input_size)

    def network(self, features: str) -> None:
        """Features to `colors`, as `R2LNetwork.forward`."""
        config = self._config
        hidden = self._activated("head.act", self._linear("head.0", features), config.act)
        stream = hidden
        for k in range(config.n_blocks):
            *inner, last = config.block_layers(k)
            x = stream
            for name in inner:
                x = self._activated(f"{name}.act", self._linear(name, x), config.inact)
            x = self._linear(last, x)
            if config.res_scale != 1.0:
                scale = self._constant("res_scale", torch.tensor(config.res_scale))
                x = self._node("Mul", f"body.{k}.scaled", x, scale)
            stream = self._node("Add", f"body.{k}.sum", stream, x)
            stream = self._activated(f"body.{k}.act", stream, config.outact)
        if config.use_residual:
            stream = self._node("Add", "skip", stream, hidden)
        self._node("Sigmoid", "colors", self._linear("tail.0", stream))

    def _points(self, scene: SceneSpec) -> str:
        """(n, n_sample, 3): see `sample_points`."""
        depths = sample_depths(scene, self._config.n_sample).reshape(1, -1, 1)
        origins = self._reshaped("origins_of_points", "origins", 1, 3)
        directions = self._reshaped("directions_of_points", "directions", 1, 3)
        offsets = self._node("Mul", "offsets", directions, self._constant("depths", depths))
        return self._node("Add", "points", origins, offsets)

    def _plucker(self) -> str:
        """(n, 6): see `plucker_coordinates`. ONNX has no cross product."""

        def turned(value: str, *order: int) -> str:
            name = f"{value}_{''.join('xyz'[i] for i in order)}"
            indices = self._constant("".join("xyz"[i] for i in order), torch.tensor(order))
            return self._node("Gather", name, value, indices, axis=1)

        terms = [
            self._node("Mul", f"moment_{k}", turned("origins", *a), turned("directions", *b))
            for k, (a, b) in enumerate([((1, 2, 0), (2, 0, 1)), ((2, 0, 1), (1, 2, 0))])
        ]
        moment = self._node("Sub", "moment", *terms)
        return self._node("Concat", "plucker", "directions", moment, axis=1)

    def _linear(self, name: str, x: str) -> str:
        """A layer's product with its bias."""
        layer = self._quantized.get(name)
        if layer is None:
            weight = self._constant(f"{name}.weight", self._tensors[f"{name}.weight"].T)
        else:
            x, weight = self._rounded(name, x, layer), self._integers(name, layer)
        product = self._node("MatMul", f"{name}.product", x, weight)
        bias = self._constant(f"{name}.bias", self._tensors[f"{name}.bias"])
        return self._node("Add", name, product, bias)

    def _rounded(self, name: str, x: str, layer: QuantizedLinear) -> str:
        """The inputs (n, in) at the layer's static range."""
        if layer.smooth is not None:
            factor = self._constant(f"{name}.smooth_factor", 1.0 / layer.smooth)
            x = self._node("Mul", f"{name}.smoothed", x, factor)
        amax = torch.tensor(layer.input_amax)
        step = torch.where(amax <= TINY, 1.0, amax / LEVELS)  # see `_integers`
        scale = self._constant(f"{name}.input_scale", step)
        zero = self._constant("zero_point", torch.tensor(0, dtype=torch.int8))
        levels = self._node("QuantizeLinear", f"{name}.input_levels", x, scale, zero)
        return self._node("DequantizeLinear", f"{name}.input", levels, scale, zero)

    def _integers(self, name: str, layer: QuantizedLinear) -> str:
        """The weight (in, out) that the layer's integers stand for."""
        values, scale = layer.weight.values, layer.weight.scale
        # Runtimes want scales above 0: what quantises to nothing gets integers of 0 instead.
        assert layer.input_amax is not None
        silent = (scale == 0) | (layer.input_amax <= TINY)
        values, scale = torch.where(silent, 0, values), torch.where(silent, 1.0, scale)
        return self._node(
            "DequantizeLinear",
            f"{name}.weight",
            self._constant(f"{name}.weight_levels", values.to(torch.int8).T),
            self._constant(f"{name}.weight_scale", scale.reshape(-1)),
            self._constant(f"{name}.weight_zero_points", torch.zeros(len(values)).to(torch.int8)),
            axis=1,
        )

    def _activated(self, name: str, x: str, activation: Activation) -> str:
        if activation == "relu":
            return self._node("Relu", name, x)
        if activation == "lrelu":
            return self._node("LeakyRelu", name, x, alpha=LEAKY_SLOPE)
        return x

    def _reshaped(self, name: str, x: str, *row_shape: int) -> str:
        """(n, ...) to (n, *row_shape)."""
        shape = self._constant(f"{name}.shape", torch.tensor([0, *row_shape]))  # 0 keeps n
        return self._node("Reshape", name, x, shape)

    def _node(self, operator: str, name: str, *inputs: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def _constant(self, name: str, value: Tensor) -> str:
        if name not in self._constants:
            array: NDArray[Any] = np.ascontiguousarray(value.numpy())
            self._constants[name] = numpy_helper.from_array(array.reshape(value.shape), name)
        return name
