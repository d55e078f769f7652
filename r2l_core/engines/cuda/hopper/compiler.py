# mypy: allow-untyped-calls
"""CUDA C++ to machine code by NVRTC, and onto the GPU through CUDA's driver.

NVRTC comes with torch's CUDA builds, and what it makes is kept by its hash. No toolkit and no
compiler has to be installed; nothing of CUDA's headers is used.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from r2l_core.engines.cuda.hopper import products
from r2l_core.errors import EngineError
from r2l_core.files import replacing

OPTIONS = ("--gpu-architecture=sm_90a", "--std=c++17")

CACHE = "R2L_KERNEL_CACHE"
"""Environment variable: where machine code is kept, instead of the user's cache."""

_HERE = Path(__file__).parent


def machine_code(source: str, defines: tuple[str, ...] = ()) -> bytes:
    """A cubin of `source`, a file beside this one, with `defines`, NAME=VALUE each.

    Takes some ten seconds the first time. Raises RuntimeError or OSError where that fails.
    """
    texts = texts_of(source)
    options = (*OPTIONS, *(f"--define-macro={one}" for one in defines))
    nvrtc = Nvrtc()
    digest = hashlib.sha256()
    for part in (nvrtc.version, *options, *texts.values()):
        digest.update(part.encode() + b"\0")
    folder = cache_folder()
    path = folder and folder / f"{source.removesuffix('.cu')}-{digest.hexdigest()[:32]}.cubin"
    if path is not None:
        with contextlib.suppress(OSError):
            return path.read_bytes()
    code, _ = nvrtc.compiled(source, texts, options)
    if path is not None:
        # A cache that cannot be written is no reason to fail.
        what = "A kernel could not be kept"
        with contextlib.suppress(EngineError), replacing(path, EngineError, what) as new:
            new.write_bytes(code)
    return code


def texts_of(source: str) -> dict[str, str]:
    """`source` and the headers that it takes, by name."""
    return {
        "common.cuh": (_HERE / "common.cuh").read_text(encoding="utf-8"),
        "products.cuh": products.header(),
        source: (_HERE / source).read_text(encoding="utf-8"),
    }


def cache_folder() -> Path | None:
    """Where kernels are kept, if anywhere."""
    if given := os.environ.get(CACHE):
        return Path(given)
    try:
        # Imported here: kernels also run where nothing is kept.
        import platformdirs
    except ImportError:
        return None
    return platformdirs.user_cache_path("r2l-viewer") / "kernels"


class Nvrtc:
    """NVRTC through ctypes. Raises OSError where it is not to be found."""

    def __init__(self) -> None:
        self._library = _library()
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._ask("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        self.version = f"NVRTC {major.value}.{minor.value}"

    def compiled(
        self, source: str, texts: dict[str, str], options: tuple[str, ...]
    ) -> tuple[bytes, str]:
        """Machine code of `texts[source]`, whose headers are among `texts`, and what was said."""
        program = ctypes.c_void_p()
        self._ask(
            "nvrtcCreateProgram",
            ctypes.byref(program),
            texts[source].encode(),
            source.encode(),
            len(texts),
            _strings([*texts.values()]),
            _strings([*texts]),
        )
        try:
            try:
                self._ask("nvrtcCompileProgram", program, len(options), _strings([*options]))
            except RuntimeError as error:
                raise RuntimeError(f"{error}: {self._said(program)}") from error
            return self._text("CUBIN", program), self._said(program)
        finally:
            self._ask("nvrtcDestroyProgram", ctypes.byref(program))

    def _said(self, program: ctypes.c_void_p) -> str:
        return self._text("ProgramLog", program).decode(errors="replace").strip("\0\n ")

    def _text(self, what: str, program: ctypes.c_void_p) -> bytes:
        size = ctypes.c_size_t()
        self._ask(f"nvrtcGet{what}Size", program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        self._ask(f"nvrtcGet{what}", program, text)
        return text.raw

    def _ask(self, name: str, *arguments: object) -> None:
        status = getattr(self._library, name)(*arguments)
        if status:
            say = self._library.nvrtcGetErrorString
            say.restype = ctypes.c_char_p
            raise RuntimeError(f"{name}: {say(status).decode()}")


def _strings(texts: list[str]) -> ctypes.Array[ctypes.c_char_p]:
    return (ctypes.c_char_p * len(texts))(*(text.encode() for text in texts))


@functools.cache
def _library() -> ctypes.CDLL:
    """As torch's CUDA builds bring it, in a package `nvidia`, or as the system has it."""
    spec = find_spec("nvidia")
    for place in (spec and spec.submodule_search_locations) or ():
        for path in sorted(Path(place).glob("*/lib/libnvrtc.so.*")):
            # It looks for these by name alone, and finds what is loaded already.
            for beside in path.parent.glob("libnvrtc-builtins.so.*"):
                ctypes.CDLL(str(beside), mode=ctypes.RTLD_GLOBAL)
            return ctypes.CDLL(str(path))
    for name in ("libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"):
        with contextlib.suppress(OSError):
            return ctypes.CDLL(name)
    raise OSError("NVRTC, which comes with torch's CUDA builds, was not found")


_MOST_SHARED_MEMORY = 8
"""CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES"""


class Kernel:
    """One function of a cubin, in the current context of torch.

    threads: of a block. shared_bytes: of its shared memory. Raises RuntimeError or OSError where it
    cannot be loaded.
    """

    def __init__(self, code: bytes, name: str, threads: int, shared_bytes: int) -> None:
        self._threads, self._shared_bytes = threads, shared_bytes
        torch.cuda.init()
        self.n_processors: int = torch.cuda.get_device_properties().multi_processor_count
        module, self._function = ctypes.c_void_p(), ctypes.c_void_p()
        _ask("cuModuleLoadData", ctypes.byref(module), code)
        _ask("cuModuleGetFunction", ctypes.byref(self._function), module, name.encode())
        _ask("cuFuncSetAttribute", self._function, _MOST_SHARED_MEMORY, shared_bytes)

    def __call__(self, n_blocks: int, *arguments: Tensor | int) -> None:
        """Put it into the current stream, with so many thread blocks. Tensors become their address,
        integers are 32 bits wide."""
        values = [
            ctypes.c_void_p(one.data_ptr()) if isinstance(one, Tensor) else ctypes.c_int(one)
            for one in arguments
        ]
        places = [ctypes.cast(ctypes.byref(value), ctypes.c_void_p) for value in values]
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        _ask(
            "cuLaunchKernel",
            self._function,
            *(n_blocks, 1, 1),
            *(self._threads, 1, 1),
            self._shared_bytes,
            stream,
            (ctypes.c_void_p * len(places))(*places),
            None,
        )


@functools.cache
def _driver() -> ctypes.CDLL:
    return ctypes.CDLL("libcuda.so.1")


def _ask(name: str, *arguments: object) -> None:
    status = getattr(_driver(), name)(*arguments)
    if status:
        text = ctypes.c_char_p()
        _driver().cuGetErrorName(status, ctypes.byref(text))
        said = text.value.decode() if text.value else status
        raise RuntimeError(f"CUDA's driver refused {name} ({said})")
