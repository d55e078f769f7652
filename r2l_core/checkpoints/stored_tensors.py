"""Tensors of `.safetensors` files, in the types that light fields are stored in."""

from __future__ import annotations

from typing import BinaryIO

import torch
from torch import Tensor

from r2l_core.checkpoints.safetensors_header import Header, StoredTensor, read_numbers

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def read_tensor(file: BinaryIO, header: Header, name: str) -> Tensor:
    """The numbers of one tensor, in the type they are stored in and memory of their own.

    Raises ValueError where they are not there, or of a type that no light field has.
    """
    stored = header.tensors[name]
    dtype = stored_dtype(name, stored)
    data = read_numbers(file, header, name, dtype.itemsize)
    if not stored.numel:
        return torch.empty(stored.shape, dtype=dtype)
    return torch.frombuffer(data, dtype=dtype).reshape(stored.shape)


def stored_dtype(name: str, stored: StoredTensor) -> torch.dtype:
    """The type of a tensor's numbers. Raises ValueError for one that no light field has."""
    dtype = _DTYPES.get(stored.dtype)
    if dtype is None:
        raise ValueError(f"{name[:80]} holds numbers of the type {stored.dtype[:20]}")
    return dtype
