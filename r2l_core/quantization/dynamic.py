"""The `int8` recipe: weights rounded with a look at what they are multiplied by.

Activations get a scale per ray as they run. What eight bits cost then lies in two things, and rays
of the scene's own cameras help against both:

- Rounding every weight to its nearest integer is not best, because errors that meet the same
  inputs can cancel. Columns are rounded one after the other, and what one loses is made up for by
  those that follow (Frantar et al. 2022, "GPTQ", after Hassibi and Stork's optimal brain surgeon).
- The residual stream is far from zero on average, which wastes levels. Its mean is subtracted
  before it is rounded; engines fold that into biases (`folded_biases`), so that it costs nothing.

Streams of background rays grow a hundred times as long as the others. Where a ray's stream is long
an error weighs little, so rays count by the inverse square of its largest entry.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from r2l_core.model.arithmetic import LEVELS, QuantizedRows, quantize_rows
from r2l_core.model.light_field import LightField
from r2l_core.model.quantized import QuantizedLinear
from r2l_core.quantization.calibration import calibration_rays
from r2l_core.quantization.walk import block_of, exact_linear, features_of, walk
from r2l_core.torch_threads import one_torch_thread

ROUNDING_RAYS = 4096
_SEED = 0
_DAMPING = 0.01
"""Share of the mean square of the inputs that is added to each, for those that never change."""
_CONSTANT = 1e-9
"""Inputs that vary by a smaller share of their mean square are constant but for float32."""
_COLUMNS = 32
"""Columns rounded before the rest hears of it: small enough for a processor's cache."""


def quantize_dynamic(
    light_field: LightField, layers: Collection[str], n_rays: int = ROUNDING_RAYS
) -> dict[str, QuantizedLinear]:
    """These body layers in eight bits, by name. The same light field gives the same integers.

    Takes about a second for W256 D88. Layers whose inputs say nothing (the same for every ray, or
    not finite) are rounded to the nearest.
    """
    result: dict[str, QuantizedLinear] = {}
    if not layers:
        return result
    network, tensors = light_field.network, light_field.tensors
    rays = calibration_rays(light_field.scene, n_rays, _SEED, light_field.ray_mode())
    # Thousands of small steps: a second thread would only wait for the first.
    with torch.no_grad(), one_torch_thread():
        for call in walk(network, exact_linear(light_field), features_of(light_field, *rays)):
            if not call.name.startswith("body."):
                continue
            block = block_of(call.name)
            first = call.name == network.block_layers(block)[0]
            if first:
                counts = _counts(call.inputs)
            if call.name in layers:
                weight, bias = tensors[f"{call.name}.weight"], tensors[f"{call.name}.bias"]
                # The head's output passes a ReLU, and so does a sum: no bias reaches behind it.
                centred = first and block > 0 and network.outact == "none"
                result[call.name] = _layer(weight, bias, call.inputs, counts, centred)
    return result


def folded_biases(
    light_field: LightField, quantized: Mapping[str, QuantizedLinear]
) -> dict[str, Tensor]:
    """Biases of all body layers, float32 (out,), for a network whose residual stream is less by the
    centre of the layer it enters next; those of a block's last layer times `res_scale`.

    With them, and `res_scale` in the last layers' weights as well, no centre is subtracted anywhere
    and the colours are the same.
    """
    network = light_field.network
    zero = torch.zeros(network.width, dtype=torch.float64)

    def shift(block: int) -> Tensor:
        layer = None
        if block < network.n_blocks:
            layer = quantized.get(network.block_layers(block)[0])
        return zero if layer is None or layer.center is None else layer.center.double()

    result: dict[str, Tensor] = {}
    for block in range(network.n_blocks):
        *_, last = names = network.block_layers(block)
        for name in names:
            bias, layer = light_field.tensors[f"{name}.bias"], quantized.get(name)
            folded = bias.double() if layer is None else layer.bias_at_center(bias)
            if name == last:
                folded = folded * network.res_scale + shift(block) - shift(block + 1)
            result[name] = folded.float()
    return result


def _counts(stream: Tensor) -> Tensor:
    """How much each ray counts, float32 (N, 1), from its residual stream (N, width)."""
    counts = stream.abs().amax(dim=1, keepdim=True).square().reciprocal()
    return torch.where(torch.isfinite(counts), counts, 0.0)


def _layer(
    weight: Tensor, bias: Tensor, inputs: Tensor, counts: Tensor, centred: bool
) -> QuantizedLinear:
    """weight (out, in), bias (out,), inputs (N, in)."""
    total = counts.sum()
    mean = (inputs * counts).sum(0) / total
    apart = (inputs - mean) * counts.sqrt()
    gram = (apart.T @ apart / total).double()
    spread, power = gram.diagonal().mean(), mean.double().square().mean()
    if not torch.isfinite(gram).all() or spread <= _CONSTANT * power:
        return QuantizedLinear(quantize_rows(weight))
    rows = rounded_rows(weight, gram)
    # What rounding changes at the mean is known, so the bias takes it back.
    change = (weight.double() - rows.dequantized().double()) @ mean.double()
    corrected = (bias.double() + change).float()
    return QuantizedLinear(rows, center=mean if centred else None, bias=corrected)


def rounded_rows(weight: Tensor, gram: Tensor) -> QuantizedRows:
    """`quantize_rows` with other roundings: those that change the products of typical inputs least.

    weight: float32 (N, K). gram: float64 (K, K), finite: the mean of the inputs' outer products.
    Scales are those of `quantize_rows`.
    """
    nearest = quantize_rows(weight)
    power = gram.diagonal().mean()
    if power <= 0:
        return nearest
    damped = gram + _DAMPING * power * torch.eye(len(gram), dtype=gram.dtype)
    # What matters most is rounded first, while there is much left to make up for it.
    order = damped.diagonal().argsort(descending=True, stable=True)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped[order][:, order]))
    factor = torch.linalg.cholesky(inverse, upper=True)
    follow = (factor / factor.diagonal()[:, None]).float()
    scale = torch.where(nearest.scale == 0, 1.0, nearest.scale)
    columns = (weight / scale).T[order].contiguous()
    levels = torch.empty_like(columns)
    for start in range(0, len(columns), _COLUMNS):
        end = min(start + _COLUMNS, len(columns))
        lost = torch.empty_like(columns[start:end])
        for i in range(start, end):
            levels[i] = columns[i].round().clamp_(-LEVELS, LEVELS)
            torch.sub(columns[i], levels[i], out=lost[i - start])
            columns[i + 1 : end].addr_(follow[i, i + 1 : end], lost[i - start], alpha=-1)
        columns[end:].addmm_(follow[start:end, end:].T, lost, alpha=-1)
    values = torch.empty_like(levels)
    values[order] = levels
    return QuantizedRows(values.T.to(torch.int8).contiguous(), nearest.scale)
