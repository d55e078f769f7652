"""What goes wrong on a GPU, as one error of one paragraph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from r2l_core.errors import EngineError, first_line
from r2l_core.types import Precision


def require_finite(finite: bool, precision: Precision) -> None:
    """Raise EngineError where colours are not finite, which in fp16 has one cause."""
    if finite:
        return
    why, remedy = "its colours are not numbers", "Choose another precision."
    if precision is Precision.FP16:
        why = "activations of this light field exceed 65,504, the largest float16"
        remedy = "Choose bf16, which is as fast and has no such limit."
    raise EngineError(f"The cuda engine failed in {precision}", why, remedy)


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
