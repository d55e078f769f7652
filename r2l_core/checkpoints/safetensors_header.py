"""The header of a `.safetensors` file, read and checked before anything behind it is.

The format: eight bytes with the length of a JSON text, the text, then the numbers of all tensors.
The text maps names to type, shape and place, and `__metadata__` to texts.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, BinaryIO

MAX_HEADER_BYTES = 8 * 1024**2
"""Room for the names of 60,000 tensors."""

_MAX_DIMENSIONS = 8
_MAX_NUMEL = 2**48


@dataclass(frozen=True)
class StoredTensor:
    """What a header says of a tensor. `dtype`: as the format names it, such as "F32"."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def numel(self) -> int:
        """Number of elements."""
        return prod(self.shape)


@dataclass(frozen=True)
class Header:
    """`metadata`: texts by name, or whatever else the file has in their place."""

    metadata: Mapping[str, Any]
    tensors: Mapping[str, StoredTensor]


def read_header(file: BinaryIO) -> Header:
    """The header of an open file. Raises ValueError where it is none, or promises more than the
    file holds."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= size - 8:
        raise ValueError("its header is not complete")
    if length > MAX_HEADER_BYTES:
        raise ValueError(f"its header is longer than {MAX_HEADER_BYTES >> 20} MiB")
    try:
        entries = json.loads(file.read(length))
    except RecursionError as error:
        raise ValueError("its header is nested too deeply") from error
    if not isinstance(entries, dict):
        raise ValueError("its header is not a JSON object")
    metadata = entries.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict):
        raise ValueError("its __metadata__ is not an object")
    tensors = {name: _tensor(name, entry, size - 8 - length) for name, entry in entries.items()}
    return Header(metadata, tensors)


def _tensor(name: str, entry: Any, data_bytes: int) -> StoredTensor:
    entry = entry if isinstance(entry, dict) else {}
    dtype, shape, place = (entry.get(key) for key in ("dtype", "shape", "data_offsets"))
    if (
        not isinstance(dtype, str)
        or not _are_counts(shape)
        or not _are_counts(place)
        or len(shape) > _MAX_DIMENSIONS
        or len(place) != 2
    ):
        raise ValueError(f"its header does not say what {name[:80]} is")
    if not place[0] <= place[1] <= data_bytes or prod(shape) > _MAX_NUMEL:
        raise ValueError(f"its header says that {name[:80]} reaches beyond the end of the file")
    return StoredTensor(dtype, tuple(shape))


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(n) is int and 0 <= n < 2**48 for n in values)
