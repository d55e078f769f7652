"""The native library: which file, which of its levels, and its functions as ctypes sees them.

A library holds the same code for several levels of instruction sets. The level is chosen when an
engine is built: the newest that the processor reaches (`processor.this_processor`, which obeys
`R2L_CPU_LEVEL`) and that the library itself finds by CPUID.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from r2l_core.engines.processor import LEVELS, NATIVE, VARIABLE, Processor
from r2l_core.errors import EngineUnavailable, first_line

Array = NDArray[Any]

BUILT = Path(__file__).parent / "built"

X86_64_LEVELS = ("avx2", "avx2-vnni", "avx512", "avx512-vnni", "avx512-bf16", "amx")
"""x86-64, older ones first, in the order of the bits of `supported_levels` (source/levels.c)."""

_RAYS_ARGUMENTS = [ctypes.c_void_p, ctypes.c_int32, *[ctypes.c_void_p] * 5]

_AT_HWCAP, _HWCAP_ASIMDDP = 16, 1 << 20
_AT_HWCAP2, _HWCAP2_BF16 = 26, 1 << 14
_REMEDY = "Choose another engine."


class LibraryBroken(EngineUnavailable):
    """A library that is there and cannot be loaded."""


class Layer(ctypes.Structure):
    """See `Layer` in source/products.h."""

    _fields_ = (
        ("kind", ctypes.c_int32),
        ("inputs", ctypes.c_int32),
        ("weights", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("scale", ctypes.c_void_p),
        ("start", ctypes.c_void_p),
        ("modes", ctypes.c_void_p),
    )


class Network(ctypes.Structure):
    """See `Network` in source/network.c."""

    _fields_ = (
        ("width", ctypes.c_int32),
        ("n_blocks", ctypes.c_int32),
        ("n_sample", ctypes.c_int32),
        ("n_coordinates", ctypes.c_int32),
        ("n_frequencies", ctypes.c_int32),
        ("use_residual", ctypes.c_int32),
        ("depths", ctypes.c_void_p),
        ("head", Layer),
        ("turn", Layer),
        ("tail_weight", ctypes.c_void_p),
        ("tail_bias", ctypes.c_void_p),
        ("layers", ctypes.c_void_p),
    )


class Call(ctypes.Structure):
    """See `Call` in source/network.c."""

    _fields_ = (
        ("n", ctypes.c_int32),
        ("tile", ctypes.c_int32),
        ("origins", ctypes.c_void_p),
        ("directions", ctypes.c_void_p),
        ("colors", ctypes.c_void_p),
        ("next", ctypes.c_int32),
        ("cancelled", ctypes.c_int32),
    )


class Carry(ctypes.Structure):
    """See `Carry` in source/carry.h."""

    _fields_ = (
        ("width", ctypes.c_int32),
        ("height", ctypes.c_int32),
        ("cell", ctypes.c_int32),
        ("stride", ctypes.c_int32),
        ("to_last", ctypes.c_float * 9),
        ("shift", ctypes.c_float * 3),
        ("has_bounds", ctypes.c_int32),
        ("first", ctypes.c_float * 3),
        ("across", ctypes.c_float * 3),
        ("down", ctypes.c_float * 3),
        ("from_center", ctypes.c_float * 3),
        ("outside", ctypes.c_float),
        ("background", ctypes.c_float * 3),
        ("last", ctypes.c_void_p),
        ("inverse_depths", ctypes.c_void_p),
        ("known", ctypes.c_void_p),
        ("colors", ctypes.c_void_p),
        ("picture", ctypes.c_void_p),
        ("shown", ctypes.c_void_p),
        ("bytes", ctypes.c_void_p),
        ("doubt", ctypes.c_void_p),
        ("next", ctypes.c_int32),
    )


class View(ctypes.Structure):
    """See `View` in source/rays.h; `camera` as `geometry.rays.camera_values` has it."""

    _fields_ = (
        ("width", ctypes.c_int32),
        ("canonical", ctypes.c_int32),
        ("skip", ctypes.c_int32),
        ("camera", ctypes.c_float * 16),
        ("center", ctypes.c_float * 3),
        ("origin_radius", ctypes.c_float),
        ("origin_radius_2", ctypes.c_float),
        ("bound_radius_2", ctypes.c_float),
    )


Spent = ctypes.c_uint64 * 2
"""Ticks for the encoding, and for everything."""


@dataclass(frozen=True, eq=False)
class Level:
    """The functions of one level, and how it wants weights packed.

    panel: outputs packed together. grain: rays are calculated in multiples of this. dot4: whether
    it multiplies bytes in fours. byte_offset: added to signed levels. bf16: whether it
    multiplies bfloat16. amx: whether that is the matrix unit's work. tile: rays that a thread
    takes at a time, at most; their activations stay in its own cache. one_layer: for tests. match,
    carry, carry_bytes: of source/carry.h; the last is the size of `carry`'s scratch. rays: of
    source/rays.h.
    """

    name: str
    run: Any
    scratch_bytes: Any
    multiply_only: Any
    panel: int
    grain: int
    dot4: bool
    byte_offset: int
    bf16: bool
    amx: bool
    tile: int
    one_layer: Any
    match: Any
    carry: Any
    carry_bytes: int
    rays: Any

    @property
    def dot_panel(self) -> int:
        """Outputs packed together for products of bytes and bfloat16: the matrix unit's tiles have
        no more than 16."""
        return 16 if self.amx else self.panel


def library_name(system: str, architecture: str) -> str:
    """File of a system (`linux`, `darwin`, `windows`) and architecture (`x86_64`, `aarch64`)."""
    suffix = {"windows": "dll", "darwin": "dylib"}.get(system, "so")
    return f"fused-{system}-{architecture}.{suffix}"


@functools.cache
def level_for(processor: Processor) -> Level:
    """The newest level that runs on `processor`. Raises EngineUnavailable where there is none."""
    names = levels_for(processor)
    if names:
        return level_of(load(library_path()), names[-1])
    raise EngineUnavailable(
        "The fused engine cannot run here",
        f"{processor.name} ({processor.level}) has neither AVX2 and FMA nor NEON",
        _REMEDY,
    )


def level_here() -> Level:
    """`level_for(this_processor())`, without torch, which takes seconds to load.

    Raises EngineUnavailable where there is none.
    """
    names, pretended = native_levels(), os.environ.get(VARIABLE, NATIVE)
    if pretended in LEVELS:
        newest = list(LEVELS).index(pretended)
        names = [name for name in names if name in list(LEVELS)[: newest + 1]]
    if not names:
        raise EngineUnavailable(
            "The fused engine cannot run here",
            "the processor has neither AVX2 and FMA nor NEON",
            _REMEDY,
        )
    return level_of(load(library_path()), names[-1])


def level_of(library: ctypes.CDLL, name: str) -> Level:
    """One level of a loaded library; running it is up to who knows that the processor can."""
    suffix = name.replace("-", "_")
    run = getattr(library, f"run_{suffix}")
    run.restype, run.argtypes = None, [ctypes.c_void_p] * 4
    scratch_bytes = getattr(library, f"scratch_bytes_{suffix}")
    scratch_bytes.restype, scratch_bytes.argtypes = ctypes.c_size_t, [ctypes.c_void_p, ctypes.c_int]
    multiply_only = getattr(library, f"multiply_only_{suffix}")
    multiply_only.restype, multiply_only.argtypes = ctypes.c_int64, [ctypes.c_int, ctypes.c_int]
    facts = (ctypes.c_int32 * 7)()
    getattr(library, f"layout_{suffix}")(facts)
    one_layer = getattr(library, f"one_layer_{suffix}")
    one_layer.restype = None
    one_layer.argtypes = [ctypes.c_void_p, *[ctypes.c_int] * 3, *[ctypes.c_void_p] * 3]
    match, carry = (getattr(library, f"{name}_{suffix}") for name in ("match", "carry"))
    match.restype = carry.restype = None
    match.argtypes = [
        *(ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p),
        *(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p),
    ]
    carry.argtypes = [ctypes.c_void_p] * 2
    rays = getattr(library, f"rays_{suffix}")
    rays.restype, rays.argtypes = ctypes.c_int32, _RAYS_ARGUMENTS
    carry_bytes = getattr(library, f"carry_scratch_bytes_{suffix}")
    carry_bytes.restype = ctypes.c_size_t
    panel, grain, dot4, byte_offset, bf16, amx, tile = facts
    return Level(
        name,
        run,
        scratch_bytes,
        multiply_only,
        panel,
        grain,
        bool(dot4),
        byte_offset,
        bool(bf16),
        bool(amx),
        tile,
        one_layer,
        match,
        carry,
        carry_bytes(),
        rays,
    )


@functools.cache
def load(path: Path) -> ctypes.CDLL:
    """The library at `path`. Raises LibraryBroken where the system does not take it."""
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise LibraryBroken(
            "The fused engine's library could not be loaded", first_line(error), _REMEDY
        ) from error


def library_path() -> Path:
    """The library for this system. Raises EngineUnavailable where none was built for it."""
    system, architecture = sys.platform, platform.machine().lower()
    system = {"win32": "windows"}.get(system, system)
    architecture = {"amd64": "x86_64", "arm64": "aarch64"}.get(architecture, architecture)
    path = BUILT / library_name(system, architecture)
    if not path.exists():
        raise EngineUnavailable(
            "The fused engine cannot run here",
            f"there is no library for {system} on {architecture}",
            _REMEDY,
        )
    return path


def levels_for(processor: Processor) -> list[str]:
    """Those that run on `processor`, which is this one or one it pretends to be; older ones first.

    Raises EngineUnavailable where there is no library.
    """
    able = native_levels()
    return able if _is_arm() else [name for name in able if name in processor.reached]


def native_levels() -> list[str]:
    """Those that the library itself finds the processor able to run; older ones first.

    Raises EngineUnavailable where there is no library.
    """
    found = load(library_path()).supported_levels()
    if _is_arm():
        return _arm_levels()
    return [name for i, name in enumerate(X86_64_LEVELS) if found >> i & 1]


def _is_arm() -> bool:
    return platform.machine().lower() in ("aarch64", "arm64")


def _arm_levels() -> list[str]:
    if sys.platform != "linux":
        return ["neon", "neon-dotprod"]  # every Mac with an Apple processor
    try:
        getauxval = ctypes.CDLL(None).getauxval
    except (OSError, AttributeError):
        return ["neon"]
    getauxval.restype, getauxval.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
    if not getauxval(_AT_HWCAP) & _HWCAP_ASIMDDP:
        return ["neon"]
    has_bf16 = getauxval(_AT_HWCAP2) & _HWCAP2_BF16
    return ["neon", "neon-dotprod", *(["neon-bf16"] if has_bf16 else [])]
