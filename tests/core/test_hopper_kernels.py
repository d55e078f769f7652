"""The kernels for Hopper without one: their layout emulated, their machine code looked at."""

from __future__ import annotations

import re
import sys

import pytest
import torch

from r2l_core.engines.cuda.hopper import compiler, trial
from r2l_core.engines.cuda.hopper.blocks import HopperBlocks, HopperFusion, in_float64
from r2l_core.engines.cuda.hopper.packing import (
    integer_columns,
    pack_halves,
    pack_integers,
    pack_parameters,
)
from r2l_core.errors import EngineError
from r2l_core.model.arithmetic import quantize_rows
from tests.hopper_emulation import HalfKernel, IntegerKernel, to_threads

pytestmark = pytest.mark.slow

HALVES = [torch.bfloat16, torch.float16]


def layers(n_blocks: int = 2, seed: int = 0):
    """Weights and biases of about the size that trained ones have, and 256 rays."""
    random = torch.Generator().manual_seed(seed)
    weights = torch.randn(2 * n_blocks, 256, 256, generator=random) * 0.7 / 16
    biases = torch.randn(2 * n_blocks, 256, generator=random) * 0.2
    return weights, biases, torch.randn(256, 256, generator=random) * 3


def integers(weights):
    rows = [quantize_rows(weight) for weight in weights]
    return torch.stack([row.values for row in rows]), torch.stack([row.scale[:, 0] for row in rows])


def emulated(dtype: torch.dtype):
    return IntegerKernel() if dtype is torch.int8 else HalfKernel(dtype)


# --- layout ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_sixteen_bits_are_where_the_products_look_for_them(dtype):
    weights, biases, x = layers()
    weights = weights.to(dtype)
    blocks = HopperBlocks(HalfKernel(dtype), pack_halves(weights), biases, 2, 4)
    expected = in_float64(x, weights, biases, None)
    assert (expected - x).norm() > 0.3 * x.norm(), "the blocks do something"
    blocks(x)
    assert (x - expected).norm() < 1e-4 * expected.norm()


def test_eight_bits_are_where_the_products_look_for_them():
    weights, biases, x = layers()
    values, scales = integers(weights)
    parameters = pack_parameters(biases, scales)
    blocks = HopperBlocks(IntegerKernel(), pack_integers(values), parameters, 2, 4)
    expected = in_float64(x, values, biases, scales)
    blocks(x)
    assert (x - expected).norm() < 1e-3 * expected.norm()


def test_integer_sums_are_exact():
    random = torch.Generator().manual_seed(0)
    weights = torch.randint(-127, 128, (2, 256, 256), generator=random, dtype=torch.int8)
    levels = torch.randint(-127, 128, (2, 64, 256), generator=random, dtype=torch.int8)
    stages = list(pack_integers(weights).view(-1, 16384)[:4])
    sums = IntegerKernel.sums(to_threads(levels), stages)
    assert torch.equal(sums.long(), levels.long() @ weights[0].long().T)


def test_the_order_of_columns_is_one():
    assert torch.equal(integer_columns().sort().values, torch.arange(256))


@pytest.mark.parametrize("shape", [(128, 256), (256, 128)])
def test_odd_tiles_are_refused(shape):
    """A cluster of two would wait for ever for its half."""
    blocks = HopperBlocks(HalfKernel(torch.float16), torch.empty(0), torch.empty(0), 1, 4)
    with pytest.raises(ValueError, match="not made of tiles of 256 rays"):
        blocks(torch.zeros(shape))


# --- the check against float64 -----------------------------------------------------------------


@pytest.mark.parametrize("dtype", [*HALVES, torch.int8], ids=str)
def test_a_right_kernel_is_taken(dtype):
    weights, biases, x = layers(n_blocks=6)
    values, scales = integers(weights) if dtype is torch.int8 else (weights.to(dtype), None)
    blocks = HopperFusion(emulated).blocks(values, biases, scales)
    assert blocks.n_blocks == 6
    expected = in_float64(x, values, biases, scales)
    blocks(x)
    assert (x - expected).norm() < 2e-3 * expected.norm()


def rotated(kernel):
    """A kernel that has the channels of a ray in a wrong order."""

    class Wrong:
        n_processors = kernel.n_processors

        def __call__(self, n_programs, x, *rest) -> None:
            kernel(n_programs, x, *rest)
            x.copy_(x.roll(1, 1))

    return Wrong()


def nothing(kernel):
    """A kernel that does not run."""

    class Idle:
        n_processors = kernel.n_processors

        def __call__(self, *arguments) -> None:
            pass

    return Idle()


def not_a_number(kernel):
    class Broken:
        n_processors = kernel.n_processors

        def __call__(self, n_programs, x, *rest) -> None:
            x[5] = float("nan")

    return Broken()


@pytest.mark.parametrize("spoil", [rotated, nothing, not_a_number])
@pytest.mark.parametrize("dtype", [*HALVES, torch.int8], ids=str)
def test_a_wrong_kernel_is_refused(dtype, spoil):
    weights, biases, _ = layers()
    values, scales = integers(weights) if dtype is torch.int8 else (weights.to(dtype), None)
    with pytest.raises(EngineError, match=r"The Hopper kernel was refused: it is .* from float64"):
        HopperFusion(lambda dtype: spoil(emulated(dtype))).blocks(values, biases, scales)


# --- machine code ------------------------------------------------------------------------------


SOURCES = [
    ("half_blocks.cu", "HALF=Bf16", "hopper_half_blocks"),
    ("half_blocks.cu", "HALF=Fp16", "hopper_half_blocks"),
    ("int8_blocks.cu", "UNUSED=1", "hopper_int8_blocks"),
]


@pytest.fixture(scope="module")
def nvrtc():
    try:
        return compiler.Nvrtc()
    except OSError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("source", "define", "name"), SOURCES)
def test_it_compiles_without_spilling(nvrtc, source, define, name):
    options = (*compiler.OPTIONS, f"--define-macro={define}", "--ptxas-options=-v")
    code, said = nvrtc.compiled(source, compiler.texts_of(source), options)
    assert code.startswith(b"\x7fELF")
    assert name.encode() in code
    assert "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads" in said
    assert "serialized" not in said, "products wait for each other"
    (registers,) = re.findall(r"Used (\d+) registers", said)
    # Of 65,536 a processor has, divided among the 384 threads of a block by setmaxnreg.
    assert int(registers) * 384 <= 65536


def test_what_does_not_compile_says_why(nvrtc):
    with pytest.raises(RuntimeError, match=r"(?s)NVRTC_ERROR_COMPILATION.*nonsense. is undefined"):
        nvrtc.compiled("a.cu", {"a.cu": "int x = nonsense;"}, compiler.OPTIONS)


# --- keeping it --------------------------------------------------------------------------------


class CountingNvrtc:
    version = "NVRTC 13.0"
    calls: list[tuple[str, tuple[str, ...]]]

    def compiled(self, source, texts, options):
        self.calls.append((source, options))
        return f"code {len(self.calls)}".encode(), ""


@pytest.fixture
def counting(monkeypatch):
    class Counting(CountingNvrtc):
        calls = []  # noqa: RUF012 - of this test

    monkeypatch.setattr(compiler, "Nvrtc", Counting)
    return Counting


def test_machine_code_is_kept_by_what_it_was_made_of(tmp_path, monkeypatch, counting):
    monkeypatch.setenv(compiler.CACHE, str(tmp_path / "kernels"))
    (tmp_path / "kernels").mkdir()
    first = compiler.machine_code("half_blocks.cu", ("HALF=Bf16",))
    assert compiler.machine_code("half_blocks.cu", ("HALF=Bf16",)) == first == b"code 1"
    assert compiler.machine_code("half_blocks.cu", ("HALF=Fp16",)) == b"code 2"
    monkeypatch.setattr(counting, "version", "NVRTC 13.1")
    assert compiler.machine_code("half_blocks.cu", ("HALF=Bf16",)) == b"code 3"
    monkeypatch.setattr(compiler.products, "header", lambda: "// other products")
    assert compiler.machine_code("half_blocks.cu", ("HALF=Bf16",)) == b"code 4"
    assert len(counting.calls) == 4


def test_it_is_kept_in_the_users_cache(user_dirs, monkeypatch, counting):
    pytest.importorskip("platformdirs")
    monkeypatch.delenv(compiler.CACHE, raising=False)
    compiler.machine_code("int8_blocks.cu")
    assert [path.read_bytes() for path in user_dirs.rglob("int8_blocks-*.cubin")] == [b"code 1"]


def test_a_cache_that_cannot_be_written_is_no_failure(tmp_path, monkeypatch, counting):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv(compiler.CACHE, str(tmp_path / "file" / "kernels"))
    assert compiler.machine_code("int8_blocks.cu") == b"code 1"


# --- the trial ---------------------------------------------------------------------------------


@pytest.fixture
def says(monkeypatch, tmp_path):
    """A function that has trials run other code, and a list of the kinds that were tried."""
    monkeypatch.setenv(compiler.CACHE, str(tmp_path))

    def install(code: str) -> list[str]:
        tried: list[str] = []

        def command(kind: str) -> list[str]:
            tried.append(kind)
            return [sys.executable, "-c", code]

        monkeypatch.setattr(trial, "_command", command)
        return tried

    return install


def test_a_kernel_is_tried_once_a_card(says):
    tried = says("")
    for kind, code, card in (
        ("int8", b"a", "H100"),
        ("int8", b"a", "H100"),
        ("int8", b"a", "H200"),
        ("int8", b"b", "H100"),
    ):
        trial.require_passed(kind, code, card)
    assert len(tried) == 3


def test_a_kernel_that_fails_is_tried_again(says):
    tried = says("raise SystemExit('its result is 1 from float64')")
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"failed in its trial \(its result is 1 from"):
            trial.require_passed("bfloat16", b"a", "H100")
    assert tried == ["bfloat16", "bfloat16"]


def test_a_kernel_that_crashes_takes_nothing_along(says):
    says("import os; os.abort()")
    with pytest.raises(RuntimeError, match=r"failed in its trial \(.*\)"):
        trial.require_passed("float16", b"a", "H100")


def test_a_kernel_that_never_ends_is_ended(says, monkeypatch):
    monkeypatch.setattr(trial, "_PATIENCE_S", 0.2)
    says("import threading; threading.Event().wait()")
    with pytest.raises(RuntimeError, match="did not come to an end"):
        trial.require_passed("float16", b"a", "H100")


def test_the_trial_of_a_machine_without_a_gpu_fails(monkeypatch, tmp_path):
    """The real command: it starts, and finds no device."""
    monkeypatch.setenv(compiler.CACHE, str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(RuntimeError, match="failed in its trial"):
        trial.require_passed("int8", b"a", "no card")
    assert not list(tmp_path.iterdir())
