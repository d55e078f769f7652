"""The `int8` recipe: weights rounded with a look at what they are multiplied by.

Activations get a scale per ray as they run. What eight bits cost then lies in the residual stream:
a few of its channels are several times as large as the others, and the scale has to be theirs. So
it is turned by an orthogonal matrix with random signs, after which all channels are about as large
(Ashkboos et al. 2024, "QuaRot", who turn language models): activations and weights use more of the
255 levels, at the price of one float32 layer behind the head (checkpoints/demo.md has what it
brings). Rays of the scene's own cameras help against the rest:

- Rounding every weight to its nearest integer is not best, because errors that meet the same
  inputs can cancel. Columns are rounded one after the other, and what one loses is made up for by
  those that follow (Frantar et al. 2022, "GPTQ", after Hassibi and Stork's optimal brain surgeon).
- The residual stream is far from zero on average, which wastes levels. Its mean is subtracted
  before it is rounded; engines fold that into biases (`folding`), so that it costs nothing.

Streams of background rays grow a hundred times as long as the others. Where a ray's stream is long
an error weighs little, so rays count by the inverse square of its largest entry.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from r2l_core.model.arithmetic import LEVELS, QuantizedRows, quantize_rows
from r2l_core.model.light_field import LightField
from r2l_core.model.network import NetworkConfig
from r2l_core.model.quantized import QuantizedLinear
from r2l_core.model.turning import turn_matrix, turned
from r2l_core.quantization.calibration import calibration_rays
from r2l_core.quantization.walk import block_of, exact_layers, features_of, walk
from r2l_core.torch_threads import one_torch_thread

ROUNDING_RAYS = 4096
_SEED = 0
_DAMPING = 0.01
"""Share of the mean square of the inputs that is added to each, for those that never change."""
_CONSTANT = 1e-9
"""Inputs that vary by a smaller share of their mean square are constant but for float32."""
_COLUMNS = 32
"""Columns rounded before the rest hears of it: small enough for a processor's cache."""


def turn_signs(network: NetworkConfig) -> Tensor | None:
    """Random signs from which `turn_matrix` makes a network's turn: int8 (width,), the same for
    every network of a width. None where an activation follows the sum, which a turned stream would
    not pass alike."""
    if network.outact != "none":
        return None
    random = torch.Generator().manual_seed(_SEED)
    return (2 * torch.randint(2, (network.width,), generator=random) - 1).to(torch.int8)


def turn_of(network: NetworkConfig) -> Tensor | None:
    """The matrix that turns a network's residual stream: float32 (width, width), or None."""
    signs = turn_signs(network)
    return None if signs is None else torch.from_numpy(turn_matrix(signs.numpy()))


def quantize_dynamic(
    light_field: LightField, layers: Collection[str], n_rays: int = ROUNDING_RAYS
) -> dict[str, QuantizedLinear]:
    """These body layers in eight bits, by name, behind a stream turned by `turn_of`. The same light
    field gives the same integers.

    Takes about a second for W256 D88. Layers whose inputs say nothing (the same for every ray, or
    not finite) are rounded to the nearest.
    """
    result: dict[str, QuantizedLinear] = {}
    if not layers:
        return result
    network = light_field.network
    rays = calibration_rays(light_field.scene, n_rays, _SEED, light_field.ray_mode())
    # Thousands of small steps: a second thread would only wait for the first.
    with torch.no_grad(), one_torch_thread():
        turn = turn_of(network)
        tensors = turned(network, light_field.tensors, turn)
        features = features_of(light_field, *rays)
        for call in walk(network, exact_layers(light_field, turn), features):
            if not call.name.startswith("body."):
                continue
            block = block_of(call.name)
            first = call.name == network.block_layers(block)[0]
            if first:
                counts = _counts(call.inputs)
            if call.name in layers:
                weight, bias = (tensors[f"{call.name}.{kind}"] for kind in ("weight", "bias"))
                # The head's output passes a ReLU, and so does a sum: no bias reaches behind it.
                centred = first and block > 0 and network.outact == "none"
                result[call.name] = _layer(weight, bias, call.inputs, counts, centred)
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
        return QuantizedLinear(quantize_rows(weight), bias=bias)
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
