"""A light field in eight bits: which layers, with which scales.

Layers are named as in the state dict without `.weight`, such as `body.3.body.0`. Head and tail
always stay in high precision: the head's inputs span frequencies that eight bits cannot hold, and
the tail is three outputs wide.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from r2l_core.errors import QuantizationError
from r2l_core.model.network import NetworkConfig
from r2l_core.model.turning import turn_matrix, turned
from r2l_core.types import Precision

if TYPE_CHECKING:
    from torch import Tensor

    from r2l_core.model.arithmetic import QuantizedRows

LayerPrecision = Literal["int8", "fp32"]
Recipe = Literal["weights-bf16", "weights-int8-fake", "dynamic-int8-fake", "int8", "int8-static"]


@dataclass(frozen=True, eq=False)
class QuantizedLinear:
    """One linear layer in eight bits.

    weight: int8 (out, in), one scale per output row; where `smooth` is given, of the weight times
    it. input_amax: the range of all inputs of a static recipe, or None for one dynamic scale per
    ray. smooth: float32 (in,), by which inputs are divided first (SmoothQuant), or None. center:
    float32 (in,), subtracted from inputs before they are rounded and added back after, or None.
    bias: float32 (out,) that goes with these integers, or None for the light field's own.
    """

    weight: QuantizedRows
    input_amax: float | None = None
    smooth: Tensor | None = None
    center: Tensor | None = None
    bias: Tensor | None = None

    def effective_weight(self) -> Tensor:
        """The float32 weight (out, in) of unsmoothed inputs that the integers stand for."""
        weight = self.weight.dequantized()
        return weight if self.smooth is None else weight / self.smooth

    def bias_at_center(self, own_bias: Tensor) -> Tensor:
        """What is added to the product of the integers and centred inputs: float64 (out,).

        own_bias: the light field's, (out,).
        """
        bias = (own_bias if self.bias is None else self.bias).double()
        if self.center is None:
            return bias
        return bias + self.weight.dequantized().double() @ self.center.double()


@dataclass(frozen=True, eq=False)
class Quantization:
    """How a light field was quantised.

    layers: those in eight bits, none for published recipes; all others run in float32. settings:
    how the scales were found, for people and provenance. turn_signs: int8 (width,), of the turn
    (`model.turning`) that the residual stream has where these layers meet it, or None. A light
    field's own tensors are never turned.
    """

    recipe: Recipe
    layers: Mapping[str, QuantizedLinear]
    settings: Mapping[str, Any] = field(default_factory=dict)
    turn_signs: Tensor | None = None

    def turn(self) -> Tensor | None:
        """The matrix that turns the stream, float32 (width, width), or None."""
        import torch

        signs = self.turn_signs
        return None if signs is None else torch.from_numpy(turn_matrix(signs.numpy()))

    @property
    def opens_in(self) -> Precision:
        """The precision that runs this recipe; rounded weights are run as they are, in fp32."""
        return {
            "int8": Precision.INT8,
            "int8-static": Precision.INT8_STATIC_SIM,
            "dynamic-int8-fake": Precision.DYNAMIC_INT8_FAKE,
        }.get(self.recipe, Precision.FP32)


def stood_for(
    network: NetworkConfig, tensors: Mapping[str, Tensor], quantization: Quantization
) -> dict[str, Tensor]:
    """`tensors` (by state-dict name), and for the layers in eight bits the float32 weights and
    biases that their integers stand for, turned back."""
    result = dict(tensors)
    for name, layer in quantization.layers.items():
        result[f"{name}.weight"] = layer.effective_weight()
        if layer.bias is not None:
            result[f"{name}.bias"] = layer.bias
    turn = quantization.turn()
    return turned(network, result, None if turn is None else turn.T, quantization.layers)


def body_layers(network: NetworkConfig) -> list[str]:
    """Names of the layers that can run in eight bits, first to last."""
    return [name for k in range(network.n_blocks) for name in network.block_layers(k)]


def chosen_layers(network: NetworkConfig, mix: Mapping[str, LayerPrecision] | None) -> list[str]:
    """The layers to quantise: all of the body, less those that `mix` keeps in fp32.

    Raises QuantizationError for names and values that are not known.
    """
    names = body_layers(network)
    for name, precision in (mix or {}).items():
        if name not in names:
            raise QuantizationError(
                f"The layer mix names '{name}'",
                "the network has no such body layer",
                f"Body layers are {names[0]} to {names[-1]}." if names else "",
            )
        if precision not in ("int8", "fp32"):
            raise QuantizationError(
                f"The layer mix asks for '{precision}' in {name}",
                "a layer is either int8 or fp32",
                "Correct the mix.",
            )
    return [name for name in names if (mix or {}).get(name, "int8") == "int8"]


def described(arithmetic: str, network: NetworkConfig, quantized: Collection[str]) -> str:
    """`arithmetic`, the words for an eight-bit layer, of a network with these layers in eight bits,
    and maybe others that are not."""
    n_layers = len(body_layers(network))
    if not quantized:
        return "float32"
    if len(quantized) == n_layers:
        return arithmetic
    return f"{arithmetic}; {n_layers - len(quantized)} of {n_layers} body layers in float32"
