"""`.safetensors` files: the header, checked before anything behind it is read.

The format: eight bytes with the length of a JSON text, the text, then the numbers of all tensors.
The text maps names to type, shape and place, and `__metadata__` to texts.

The library of that name maps the file into memory, and when somebody cuts a mapped file off, the
process that reads it dies. Here everything is read.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, BinaryIO

from r2l_core import limits
from r2l_core.json_fields import parse_json

_MAX_DIMENSIONS = 8
_MAX_NUMEL = 2**48


@dataclass(frozen=True)
class StoredTensor:
    """What a header says of a tensor. `dtype`: as the format names it, such as "F32". `begin`,
    `end`: bytes, counted from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def numel(self) -> int:
        """Number of elements."""
        return prod(self.shape)


@dataclass(frozen=True)
class Header:
    """`metadata`: texts by name, or whatever else the file has in their place. `n_bytes`: where
    the numbers begin."""

    metadata: Mapping[str, Any]
    tensors: Mapping[str, StoredTensor]
    n_bytes: int


def read_header(file: BinaryIO) -> Header:
    """The header of an open file. Raises ValueError where it is none, or promises more than the
    file holds."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= size - 8:
        raise ValueError("its header is not complete")
    if length > limits.HEADER_BYTES:
        raise ValueError(f"its header is longer than {limits.HEADER_BYTES >> 20} MiB")
    entries = parse_json(file.read(length))
    if not isinstance(entries, dict):
        raise ValueError("its header is not a JSON object")
    metadata = entries.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict):
        raise ValueError("its __metadata__ is not an object")
    if not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError("its __metadata__ holds something else than texts")
    if len(entries) > limits.TENSORS:
        raise ValueError(f"it has {len(entries)} tensors, and up to {limits.TENSORS} are read")
    tensors = {name: _tensor(name, entry, size - 8 - length) for name, entry in entries.items()}
    _check_places(tensors, size - 8 - length)
    return Header(metadata, tensors, 8 + length)


def read_numbers(file: BinaryIO, header: Header, name: str, itemsize: int) -> bytearray:
    """The bytes of one tensor, whose numbers have `itemsize` bytes each.

    Raises ValueError where they are not there.
    """
    stored = header.tensors[name]
    if stored.numel * itemsize != stored.end - stored.begin:
        raise ValueError(f"{name[:80]} has another size than its header says")
    data = bytearray(stored.end - stored.begin)
    file.seek(header.n_bytes + stored.begin)
    view, have = memoryview(data), 0
    while have < len(data) and (count := file.readinto(view[have:])):  # type: ignore[attr-defined]
        have += count
    if have < len(data):
        raise ValueError(f"it ends in the middle of {name[:80]}")
    return data


def _check_places(tensors: Mapping[str, StoredTensor], data_bytes: int) -> None:
    """Tensors follow each other without gap or overlap: many cannot claim the same bytes."""
    end = 0
    for name, stored in sorted(tensors.items(), key=lambda one: (one[1].begin, one[1].end)):
        if stored.begin != end:
            raise ValueError(f"its header puts {name[:80]} in a place of no or other tensors")
        end = stored.end
    if end != data_bytes:
        raise ValueError("it holds more or fewer numbers than its header says")


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
    return StoredTensor(dtype, tuple(shape), *place)


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(n) is int and 0 <= n < 2**48 for n in values)
