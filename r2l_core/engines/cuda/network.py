"""A light field's network on a GPU: head and tail through torch, its blocks fused where possible.

Nothing here needs a GPU: it also runs on a processor, the fused kernels in Triton's interpreter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from r2l_core.engines.cuda.fusion import Blocks, Fusion
from r2l_core.errors import first_line
from r2l_core.model.arithmetic import quantize_rows
from r2l_core.model.encoding import FeatureEncoder
from r2l_core.model.light_field import LightField
from r2l_core.model.module import activate_
from r2l_core.model.network import NetworkConfig
from r2l_core.quantization.folding import folded
from r2l_core.types import Precision

if TYPE_CHECKING:
    from r2l_core.engines.cuda.triton_ends import TritonEnds

DTYPES = {
    Precision.FP32: torch.float32,
    Precision.BF16: torch.bfloat16,
    Precision.FP16: torch.float16,
    Precision.INT8: torch.float32,
}
"""The type weights are held in and layers calculate in, but for those in eight bits. Residual and
tail are calculated in float32 always."""

_INTEGER_MULTIPLE = 16
"""cuBLAS multiplies int8 matrices whose sides are multiples of it; others are padded likewise."""

_LAYER_RAYS_MULTIPLE = 32
"""Calls layer by layer have a multiple of so many rays: 8-bit products ask for more than 16."""

_MOST_COORDINATES = 64
"""Of a ray, that the first layer's kernel holds beside its sums."""


class LayerByLayer:
    """Consecutive residual blocks as torch products; `layers` of one after the other."""

    def __init__(
        self, layers: Sequence[Callable[[Tensor], Tensor]], network: NetworkConfig
    ) -> None:
        self._layers = layers
        self._network = network

    def __call__(self, x: Tensor) -> None:
        """Run the blocks in place. x: float32 (rays, width)."""
        network = self._network
        for start in range(0, len(self._layers), network.n_learnable):
            *inner, last = self._layers[start : start + network.n_learnable]
            y = x
            for layer in inner:
                y = activate_(layer(y), network.inact)
            x += last(y)
            activate_(x, network.outact)


def ends_in_triton(light_field: LightField) -> bool:
    """Whether the network's first and last layer are of the kind that has a kernel of its own."""
    network = light_field.network
    return (
        network.use_residual
        and network.act == "relu"
        and not network.plucker
        and network.n_coordinates <= _MOST_COORDINATES
    )


class DeviceNetwork:
    """Rays to colours, on the device of `encoder`.

    fusion: how to fuse the blocks, or None for layer by layer. A block with a layer in eight bits
    and another in float32 is never fused.
    """

    def __init__(
        self,
        light_field: LightField,
        precision: Precision,
        encoder: FeatureEncoder,
        fusion: Fusion | None,
    ) -> None:
        network, numbers = light_field.network, folded(light_field, precision)
        tensors = numbers.tensors
        self._network, self._numbers = network, numbers
        self._encoder, self._device = encoder, encoder.features.device
        self._dtype = DTYPES[precision]
        self._quantized = numbers.integers
        self._width = network.width
        if fusion is not None:
            self._width = min(width for width in fusion.widths if width >= network.width)
        elif self._quantized:
            self._width = -(-network.width // _INTEGER_MULTIPLE) * _INTEGER_MULTIPLE

        head = encoder.head_weight(tensors["head.0.weight"])
        pad = (0, 0, 0, self._width - network.width)
        self._head = (
            self._held(functional.pad(head, pad)),
            self._held(self._padded(tensors["head.0.bias"])),
        )
        tail = functional.pad(tensors["tail.0.weight"], (0, self._width - network.width))
        self._tail = self._held(tail), self._held(tensors["tail.0.bias"])
        self._turn: Tensor | None = None
        if numbers.turn is not None:
            wider = self._width - network.width
            self._turn = functional.pad(numbers.turn, (0, wider, 0, wider)).to(self._device)
        self._ends: TritonEnds | None = None
        self.why_torch_ends = ""
        """Why the first and last layer run through torch though there is a kernel, a sentence."""
        blocks = range(network.n_blocks)
        fusible = [fusion is not None and self._fusible(k, precision) for k in blocks]
        # Where no block is fused, the ends are torch's as well: eight bits of none are float32.
        takes_ends = fusion is not None and fusion.triton_ends and any(fusible)
        if takes_ends and ends_in_triton(light_field):
            try:
                # Imported here: Triton is optional.
                from r2l_core.engines.cuda.triton_ends import checked_ends

                self._ends = checked_ends(
                    light_field, numbers, self._dtype, self._width, self._device
                )
            except (torch.OutOfMemoryError, torch.AcceleratorError):
                raise
            except Exception as error:  # of any kind, as for want of a C compiler
                self.why_torch_ends = (
                    f"The first and the last layer run through torch: {first_line(error)}"
                )
        self._segments: list[Callable[[Tensor], None]] = []
        self.n_fused_blocks = 0
        """How many of the network's blocks run in a fused kernel."""
        self.rays_multiple = _LAYER_RAYS_MULTIPLE if fusion is None else fusion.rays_multiple
        """Calls have a multiple of so many rays."""
        for fused, run in groupby(blocks, fusible.__getitem__):
            # res_scale is folded into the layer it multiplies.
            names = []
            for *inner, last in map(network.block_layers, run):
                names += [*((name, 1.0) for name in inner), (last, network.res_scale)]
            if fused and fusion is not None:
                part = self._fused(names, fusion)
                self._segments.append(part)
                self.n_fused_blocks += part.n_blocks
            else:
                layers = [self._layer(*name) for name in names]
                self._segments.append(LayerByLayer(layers, network))

    @property
    def needs_features(self) -> bool:
        """Whether rays are encoded before the network is called, or on the way."""
        return self._ends is None

    def colors(self, origins: Tensor, directions: Tensor) -> Tensor:
        """Rays, float32 (n, 3) each, to their colours, float32 (n, 3); see `shaded`."""
        if self._ends is None:
            return self.shaded(self._encoder.encode(origins, directions))
        x, hidden = self._ends.first(origins.contiguous(), directions.contiguous())
        for segment in self._segments:
            segment(x)
        return self._ends.last(x, hidden)

    def shaded(self, features: Tensor) -> Tensor:
        """float32 (rays, input_size), in fast order -> float32 (rays, 3).

        A ray whose activations have overflowed has a colour that is not a number.
        """
        network = self._network
        hidden = functional.linear(features.to(self._dtype), *self._head)
        hidden = activate_(hidden, network.act).float()
        if self._turn is not None:
            hidden = functional.linear(hidden, self._turn)
        use_residual = network.use_residual
        x = hidden.clone() if use_residual else hidden
        for segment in self._segments:
            segment(x)
        if use_residual:
            x += hidden
        weight, bias = self._tail
        logits = functional.linear(x, weight.float(), bias.float())
        # Infinities make NaN here, or what has overflowed would pass for black or white.
        return logits.sigmoid() + 0.0 * logits

    def _fusible(self, block: int, precision: Precision) -> bool:
        """The kernels take standard blocks all in eight bits, or all in 16."""
        if not self._network.standard_blocks:
            return False
        if precision is Precision.INT8:
            return all(name in self._quantized for name in self._network.block_layers(block))
        return precision is not Precision.FP32

    def _held(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._device, self._dtype).contiguous()

    def _padded(self, values: Tensor) -> Tensor:
        """float32 (width,)"""
        return functional.pad(values, (0, self._width - len(values))).to(self._device)

    def _weight(self, name: str, factor: float) -> Tensor:
        """(width, width), out by in; int8 where the layer is."""
        rows = self._quantized.get(name)
        pad = self._width - self._network.width
        if rows is not None:
            return functional.pad(rows.weight.values, (0, pad, 0, pad)).to(self._device)
        weight = self._numbers.tensors[f"{name}.weight"]
        return self._held(functional.pad(weight * factor, (0, pad, 0, pad)))

    def _scales(self, name: str, factor: float) -> Tensor:
        """float32 (width,) of an int8 weight's rows."""
        return self._padded(self._quantized[name].weight.scale[:, 0] * factor)

    def _fused(self, names: list[tuple[str, float]], fusion: Fusion) -> Blocks:
        weights = torch.stack([self._weight(*name) for name in names])
        eight_bits = weights.dtype is torch.int8
        return fusion.blocks(
            weights,
            torch.stack([self._padded(self._numbers.biases[name]) for name, _ in names]),
            torch.stack([self._scales(*name) for name in names]) if eight_bits else None,
        )

    def _layer(self, name: str, factor: float) -> Callable[[Tensor], Tensor]:
        """One layer through torch, (rays, width) to the same."""
        weight, bias = self._weight(name, factor), self._padded(self._numbers.biases[name])
        dtype = self._dtype
        if name not in self._quantized:
            bias = self._held(bias)
            return lambda x: functional.linear(x.to(dtype), weight, bias)
        scales = self._scales(name, factor)

        def in_integers(x: Tensor) -> Tensor:
            rows = quantize_rows(x)
            return torch._int_mm(rows.values, weight.t()).float() * (rows.scale * scales) + bias

        return in_integers
