# mypy: allow-untyped-decorators, allow-untyped-calls
"""The network's two ends in Triton: rays to the first hidden channels, the last ones to colours.

Through torch, points, encoding, first layer and activation are some fifty kernels that hand half a
gigabyte to each other for a picture of 800x800. Here a program makes the features of 128 rays, an
octave at a time, where the product takes them; they are never in memory.

Like `triton_kernels`, imported only where Triton is installed.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from r2l_core.engines.choice import check_rays
from r2l_core.engines.cuda.fusion import RAYS_PER_PROGRAM
from r2l_core.errors import EngineError
from r2l_core.geometry.rays import sample_depths
from r2l_core.model.encoding import RayCoordinates, encode_reference
from r2l_core.model.light_field import LightField
from r2l_core.quantization.folding import FoldedNetwork

STAGES, WARPS = 2, 8
"""Of the first layer: loads ahead, and what a program is divided into."""

_TURNED_INPUTS = 32
"""Channels of a stream that are turned at a time."""

_LAST_RAYS = 32
"""Of a program of the last layer."""

_CHECK_RAYS = 128
_CHECK_ERROR = {torch.bfloat16: 2e-2, torch.float16: 3e-3, torch.float32: 1e-4}
"""Greatest relative error of hidden channels, and greatest error of a colour, against float64: some
times what the format makes of them."""

# Half of pi in parts of which the first two have few enough digits to be multiplied exactly.
_HALF_PI_1 = tl.constexpr(1.5703125)
_HALF_PI_2 = tl.constexpr(4.837512969970703125e-4)
_HALF_PI_3 = tl.constexpr(7.54978995489188216e-8)
_TWO_OVER_PI = tl.constexpr(0.636619772367581343)
# Adding and subtracting it rounds a float32 of up to 2^22 to an integer.
_ROUNDING = tl.constexpr(1.5 * 2.0**23)


@triton.jit
def _wave(angles: tl.tensor, quarter: tl.tensor) -> tl.tensor:
    """sin(angles + quarter * pi / 2) of angles up to some thousands, within 2e-7.

    The library's sine is as exact for angles of any size, and needs a stack for it. Polynomials:
    Cephes (S. Moshier), sinf.c.
    """
    turns = (angles * _TWO_OVER_PI + _ROUNDING) - _ROUNDING
    rest = ((angles - turns * _HALF_PI_1) - turns * _HALF_PI_2) - turns * _HALF_PI_3
    square = rest * rest
    sine = ((-1.9515295891e-4 * square + 8.3321608736e-3) * square - 1.6666654611e-1) * square
    sine = sine * rest + rest
    cosine = (2.443315711809948e-5 * square - 1.388731625493765e-3) * square
    cosine = (cosine + 4.166664568298827e-2) * square * square - 0.5 * square + 1.0
    quadrant = turns.to(tl.int32) + quarter
    value = tl.where((quadrant & 1) == 0, sine, cosine)
    return tl.where((quadrant & 2) == 0, value, -value)


@triton.jit
def _added(
    sums: tl.tensor, features: tl.tensor, here: tl.tensor, low: tl.tensor, THREE: tl.constexpr
) -> tl.tensor:
    """sums + features x weights.

    THREE: float32 features as the sum of two float16 numbers, and weights likewise, of which three
    of the four products are taken: what is left out is 2^-22 of the whole.
    """
    DTYPE: tl.constexpr = here.dtype.element_ty
    weight = tl.load(here)
    high = features.to(DTYPE)
    sums = tl.dot(high, weight, sums)
    if THREE:
        sums = tl.dot((features - high.to(tl.float32)).to(DTYPE), weight, sums)
        sums = tl.dot(high, tl.load(low), sums)
    return sums


@triton.jit
def first_layer(
    origins_ptr: tl.tensor,
    directions_ptr: tl.tensor,
    depth_ptr: tl.tensor,
    weight_ptr: tl.tensor,
    low_ptr: tl.tensor,
    bias_ptr: tl.tensor,
    x_ptr: tl.tensor,
    hidden_ptr: tl.tensor,
    n_coordinates: tl.tensor,
    n_frequencies: tl.tensor,
    COORDINATES: tl.constexpr,
    WIDTH: tl.constexpr,
    RAYS: tl.constexpr,
    THREE: tl.constexpr,
    STAGES: tl.constexpr,
) -> None:
    """x = hidden = relu(W encode(origin + depth * direction) + b); one program per RAYS rays.

    origins, directions: float32 (rays, 3). depth: float32 (n_coordinates / 3,). weight, low: what
    the points themselves are multiplied with, then of each octave its sines and its cosines,
    16 bits (2 * n_frequencies + 1, COORDINATES, WIDTH), zero where there is no coordinate; see
    `_added`. bias: float32 (WIDTH,). x, hidden: float32 (rays, WIDTH).
    """
    rows = tl.program_id(0) * RAYS + tl.arange(0, RAYS)
    coordinates = tl.arange(0, COORDINATES)
    columns = tl.arange(0, WIDTH)
    there = coordinates < n_coordinates
    depths = tl.load(depth_ptr + coordinates // 3, there, 0.0)
    at = rows[:, None] * 3 + (coordinates % 3)[None, :]
    points = tl.load(origins_ptr + at) + tl.load(directions_ptr + at) * depths[None, :]
    points = tl.where(there[None, :], points, 0.0)
    tile = coordinates[:, None] * WIDTH + columns[None, :]
    sums = tl.zeros((RAYS, WIDTH), tl.float32) + tl.load(bias_ptr + columns)[None, :]
    sums = _added(sums, points, weight_ptr + tile, low_ptr + tile, THREE)
    angles = points
    for wave in tl.range(2 * n_frequencies, num_stages=STAGES):
        here = tile + (1 + wave) * (COORDINATES * WIDTH)
        features = _wave(angles, wave & 1)
        sums = _added(sums, features, weight_ptr + here, low_ptr + here, THREE)
        # After sine and cosine the next octave.
        angles = angles * (1.0 + (wave & 1))
    sums = tl.maximum(sums, 0.0, propagate_nan=tl.PropagateNan.ALL)
    here = rows[:, None] * WIDTH + columns[None, :]
    tl.store(x_ptr + here, sums)
    tl.store(hidden_ptr + here, sums)


@triton.jit
def turned(
    x_ptr: tl.tensor,
    weight_ptr: tl.tensor,
    low_ptr: tl.tensor,
    turned_ptr: tl.tensor,
    hidden_ptr: tl.tensor,
    WIDTH: tl.constexpr,
    RAYS: tl.constexpr,
    INPUTS: tl.constexpr,
    STAGES: tl.constexpr,
) -> None:
    """turned = hidden = x W; one program per RAYS rays, INPUTS channels at a time.

    x, turned, hidden: float32 (rays, WIDTH). weight, low: float16 (WIDTH in, WIDTH out), their sum
    a float32 matrix; see `_added`.
    """
    rows = tl.program_id(0) * RAYS + tl.arange(0, RAYS)
    columns = tl.arange(0, WIDTH)
    sums = tl.zeros((RAYS, WIDTH), tl.float32)
    for start in tl.range(0, WIDTH, INPUTS, num_stages=STAGES):
        inputs = start + tl.arange(0, INPUTS)
        values = tl.load(x_ptr + rows[:, None] * WIDTH + inputs[None, :])
        tile = inputs[:, None] * WIDTH + columns[None, :]
        sums = _added(sums, values, weight_ptr + tile, low_ptr + tile, True)
    here = rows[:, None] * WIDTH + columns[None, :]
    tl.store(turned_ptr + here, sums)
    tl.store(hidden_ptr + here, sums)


@triton.jit
def last_layer(
    x_ptr: tl.tensor,
    hidden_ptr: tl.tensor,
    weight_ptr: tl.tensor,
    bias_ptr: tl.tensor,
    colors_ptr: tl.tensor,
    WIDTH: tl.constexpr,
    RAYS: tl.constexpr,
) -> None:
    """colors = sigmoid(W (x + hidden) + b); one program per RAYS rays.

    x, hidden: float32 (rays, WIDTH). weight: float32 (3, WIDTH). bias: float32 (3,). colors:
    float32 (rays, 3); no number where an activation has overflowed.
    """
    rows = tl.program_id(0) * RAYS + tl.arange(0, RAYS)
    columns = tl.arange(0, WIDTH)
    here = rows[:, None] * WIDTH + columns[None, :]
    values = tl.load(x_ptr + here) + tl.load(hidden_ptr + here)
    for channel in tl.static_range(3):
        weight = tl.load(weight_ptr + channel * WIDTH + columns)
        logits = tl.sum(values * weight[None, :], 1) + tl.load(bias_ptr + channel)
        # Infinities make NaN here, or what has overflowed would pass for black or white.
        tl.store(colors_ptr + rows * 3 + channel, tl.sigmoid(logits) + 0.0 * logits)


class TritonEnds:
    """Both ends of a network padded to `width` channels, a power of two, on a device.

    dtype: of the first layer's products, float16 or bfloat16, or float32, as three float16 products
    each.
    """

    def __init__(
        self,
        light_field: LightField,
        numbers: FoldedNetwork,
        dtype: torch.dtype,
        width: int,
        device: torch.device,
    ) -> None:
        network, tensors = light_field.network, numbers.tensors
        pad = width - network.width
        n_coordinates, n_slots = network.n_coordinates, 2 * network.n_frequencies + 1
        # As published: of each coordinate its sines, its cosines, itself.
        head = tensors["head.0.weight"].T.reshape(n_coordinates, n_slots, network.width)
        octaves = torch.arange(network.n_frequencies)
        waves = torch.stack([octaves, network.n_frequencies + octaves], 1).view(-1)
        head = head[:, torch.cat([torch.tensor([n_slots - 1]), waves])].transpose(0, 1)
        coordinates = triton.next_power_of_2(max(16, n_coordinates))
        head = torch.nn.functional.pad(head, (0, pad, 0, coordinates - n_coordinates)).to(device)
        self._three = dtype is torch.float32
        self._wide = device.type == "cuda" and torch.cuda.get_device_capability(device)[0] == 9
        self._weight = head.to(torch.float16 if self._three else dtype)
        self._low = (head - self._weight.float()).to(self._weight.dtype)
        bias = torch.nn.functional.pad(tensors["head.0.bias"], (0, pad))
        self._bias = bias.to(device, torch.float32)
        tail = torch.nn.functional.pad(tensors["tail.0.weight"], (0, pad))
        self._tail = tail.to(dtype).to(device, torch.float32)
        self._tail_bias = tensors["tail.0.bias"].to(dtype).to(device, torch.float32)
        self._turn: tuple[Tensor, Tensor] | None = None
        if numbers.turn is not None:
            matrix = torch.nn.functional.pad(numbers.turn.T, (0, pad, 0, pad))
            matrix = matrix.contiguous().to(device)
            high = matrix.to(torch.float16)
            self._turn = high, (matrix - high.float()).to(torch.float16)
        self._depths = sample_depths(light_field.scene, network.n_sample, device)
        self._width, self._counts = width, (n_coordinates, network.n_frequencies)

    def first(self, origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """float32 (rays, 3) each, contiguous, rays a multiple of 64 -> float32 (rays, width) twice:
        what goes into the residual blocks, and what is added to what comes out."""
        n_rays = len(origins)
        x = torch.empty(n_rays, self._width, device=origins.device)
        hidden = torch.empty_like(x)
        rays = RAYS_PER_PROGRAM
        # Of twice as many rays, Hopper's products and shared memory hold the sums.
        if self._wide and n_rays % (2 * rays) == 0:
            rays *= 2
        first_layer[(n_rays // rays,)](
            *(origins, directions, self._depths, self._weight, self._low, self._bias, x, hidden),
            *self._counts,
            COORDINATES=self._weight.shape[1],
            WIDTH=self._width,
            RAYS=rays,
            THREE=self._three,
            STAGES=STAGES,
            num_warps=WARPS,
        )
        if self._turn is None:
            return x, hidden
        stream = torch.empty_like(x)
        turned[(n_rays // rays,)](
            *(x, *self._turn, stream, hidden),
            WIDTH=self._width,
            RAYS=rays,
            INPUTS=_TURNED_INPUTS,
            STAGES=STAGES,
            num_warps=WARPS,
        )
        return stream, hidden

    def last(self, x: Tensor, hidden: Tensor) -> Tensor:
        """float32 (rays, width) each -> colours, float32 (rays, 3)."""
        n_rays = len(x)
        colors = torch.empty(n_rays, 3, device=x.device)
        last_layer[(n_rays // _LAST_RAYS,)](
            *(x, hidden, self._tail, self._tail_bias, colors),
            WIDTH=self._width,
            RAYS=_LAST_RAYS,
            num_warps=4,
        )
        return colors


def checked_ends(
    light_field: LightField,
    numbers: FoldedNetwork,
    dtype: torch.dtype,
    width: int,
    device: torch.device,
) -> TritonEnds:
    """See TritonEnds. Raises EngineError where they differ from float64 on rays of the scene, and
    errors of any kind where they cannot be built."""
    ends = TritonEnds(light_field, numbers, dtype, width, device)
    rays = check_rays(light_field, _CHECK_RAYS)
    origins, directions = (part.contiguous().to(device) for part in rays)
    x, hidden = ends.first(origins, directions)
    colors = ends.last(x, hidden)
    network, tensors = light_field.network, numbers.tensors
    coordinates = RayCoordinates(network, light_field.scene, device)(origins, directions)
    features = encode_reference(coordinates, network.n_frequencies).double()

    def layer(name: str, values: Tensor) -> Tensor:
        weight, bias = (
            tensors[f"{name}.{part}"].to(device).double() for part in ("weight", "bias")
        )
        return values @ weight.T + bias

    expected = layer("head.0", features).clamp_min(0.0)
    if numbers.turn is not None:
        expected = expected @ numbers.turn.T.to(device).double()
    wrong = [
        float((values[:, : network.width] - expected).norm() / expected.norm())
        for values in (x, hidden)
    ]
    wrong.append(float((colors - layer("tail.0", 2.0 * expected).sigmoid()).abs().max()))
    if not max(wrong) <= _CHECK_ERROR[dtype]:
        raise EngineError(
            "The kernels of the first and the last layer were refused",
            f"they are {max(wrong):.1e} from float64, where {_CHECK_ERROR[dtype]:g} may be",
            "Torch's are taken instead; nothing has to be done.",
        )
    return ends
