# mypy: allow-untyped-calls
"""What the CUDA engine asks of a GPU, and what goes wrong there.

One stream, captured graphs, pinned memory and a stopwatch; everything else of the engine is plain
torch and runs on a processor as well. The tests put a stand-in for `Device` in its place.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor

from r2l_core.errors import EngineError, first_line
from r2l_core.geometry.scene import SceneSpec
from r2l_core.types import Precision, RayMode

WARM_UPS = 3


class Mark(Protocol):
    """A point in the device's work, such as a torch.cuda.Event."""

    def record(self) -> None:
        """Put it after everything asked for until now."""

    def synchronize(self) -> None:
        """Wait until the device has come to it."""

    def elapsed_time(self, end: Mark) -> float:
        """Milliseconds from this one to `end`; both must have been reached."""


class Device(Protocol):
    """A device that works through its queue while the processor goes on. Used by one thread."""

    @property
    def torch_device(self) -> torch.device:
        """Where its tensors live."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    @property
    def capability(self) -> tuple[int, int]:
        """CUDA's compute capability."""

    def host_memory(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Memory of the host that can be copied to and from without waiting."""

    def mark(self) -> Mark:
        """A new mark, not recorded yet."""

    def working(self) -> AbstractContextManager[object]:
        """Around what is to go into the device's queue."""

    def captured(self, run: Callable[[], None], warm_ups: int = WARM_UPS) -> Callable[[], None]:
        """What repeats `run` with a single call. `run` must work on the same memory every time,
        which the caller keeps, and is run `warm_ups` times on the way: libraries allocate and
        kernels are compiled in the first calls."""


class CudaDevice:
    """A GPU through torch. See Device.

    There is one for each GPU of the process (`cuda_device`): cuBLAS keeps up to 32 MiB of memory
    for every stream it has seen, so all engines share one stream.
    """

    def __init__(self, index: int) -> None:
        self.torch_device = torch.device("cuda", index)
        self.name: str = torch.cuda.get_device_name(index)
        self.capability: tuple[int, int] = torch.cuda.get_device_capability(index)
        # Its own stream: whatever else uses the GPU from this process does not wait for a tile.
        self._stream = torch.cuda.Stream(self.torch_device)
        # What graphs need in between can be the same memory for all: one runs at a time.
        self._graph_memory = torch.cuda.graph_pool_handle()

    def host_memory(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """See Device.host_memory."""
        return torch.empty(*shape, dtype=dtype, pin_memory=True)

    def mark(self) -> Mark:
        """See Device.mark."""
        return cast(Mark, torch.cuda.Event(enable_timing=True))

    def working(self) -> AbstractContextManager[object]:
        """See Device.working."""
        stream: AbstractContextManager[object] = torch.cuda.stream(self._stream)
        return stream

    def captured(self, run: Callable[[], None], warm_ups: int = WARM_UPS) -> Callable[[], None]:
        """See Device.captured: a CUDA graph."""
        stream = self._stream
        stream.wait_stream(torch.cuda.current_stream(self.torch_device))
        graph = torch.cuda.CUDAGraph()
        with exact_products():
            with torch.cuda.stream(stream):
                for _ in range(warm_ups):
                    run()
            stream.synchronize()
            # thread_local: other threads of the process may go on allocating GPU memory meanwhile.
            with torch.cuda.graph(
                graph,
                pool=self._graph_memory,
                stream=stream,
                capture_error_mode="thread_local",
            ):
                run()
        replay: Callable[[], None] = graph.replay
        return replay


@dataclass(frozen=True, eq=False)
class SceneOnDevice:
    """A scene as an engine shows it on its device: what its pictures and lists of pixels are made
    with.

    shade: origins and directions of up to `tile_rays` rays, float32 (n, 3) each, to their colours,
    all on the device, and such that a graph can hold it.
    """

    device: Device
    shade: Callable[[Tensor, Tensor], Tensor]
    tile_rays: int
    precision: Precision
    scene: SceneSpec
    ray_mode: RayMode


@functools.cache
def _device(index: int) -> CudaDevice:
    return CudaDevice(index)


def cuda_device() -> CudaDevice:
    """The current GPU of this process."""
    return _device(torch.cuda.current_device())


@contextmanager
def exact_products() -> Iterator[None]:
    """No TF32 in float32, no 16-bit partial sums, whatever the process has set.

    Needed while warming up and capturing only: a graph keeps the kernels it was captured with.
    """
    matmul = torch.backends.cuda.matmul
    names = (
        "fp32_precision",
        "allow_fp16_reduced_precision_reduction",
        "allow_bf16_reduced_precision_reduction",
    )
    before = [getattr(matmul, name) for name in names]
    try:
        for name, value in zip(names, ("ieee", False, False), strict=True):
            setattr(matmul, name, value)
        yield
    finally:
        for name, value in zip(names, before, strict=True):
            setattr(matmul, name, value)


@contextmanager
def failures(what: str, precision: Precision) -> Iterator[None]:
    """Turn whatever the GPU, its driver or Triton's compiler raise into one EngineError."""
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        what, said = f"The cuda engine {what} in {precision}", first_line(error).rstrip(".")
        if isinstance(error, torch.OutOfMemoryError):
            why = "the GPU's memory is used up"
            remedy = "Close other programs that use the GPU, or choose --device cpu."
        elif isinstance(error, torch.AcceleratorError):
            why = f"the GPU no longer answers ({said})"
            remedy = "Start the program again, with --device cpu if it goes on."
        else:
            # Triton's compiler raises errors of all kinds, for want of a C compiler, say.
            why = said
            remedy = "Choose another precision, or --device cpu."
        raise EngineError(what, why, remedy) from error
