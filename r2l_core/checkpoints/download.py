"""Published models and data, fetched as the published shell scripts do, but resumably.

Beside a downloaded FILE lies FILE.json: where it came from and its SHA-256. Whatever is fetched
again later under that name has to be the same. An interrupted download is kept as FILE.part.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from r2l_core.errors import DownloadError, system_reason
from r2l_core.files import write_json
from r2l_core.json_fields import stored_object

_RELEASES = "https://github.com/MingSun-Tse/Efficient-NeRF/releases/download"
_TIMEOUT_S = 30.0
_CHUNK_BYTES = 1 << 20
MAX_BYTES = 64 * 1024**3
"""Far more than anything published: what never ends is given up."""


@dataclass(frozen=True)
class Asset:
    """A published archive. `folder`: where, below the output folder, the published scripts unpack
    it. `sha256`: in hexadecimal digits, where the publisher states one."""

    url: str
    description: str
    folder: str = "."
    sha256: str | None = None

    @property
    def file_name(self) -> str:
        return self.url.rsplit("/", 1)[-1]


CATALOGUE: dict[str, Asset] = {
    "r2l-blender": Asset(
        f"{_RELEASES}/v0.2/R2L_Blender_Models.zip", "R2L W256 D88 of the eight Blender scenes"
    ),
    "nerf-blender": Asset(
        f"{_RELEASES}/v0.2/NeRF_Blender_Models.zip", "the NeRF teachers of the Blender scenes"
    ),
    "example-data": Asset(
        "http://cseweb.ucsd.edu/~viscomp/projects/LF/papers/ECCV20/nerf/nerf_example_data.zip",
        "the scenes lego (Blender) and fern (LLFF)",
        folder="data",
    ),
    "lego-pseudo-data": Asset(
        f"{_RELEASES}/v0.3/lego_pseudo_images500.zip",
        "rays of 500 images of lego by its teacher (2.8 GB)",
    ),
}
"""By command-line name; source: scripts/download_*.sh of the released R2L code."""

UNPUBLISHED = {
    "r2l-llff": "the released R2L code names no download of its LLFF models",
}

ByteProgress = Callable[[int, int | None], None]
"""Told how many bytes there are, and of how many where that is known."""


def is_trusted(asset: Asset, file: Path, digest: str) -> bool:
    """Whether somebody stands for a fetched file: its publisher, or a person who was asked."""
    return asset.sha256 == digest or _notes(file).get("trusted") == digest


def trust(file: Path, digest: str) -> None:
    """Remember that a person stands for a fetched file of that SHA-256."""
    _note(file, {**_notes(file), "trusted": digest})


def fetch(asset: Asset, folder: Path, progress: ByteProgress) -> tuple[Path, str]:
    """The asset's file in `folder` and its SHA-256, downloading what is missing of it.

    Raises DownloadError: not to be had, cut off, or not the same as before.
    """
    file = folder / asset.file_name
    part = folder / f"{asset.file_name}.part"
    notes = _notes(file)
    expected = asset.sha256 or notes.get("sha256")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            _download(asset.url, part, notes, lambda values: _note(file, values), progress)
        digest = _sha256(part if not file.exists() else file)
        if expected is not None and digest != expected:
            raise DownloadError(
                f"{file} is not what it was",
                f"its SHA-256 is {digest}, and should be {expected}",
                f"If it was changed on purpose by its publisher, remove {_notes_file(file)}; "
                f"otherwise remove {part if not file.exists() else file} and try again.",
            )
        if not file.exists():
            os.replace(part, file)
        trusted = {"trusted": digest} if notes.get("trusted") == digest else {}
        size = file.stat().st_size
        _note(file, {"url": asset.url, "bytes": size, "sha256": digest, **trusted})
    except OSError as error:
        raise DownloadError(
            f"{file} could not be written",
            system_reason(error),
            "Choose a folder you can write to, with enough free space.",
        ) from error
    return file, digest


def _download(
    url: str,
    part: Path,
    notes: dict[str, Any],
    note: Callable[[dict[str, Any]], None],
    progress: ByteProgress,
) -> None:
    """Complete `part`, going on from what it has where the server still has the same file."""
    headers = {"User-Agent": "r2l-viewer", "Accept-Encoding": "identity"}
    have = part.stat().st_size if part.exists() else 0
    validator = notes.get("validator")
    if have and isinstance(validator, str):
        headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_S
        ) as reply:
            if reply.status != http.HTTPStatus.PARTIAL_CONTENT or not have:
                have = 0
            total = _total_bytes(reply.headers, have)
            validator = reply.headers.get("ETag") or reply.headers.get("Last-Modified")
            if validator and not validator.startswith("W/"):
                note({**notes, "url": url, "validator": validator})
            with part.open("r+b" if have else "wb") as stream:
                stream.truncate(have)
                stream.seek(have)
                _copy(reply, stream, have, total, progress)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            # All of it is there already, or more than all: the SHA-256 decides.
            if error.headers.get("Content-Range") == f"bytes */{have}":
                return
            part.unlink()
        raise _failed(url, f"the server answers {error.code} {error.reason}") from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
        raise _failed(url, str(getattr(error, "reason", error)) or "no answer") from error
    except (ConnectionError, ssl.SSLError) as error:
        raise _failed(url, f"the connection was lost ({error})") from error


def _total_bytes(headers: Any, have: int) -> int | None:
    """Of the whole file, where the server says."""
    if have:
        start, _, total = headers.get("Content-Range", "").partition("/")
        if not start.startswith(f"bytes {have}-"):
            raise http.client.HTTPException("it sends another part than was asked for")
        return int(total) if total.isdigit() else None
    length = headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _copy(
    source: http.client.HTTPResponse,
    target: BinaryIO,
    have: int,
    total: int | None,
    progress: ByteProgress,
) -> None:
    if total is not None and total > MAX_BYTES:
        raise http.client.HTTPException(f"it is {total} bytes, more than any published file")
    progress(have, total)
    while chunk := source.read(_CHUNK_BYTES):
        target.write(chunk)
        have += len(chunk)
        progress(have, total)
        if have > MAX_BYTES:
            raise http.client.HTTPException("it does not end")
    if total is not None and have != total:
        raise http.client.HTTPException(f"the connection ended after {have} of {total} bytes")


def _failed(url: str, why: str) -> DownloadError:
    return DownloadError(
        f"{url} could not be downloaded", why, "Try again: it goes on where it stopped."
    )


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _notes_file(file: Path) -> Path:
    return file.with_name(file.name + ".json")


def _notes(file: Path) -> dict[str, Any]:
    """What is known of a file, or nothing where the notes are missing or damaged."""
    try:
        return stored_object(_notes_file(file).read_bytes())
    except OSError:
        return {}


def _note(file: Path, values: dict[str, Any]) -> None:
    write_json(_notes_file(file), values)
