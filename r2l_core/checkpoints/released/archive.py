"""The two containers of `torch.save`, read without torch's own loader.

Since torch 1.6 a checkpoint is a zip archive that holds `NAME/data.pkl` and one uncompressed entry
`NAME/data/KEY` for each storage. Before, it was a sequence of pickles - magic number, version,
system, the checkpoint itself, the keys of its storages - and then, for each key, an element count
and the numbers. Both are read by seeking, so that what nobody asks for (the optimizer's state, for
one) never reaches memory.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import torch
from torch import Tensor

from r2l_core import limits
from r2l_core.checkpoints.kinds import described_zip, require_short_directory
from r2l_core.checkpoints.released.stand_ins import Refused, StorageRef, TensorRef
from r2l_core.checkpoints.released.unpickling import read_pickle
from r2l_core.errors import first_line

_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001


class Archive:
    """`root`: what was saved, with TensorRef for tensors. `tensors` reads some of those."""

    def __init__(
        self, root: Any, read_storage: Callable[[StorageRef], bytes], file_bytes: int
    ) -> None:
        self.root = root
        self._file_bytes = file_bytes
        self._read_storage = read_storage

    def tensors(self, references: Mapping[str, TensorRef]) -> dict[str, Tensor]:
        """The numbers, contiguous, in the type they are stored in; all together no more than
        the file has. Raises Refused."""
        of_storage: dict[StorageRef, list[str]] = {}
        for name, reference in references.items():
            of_storage.setdefault(reference.storage, []).append(name)
        if sum(storage.n_bytes for storage in of_storage) > self._file_bytes:
            raise Refused("its tensors lie in more numbers than the file holds")
        found: dict[str, Tensor] = {}
        for storage, names in of_storage.items():
            # Once, however many tensors are views of it.
            data = self._read_storage(storage)
            if len(data) != storage.n_bytes:
                raise Refused(f"it ends in the middle of its storage {storage.key[:40]}")
            flat = (
                torch.frombuffer(bytearray(data), dtype=storage.dtype)
                if data
                else torch.empty(0, dtype=storage.dtype)
            )
            for name in names:
                at = references[name]
                if at.numel:
                    view = flat.as_strided(at.shape, at.strides, at.offset)
                    found[name] = view.clone(memory_format=torch.contiguous_format)
                else:
                    found[name] = torch.empty(at.shape, dtype=storage.dtype)
        return {name: found[name] for name in references}


def open_archive(file: BinaryIO) -> Archive:
    """Read the structure of a checkpoint. Raises Refused."""
    is_zip = file.read(4) == b"PK\x03\x04"
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    try:
        return _zipped(file, size) if is_zip else _legacy(file, size)
    except Refused:
        raise
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        EOFError,
        ValueError,
        struct.error,
        KeyError,
        RuntimeError,
        OverflowError,
    ) as error:
        raise Refused(f"it is truncated or damaged ({first_line(error)[:200]})") from error


def _zipped(file: BinaryIO, size: int) -> Archive:
    require_short_directory(file, limits.ZIP_DIRECTORY_BYTES)
    archive = zipfile.ZipFile(file)
    if len(archive.namelist()) > limits.ZIP_ENTRIES:
        raise Refused("the table of contents of its zip archive is too long")
    pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(pickles) > 1:
        raise Refused("it holds several checkpoints: there is more than one data.pkl in it")
    if not pickles:
        raise Refused(*described_zip(archive.namelist()))
    folder = pickles[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in archive.namelist():
        raise Refused(
            "it is a TorchScript program, not a checkpoint", "Choose the checkpoint it was made of."
        )

    def read(name: str) -> bytes:
        entry = archive.getinfo(name)
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise Refused(
                f"another program has packed it again: its entry {name[:80]} is compressed or "
                "encrypted",
                "Take the file as it was downloaded, without unpacking it.",
            )
        if entry.file_size != entry.compress_size or entry.file_size > size:
            raise Refused(f"its entry {name[:80]} claims more than the file holds")
        return archive.read(entry)

    def read_storage(storage: StorageRef) -> bytes:
        name = f"{folder}data/{storage.key}"
        try:
            stored = archive.getinfo(name).file_size
            if stored != storage.n_bytes:
                raise Refused(
                    f"its entry {name[:80]} has {stored} bytes, not {storage.numel} numbers"
                )
            return read(name)
        except KeyError as error:
            raise Refused(f"its entry {name[:80]} is missing") from error
        except (
            zipfile.BadZipFile,
            NotImplementedError,
            EOFError,
            RuntimeError,
            ValueError,
        ) as error:
            raise Refused(f"its entry {name[:80]} is damaged ({error})") from error

    if f"{folder}byteorder" in archive.namelist() and read(f"{folder}byteorder") != b"little":
        raise Refused("it was written on a big-endian machine")
    if archive.getinfo(pickles[0]).file_size > limits.PICKLE_BYTES:
        raise Refused(f"its data.pkl is longer than {limits.PICKLE_BYTES // 1024**2} MiB")
    root, _ = read_pickle(io.BytesIO(read(pickles[0])))
    return Archive(root, read_storage, size)


def _legacy(file: BinaryIO, size: int) -> Archive:
    magic, _ = read_pickle(file)
    if magic != _MAGIC:
        raise Refused("it is a pickle, but none that torch has written", "Save it with torch.save.")
    version, _ = read_pickle(file)
    system, _ = read_pickle(file)
    if version != _LEGACY_VERSION or not isinstance(system, dict):
        raise Refused("it has an unknown version of torch's format")
    if system.get("little_endian") is not True:
        raise Refused("it was written on a big-endian machine")
    root, storages = read_pickle(file)
    keys, _ = read_pickle(file)
    by_key = {storage.key: storage for storage in storages}
    # Texts alone: to look for a tuple in a dictionary hashes all that is nested in it.
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise Refused("the list of its storages holds something else than their names")
    if any(key not in by_key for key in keys):
        raise Refused("it lists storages that it does not describe")
    places: dict[str, int] = {}
    for key in keys:
        storage = by_key[key]
        count = file.read(8)
        if len(count) < 8 or int.from_bytes(count, "little") != storage.numel:
            raise Refused(f"its storage {key[:40]} is missing or has another length")
        places[key] = file.tell()
        end = places[key] + storage.n_bytes
        if end > size:
            raise Refused(f"it is truncated: its storage {key[:40]} is not complete")
        file.seek(end)
    if file.tell() != size:
        raise Refused("it goes on behind its last storage")

    def read_storage(storage: StorageRef) -> bytes:
        if storage.key not in places:
            raise Refused(f"its storage {storage.key[:40]} is missing")
        file.seek(places[storage.key])
        return file.read(storage.n_bytes)

    return Archive(root, read_storage, size)
