# mypy: allow-untyped-calls
"""Machine code on the GPU: loaded and launched through CUDA's driver."""

from __future__ import annotations

import ctypes
import functools

import torch
from torch import Tensor

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
