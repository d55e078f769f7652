"""Eight bits against numpy, against their definition, and against the library they imitate."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch.nn import functional

from r2l_core.model.arithmetic import LEVELS, TINY, fake_quantize, quantize_rows
from r2l_core.quantization.simulation import fake_batch, fake_rows

# Subnormal numbers are left out: whether they are flushed to zero is a setting of the thread.
NUMBERS = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)
MATRICES = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=NUMBERS,
)
RANGES = st.floats(2.0**-23, 1e6, width=32)


def numpy_fake_tensor_quant(x: np.ndarray, amax: np.ndarray | float) -> np.ndarray:
    """What pytorch-quantization documents for `fake_tensor_quant(x, amax)` with 8 bits, signed,
    narrow range, in float32: scale = 127 / amax, and a range up to 2^-24 makes everything zero."""
    x, amax = np.asarray(x, np.float32), np.asarray(amax, np.float32)
    nothing = amax <= 2.0**-24
    scale = np.float32(127) / np.where(nothing, np.float32(1), amax)
    levels = np.clip(np.rint(x * scale), -127, 127)
    return np.where(nothing, np.float32(0), levels / scale)


def matrix(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    """Rows of very different magnitude, one of them zero and one too small for a range."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, columns, generator=generator)
    x *= 10.0 ** torch.linspace(-6, 4, rows)[:, None]
    x[rows // 2] = 0
    x[rows // 3] = TINY / 2
    return x


# --- fake_quantize -----------------------------------------------------------------------------


@pytest.mark.parametrize("amax", [1e-6, 0.1, 1.0, 3.3, 127.0, 1e4])
def test_one_range_for_all(amax):
    x = matrix(24, 40)
    ours = fake_quantize(x, amax)
    np.testing.assert_array_equal(ours.numpy(), numpy_fake_tensor_quant(x.numpy(), amax))
    assert torch.equal(fake_quantize(x, torch.tensor(amax)), ours)


def test_one_range_per_row_and_per_column():
    x = matrix(24, 40)
    for axis in (0, 1):
        amax = x.abs().amax(dim=axis, keepdim=True)
        expected = numpy_fake_tensor_quant(x.numpy(), amax.numpy())
        np.testing.assert_array_equal(fake_quantize(x, amax).numpy(), expected)


def test_levels_are_symmetric_and_narrow():
    x = torch.linspace(-300, 300, 12_001)
    levels = fake_quantize(x, 127.0)
    assert levels.unique().tolist() == list(range(-127, 128))
    assert torch.equal(fake_quantize(-x, 127.0), -levels)


def test_halves_go_to_the_even_level():
    x = torch.arange(-126, 127) + 0.5
    levels = fake_quantize(x, 127.0)
    assert torch.equal(levels % 2, torch.zeros_like(x))
    assert (levels - x).abs().eq(0.5).all()


@pytest.mark.parametrize("amax", [0.0, 1e-30, TINY / 2, TINY])
def test_tiny_ranges_give_zeros(amax):
    x = torch.tensor([-1.0, -TINY, 0.0, 1e-30, TINY, 1.0, 1e30])
    assert torch.equal(fake_quantize(x, amax), torch.zeros(7))
    assert fake_quantize(torch.tensor(2 * TINY), 2 * TINY) == 2 * TINY


def test_a_tiny_row_does_not_spoil_its_neighbours():
    x = torch.tensor([[1.0, -0.5], [TINY / 2, TINY], [0.0, 0.0], [3.0, 2.0]])
    rounded = fake_rows(x)
    assert torch.equal(rounded[1:3], torch.zeros(2, 2))
    assert torch.equal(rounded[:, 0] != 0, torch.tensor([True, False, False, True]))


def test_the_input_stays_as_it_is():
    x = matrix(9, 5)
    before = x.clone()
    fake_quantize(x, 1.0)
    fake_batch(x)
    fake_rows(x)
    quantize_rows(x)
    assert torch.equal(x, before)


@given(MATRICES, RANGES)
def test_rounding_again_changes_nothing(x, amax):
    once = fake_quantize(torch.from_numpy(x), amax)
    assert torch.equal(fake_quantize(once, amax), once)


@given(MATRICES, RANGES)
def test_any_value_against_numpy(x, amax):
    rounded = fake_quantize(torch.from_numpy(x), amax).numpy()
    np.testing.assert_array_equal(rounded, numpy_fake_tensor_quant(x, amax))


@given(MATRICES, RANGES)
def test_the_nearest_level_within_the_range(x, amax):
    """By its definition in float64: no other of the 255 levels is closer."""
    rounded = fake_quantize(torch.from_numpy(x), amax).numpy().astype(np.float64)
    levels = np.arange(-127, 128) * (amax / 127)
    closest = np.abs(x.astype(np.float64)[..., None] - levels).min(-1)
    assert (np.abs(rounded) <= amax * (1 + 1e-6)).all()
    assert (np.abs(x - rounded) <= closest + amax * 1e-5 + np.abs(x) * 1e-6).all()


# --- quantize_rows -----------------------------------------------------------------------------


@given(MATRICES)
def test_rows_are_off_by_half_a_step_at_most(x):
    rows = quantize_rows(torch.from_numpy(x))
    assert rows.values.dtype == torch.int8
    assert rows.scale.dtype == torch.float32
    assert rows.values.shape == x.shape
    assert rows.scale.shape == (len(x), 1)
    assert rows.values.abs().max() <= LEVELS
    values, scale = rows.values.numpy().astype(np.float64), rows.scale.numpy().astype(np.float64)
    error = np.abs(values * scale - x)
    tiny = np.abs(x).max(1, keepdims=True) <= TINY
    assert (error <= np.where(tiny, TINY, scale * (0.5 + 1e-4))).all()
    # The largest value of a row that has one reaches the last level.
    largest = np.abs(values).max(1, keepdims=True)
    assert (largest == np.where(tiny, 0, 127)).all()
    np.testing.assert_array_equal(rows.dequantized().numpy(), (values * scale).astype(np.float32))


@given(MATRICES)
def test_dequantised_rows_quantise_to_the_same_integers(x):
    rows = quantize_rows(torch.from_numpy(x))
    assert torch.equal(quantize_rows(rows.dequantized()).values, rows.values)


def test_rows_of_zeros():
    x = torch.tensor([[0.0, 0.0, 0.0], [1.0, -2.0, 0.0], [TINY, 0.0, -TINY]])
    rows = quantize_rows(x)
    assert rows.values.tolist() == [[0, 0, 0], [64, -127, 0], [0, 0, 0]]
    assert rows.scale[[0, 2]].tolist() == [[0.0], [0.0]]
    assert torch.equal(rows.dequantized()[[0, 2]], torch.zeros(2, 3))


def test_a_row_depends_on_itself_alone():
    x = matrix(24, 40)
    together = quantize_rows(x)
    for i in range(len(x)):
        alone = quantize_rows(x[i : i + 1])
        assert torch.equal(alone.values[0], together.values[i])
        assert torch.equal(alone.scale[0], together.scale[i])


def test_halves_of_rows_go_to_the_even_level():
    x = torch.tensor([[127.0, 0.5, 1.5, 2.5, -0.5, -1.5, -126.5]])
    assert quantize_rows(x).values.tolist() == [[127, 0, 2, 2, 0, -2, -126]]


# --- a linear layer as the published recipe has it ---------------------------------------------


def layer(seed: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inputs (50, 33), weight (17, 33) and bias (17,)."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(50, 33, generator=generator).relu() * 4
    x[7] = 0
    weight = matrix(17, 33, seed)
    return x, weight, torch.randn(17, generator=generator)


def test_a_quantised_linear_layer():
    """The whole batch shares a range, every output row of the weight has its own."""
    x, weight, bias = layer()
    inputs = numpy_fake_tensor_quant(x.numpy(), np.abs(x.numpy()).max())
    rows = numpy_fake_tensor_quant(weight.numpy(), np.abs(weight.numpy()).max(1, keepdims=True))
    np.testing.assert_array_equal(fake_batch(x).numpy(), inputs)
    np.testing.assert_array_equal(fake_rows(weight).numpy(), rows)
    ours = functional.linear(fake_batch(x), fake_rows(weight), bias)
    expected = inputs.astype(np.float64) @ rows.astype(np.float64).T + bias.numpy()
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-4, atol=1e-4)


# What follows runs where NVIDIA's library is installed, which is no longer on PyPI. What it warns
# of is its own matter; its compiled part may fail to load.


@pytest.mark.filterwarnings("ignore")
def test_parity_with_fake_tensor_quant_of_the_library():
    tensor_quant = pytest.importorskip("pytorch_quantization.tensor_quant", exc_type=ImportError)
    x = matrix(24, 40)
    for amax in (x.abs().max(), x.abs().amax(dim=1, keepdim=True), torch.tensor(0.7)):
        assert torch.equal(fake_quantize(x, amax), tensor_quant.fake_tensor_quant(x, amax))
    for amax in (0.0, TINY):
        zeros = tensor_quant.fake_tensor_quant(x, torch.tensor(amax))
        assert torch.equal(fake_quantize(x, amax), zeros)


@pytest.mark.filterwarnings("ignore")
def test_parity_with_quant_linear_of_the_library():
    quant_nn = pytest.importorskip("pytorch_quantization.nn", exc_type=ImportError)
    x, weight, bias = layer()
    linear = quant_nn.QuantLinear(33, 17)
    linear.load_state_dict({"weight": weight, "bias": bias}, strict=False)
    with torch.inference_mode():
        theirs = linear(x)
    ours = functional.linear(fake_batch(x), fake_rows(weight), bias)
    assert torch.equal(ours, theirs)
