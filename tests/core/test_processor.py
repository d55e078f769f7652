"""What a processor can do, and what it can pretend not to."""

from __future__ import annotations

import pytest
import torch

from r2l_core.engines.backends import availability
from r2l_core.engines.processor import LEVELS, Processor, pretended, this_processor
from r2l_core.errors import EngineUnavailable
from r2l_core.types import Precision

OLD = frozenset({"sse2", "avx", "avx2", "fma3", "f16c"})
EVERYTHING = OLD.union(*LEVELS.values()) | {"avx512_vbmi", "avx10_1"}
NEW = Processor("New 1", EVERYTHING, "amx")
ARM = Processor("Apple M1", frozenset({"neon", "dot", "i8mm", "bf16"}), "arm64")


@pytest.fixture
def machine(monkeypatch):
    """A function that makes torch describe a machine: (flags, name)."""

    def describe(flags: frozenset[str], name: str | None = "Acme 1") -> None:
        described = {"l2_cache_size": 1, **dict.fromkeys(flags, True), "avx512_4fmaps": False}
        if name is not None:
            described["cpu_name"] = name
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: described)
        this_processor.cache_clear()

    yield describe
    monkeypatch.undo()
    this_processor.cache_clear()


@pytest.fixture(autouse=True)
def _no_pretence(monkeypatch):
    monkeypatch.delenv("R2L_CPU_LEVEL", raising=False)


def test_what_torch_reports_is_taken(machine):
    machine(OLD | {"avx_vnni"})
    assert this_processor() == Processor("Acme 1", OLD | {"avx_vnni"}, "avx2-vnni")


def test_a_processor_without_a_name_has_one(machine):
    machine(OLD, None)
    assert this_processor().name


@pytest.mark.parametrize(("level", "needed"), LEVELS.items(), ids=list(LEVELS))
def test_the_newest_level_that_is_reached(machine, level, needed):
    machine(OLD | needed)
    assert this_processor().level == level


def test_other_architectures_are_their_own_level(machine, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "ARM64")
    machine(ARM.flags, ARM.name)
    assert this_processor() == ARM


def test_one_of_several(machine):
    machine(OLD)
    assert this_processor().has_any("avx512_vnni", "avx2")
    assert not this_processor().has_any("avx512_vnni", "avx_vnni")


@pytest.mark.parametrize("level", LEVELS)
def test_a_pretended_level_has_what_is_its_own_and_no_more(level):
    older = pretended(NEW, level)
    assert older == Processor(f"New 1 as {level}", OLD | LEVELS[level], level)
    assert older.flags < EVERYTHING


def test_native_is_no_pretence(pretend):
    assert pretend("native") == this_processor()
    assert pretended(NEW, "native") is NEW


def test_the_variable_is_what_engines_go_by(machine, monkeypatch):
    machine(EVERYTHING)
    assert availability(Precision.BF16, "torch", "cpu").available
    monkeypatch.setenv("R2L_CPU_LEVEL", "avx2")
    this_processor.cache_clear()
    assert this_processor().name == "Acme 1 as avx2"
    assert not availability(Precision.BF16, "torch", "cpu").available


@pytest.mark.parametrize(
    ("native", "level", "offered"),
    [
        (NEW, "sse2", "avx2, avx2-vnni, avx512, avx512-vnni, avx512-bf16, amx, native."),
        (NEW, "", "native."),
        (Processor("Old", OLD, "avx2"), "avx512", "one of avx2, native."),
        (ARM, "avx2", "one of native."),
    ],
    ids=str,
)
def test_what_cannot_be_pretended_is_refused(native, level, offered):
    with pytest.raises(EngineUnavailable, match="R2L_CPU_LEVEL") as refused:
        pretended(native, level)
    assert native.name in str(refused.value)
    assert str(refused.value).endswith(offered)
