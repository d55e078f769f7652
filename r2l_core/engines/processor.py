"""What this processor can do: the one place that is asked before an engine offers a precision.

`R2L_CPU_LEVEL` makes our own code believe in an older processor, to test what others will see. It
takes a name of `LEVELS`, or `native`. Libraries read variables of their own, which belong to it
(`make test-avx2` sets them all): ONEDNN_MAX_CPU_ISA for torch and OpenVINO, ATEN_CPU_CAPABILITY and
MKL_ENABLE_INSTRUCTIONS for torch's other kernels, OPENBLAS_CORETYPE for numpy. ONNX Runtime asks
the processor itself and cannot be told.
"""

from __future__ import annotations

import functools
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass

from r2l_core.errors import EngineUnavailable

VARIABLE = "R2L_CPU_LEVEL"
NATIVE = "native"

_AVX512 = frozenset({"avx512_f", "avx512_cd", "avx512_bw", "avx512_dq", "avx512_vl"})
_AVX512_VNNI = _AVX512 | {"avx512_vnni"}
_AVX512_BF16 = _AVX512_VNNI | {"avx512_bf16"}

LEVELS: Mapping[str, frozenset[str]] = {
    "avx2": frozenset(),
    "avx2-vnni": frozenset({"avx_vnni"}),
    "avx512": _AVX512,
    "avx512-vnni": _AVX512_VNNI,
    "avx512-bf16": _AVX512_BF16,
    "amx": _AVX512_BF16 | {"avx512_vbmi", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8"},
}
"""x86-64, older ones first: what each has beyond AVX2 and FMA. Names are those of
`torch.cpu.get_capabilities`."""

_NEWER_THAN_AVX2 = ("avx512", "avx10", "avx_", "amx")


@dataclass(frozen=True)
class Processor:
    """name: as the processor calls itself, and what it pretends to be. flags: what it has, as torch
    names it (`avx512_vnni`, `i8mm`). level: the newest of `LEVELS` that it reaches, or
    its architecture (`arm64`) where there is none."""

    name: str
    flags: frozenset[str]
    level: str

    @property
    def reached(self) -> list[str]:
        """All of `LEVELS` that it reaches, older ones first."""
        return _reached(self.flags)

    def has_any(self, *flags: str) -> bool:
        """Whether it has one of these."""
        return not self.flags.isdisjoint(flags)


@functools.cache
def this_processor() -> Processor:
    """The processor that runs this, or the older one it is told to be.

    Raises EngineUnavailable where `R2L_CPU_LEVEL` is no level, or one that is not reached here.
    """
    import torch

    capabilities = torch.cpu.get_capabilities()
    # Cache sizes and counts of cores are among them.
    flags = frozenset(flag for flag, value in capabilities.items() if value is True)
    name = capabilities.get("cpu_name") or platform.processor() or platform.machine()
    native = Processor(name, flags, _level(flags))
    return pretended(native, os.environ.get(VARIABLE, NATIVE))


def pretended(native: Processor, level: str) -> Processor:
    """`native` without what came after `level`. See `this_processor`."""
    if level == NATIVE:
        return native
    able = native.reached
    if level not in able:
        raise EngineUnavailable(
            f"The processor cannot pretend to be '{level}', as {VARIABLE} says",
            f"it is '{native.name}' ({native.level})",
            f"Unset it, or choose one of {', '.join([*able, NATIVE])}.",
        )
    kept = LEVELS[level]
    flags = frozenset(
        flag for flag in native.flags if flag in kept or not flag.startswith(_NEWER_THAN_AVX2)
    )
    return Processor(f"{native.name} as {level}", flags, level)


def _level(flags: frozenset[str]) -> str:
    return (_reached(flags) or [platform.machine().lower()])[-1]


def _reached(flags: frozenset[str]) -> list[str]:
    if not {"avx2", "fma3"} <= flags:
        return []
    return [level for level, needed in LEVELS.items() if needed <= flags]
