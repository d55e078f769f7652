"""Archives from the network: everything in them is looked at before anything is written.

Only plain files and folders inside the target are unpacked: no links, no devices, no paths that
lead elsewhere, no more than is sensible for an archive of its size.
"""

from __future__ import annotations

import functools
import gzip
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from r2l_core.checkpoints.kinds import require_short_directory
from r2l_core.errors import DownloadError, system_reason

MAX_ENTRIES = 1_000_000
MAX_GROWTH = 200
"""Unpacked size in multiples of the archive's: pictures and weights hardly shrink at all."""
_MAX_DIRECTORY_BYTES = 128 * 1024**2
_SMALL_BYTES = 1 << 20
"""Archives that unpack to no more than this are not suspected of anything."""

_DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError),
    *(EOFError, ValueError, NotImplementedError, RuntimeError),
)
"""What the standard library raises over archives that are none."""


@dataclass(frozen=True)
class _Entry:
    name: str
    is_folder: bool
    is_plain: bool
    size_bytes: int
    open: Callable[[], IO[bytes] | None]


def unpack(archive: Path, folder: Path) -> int:
    """Unpack a zip or tar archive into a `folder` of its own; returns how many files it holds.

    The folder appears when it is whole. One that is there already is left alone: it is the same
    archive's, or DownloadError. Raises that also for what cannot be unpacked, and has then written
    nothing if the reason is what the archive holds.
    """
    listed = _zip_entries if archive.suffix == ".zip" else _tar_entries
    growing = folder.with_name(f"{folder.name}.unpacking")
    try:
        with listed(archive) as members:
            if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
                entries = _checked(archive, members, folder)
                _require_same(archive, entries, folder)
            else:
                entries = _checked(archive, members, growing)
                for entry in entries:
                    _write(entry, growing / entry.name)
                growing.mkdir(parents=True, exist_ok=True)
                os.replace(growing, folder)
    except _DAMAGED as error:
        raise _refused(archive, f"it is damaged ({error})") from error
    except OSError as error:
        raise DownloadError(
            f"The archive {archive} could not be unpacked into {folder}",
            system_reason(error),
            "Choose a folder you can write to, with enough free space.",
        ) from error
    return sum(not entry.is_folder for entry in entries)


def _require_same(archive: Path, entries: list[_Entry], folder: Path) -> None:
    for entry in entries:
        path = folder / entry.name
        if entry.is_folder or (path.is_file() and path.stat().st_size == entry.size_bytes):
            continue
        raise DownloadError(
            f"The archive {archive} is not unpacked into {folder}",
            f"the folder is there already, and {entry.name[:200]!r} in it is missing or another",
            "Move the folder away, or choose another with --out.",
        )


@contextmanager
def _zip_entries(archive: Path) -> Iterator[Iterator[_Entry]]:
    with archive.open("rb") as file:
        require_short_directory(file, _MAX_DIRECTORY_BYTES)
    with zipfile.ZipFile(archive) as source:
        yield (
            _Entry(
                member.filename,
                member.filename.endswith("/"),  # is_dir fails over an empty name
                stat.S_IFMT(member.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
                and not member.flag_bits & 1,  # encrypted
                member.file_size,
                functools.partial(source.open, member),
            )
            for member in source.infolist()
        )


@contextmanager
def _tar_entries(archive: Path) -> Iterator[Iterator[_Entry]]:
    with tarfile.open(archive) as source:
        yield (
            _Entry(
                member.name,
                member.isdir(),
                member.isreg() or member.isdir(),
                member.size,
                functools.partial(source.extractfile, member),
            )
            for member in source
        )


def _checked(archive: Path, members: Iterator[_Entry], folder: Path) -> list[_Entry]:
    """All of them, if all are harmless. The first that is not ends the listing: of a compressed tar
    archive, no more is then decompressed."""
    root = folder.resolve()
    most_bytes = max(MAX_GROWTH * archive.stat().st_size, _SMALL_BYTES)
    total_bytes = 0
    entries: list[_Entry] = []
    for entry in members:
        total_bytes += entry.size_bytes
        if len(entries) >= MAX_ENTRIES:
            raise _refused(archive, f"it holds more than {MAX_ENTRIES} files")
        if total_bytes > most_bytes:
            raise _refused(
                archive, f"it would unpack to {total_bytes} bytes or more, far beyond its own size"
            )
        if not entry.is_plain:
            raise _refused(archive, f"{entry.name[:200]!r} in it is a link, a device or encrypted")
        if not _stays_inside(entry.name, folder, root):
            raise _refused(archive, f"{entry.name[:200]!r} in it leads out of the folder")
        entries.append(entry)
    return entries


def _stays_inside(name: str, folder: Path, root: Path) -> bool:
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    return (
        bool(name)
        and "\0" not in name
        and ".." not in (*posix.parts, *windows.parts)
        and not posix.is_absolute()
        and not windows.anchor
        and (folder / name).resolve().is_relative_to(root)
    )


def _write(entry: _Entry, path: Path) -> None:
    if entry.is_folder:
        path.mkdir(parents=True, exist_ok=True)
        return
    if path.is_file() and path.stat().st_size == entry.size_bytes:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = entry.open()
    assert stream is not None  # a plain file, as all that gets here
    with stream, path.open("wb") as target:
        shutil.copyfileobj(stream, target)


def _refused(archive: Path, why: str) -> DownloadError:
    return DownloadError(
        f"The archive {archive} cannot be unpacked", why, "Download it again, or leave it alone."
    )
