"""What a file is, said by its first bytes or its table of contents, before anything reads it whole.

A person who gives one that is no light field gets to know what to do with it.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from typing import BinaryIO

HEAD_BYTES = 512
"""Enough of a file to tell one kind from another."""

_SHOWN = 60
"""Characters of a text that is no checkpoint."""

_AGAIN = "Download or copy it again, or choose another file."
_UNPACK = "Unpack it first, and open what is inside."

# (bytes at the beginning, what it is, what to do)
_BEGINNINGS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "it is an archive packed with gzip", _UNPACK),
    (b"BZh", "it is an archive packed with bzip2", _UNPACK),
    (b"\xfd7zXZ\x00", "it is an archive packed with xz", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "it is a 7z archive", _UNPACK),
    (b"Rar!", "it is a RAR archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "it is an archive packed with zstd", _UNPACK),
    (b"\x93NUMPY", "it is a NumPy array", "Choose a checkpoint."),
    (b"\x89HDF", "it is an HDF5 file, such as Keras writes", "Choose a checkpoint of torch."),
    (b"\x89PNG", "it is a picture", "Choose a checkpoint."),
    (b"\xff\xd8\xff", "it is a picture", "Choose a checkpoint."),
    (b"ply", "it is a point cloud", "Choose a checkpoint."),
    (b"GGUF", "it is a language model", "Choose a checkpoint."),
    (b"GIF8", "it is a picture", "Choose a checkpoint."),
    (b"RIFF", "it is a picture or a film", "Choose a checkpoint."),
    (b"%PDF", "it is a PDF document", "Choose a checkpoint."),
    (b"glTF", "it is a model of glTF", "Choose a checkpoint."),
    (b"SQLite format", "it is a database", "Choose a checkpoint."),
    (b"#!", "it is a script", "Choose a checkpoint."),
    (b"PK\x05\x06", "it is an empty zip archive", _AGAIN),
    (b"PK\x07\x08", "it is one part of a zip archive of several", _UNPACK),
    (b"\x7fELF", "it is a program", "Choose a checkpoint."),
    (b"MZ", "it is a program", "Choose a checkpoint."),
)
_POINTERS = (b"version https://git-lfs", b"version https://hawser", b"# xet version")
_PAGES = (b"<!doctype", b"<html", b"<head", b"<body", b"<?xml", b"<error", b"<!--", b"<title")


def is_torch_file(head: bytes) -> bool:
    """Whether a file that starts with these bytes may be one that `torch.save` has written.

    A native file starts with the length of a JSON text and its brace.
    """
    if head[8:9] == b"{":
        return False
    return head[:4] == b"PK\x03\x04" or (head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05")


def not_itself(head: bytes) -> tuple[str, str] | None:
    """What stands in a file's place where a download or a copy went wrong, and what to do; None
    where the bytes that it begins with are none of that."""
    if not head:
        return "it is empty", _AGAIN
    text = _text(head)
    if text.startswith(_POINTERS):
        return (
            "it is a Git LFS pointer: a few lines that stand for the file itself",
            "Run `git lfs pull` in its repository, or download the file itself.",
        )
    if text.lower().startswith(_PAGES):
        return (
            "it is a web page: what a download site sends instead of the file",
            "Open the address in a browser, and download the file itself.",
        )
    if head.startswith(b"\0\x05\x16\x07"):
        return "it is what macOS puts beside a file on other disks", "Choose the file itself."
    if not any(head):
        return "it begins with nothing but zeros: its download was cut off", _AGAIN
    return None


def _text(head: bytes) -> bytes:
    """A text without the mark of its byte order, as UTF-8."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head[: len(head) // 2 * 2].decode("utf-16", "replace").encode()
    return head.removeprefix(b"\xef\xbb\xbf").lstrip()


def _words(text: bytes) -> str:
    """How a text begins; nothing where it is none."""
    try:
        words = text.decode("ascii").split("\n")[0].strip()[:_SHOWN]
    except UnicodeDecodeError:
        return ""
    return words if words.isprintable() else ""


def described(head: bytes) -> tuple[str, str]:
    """What a file that begins with `head` is, a clause, and what to do, a sentence."""
    if (found := not_itself(head)) is not None:
        return found
    for beginning, what, remedy in _BEGINNINGS:
        if head.startswith(beginning):
            return what, remedy
    if head[4:8] == b"ftyp":  # behind a length
        return "it is a film", "Choose a checkpoint."
    if head[257:262] == b"ustar":
        return "it is a tar archive, and released checkpoints only end like one", _UNPACK
    text = _text(head)
    if text[:1] in (b"{", b"["):
        return "it is a JSON text and holds no weights", "Choose a checkpoint."
    if b"pytorch" in head[:64] or b"onnx" in head[:64].lower():
        return "it is an ONNX network, which cannot be read back", "Choose the checkpoint itself."
    if words := _words(text):
        return f"it is a text that begins with {words!r}", _AGAIN
    return "it is truncated, or not a .safetensors file and no checkpoint of torch either", _AGAIN


_INSIDE = (".tar", ".pth", ".pt", ".ckpt", ".safetensors", ".pkl")


def described_zip(names: Iterable[str]) -> tuple[str, str]:
    """As `described`, of a zip archive that torch has not written."""
    names = list(names)
    inside = [name for name in names if name.lower().endswith(_INSIDE)]
    if inside:
        more = f" and {len(inside) - 1} more" if len(inside) > 1 else ""
        return f"it is a zip archive with {inside[0][:100]}{more} inside", _UNPACK
    if names and all(name.endswith(".npy") for name in names):
        return "it is a NumPy archive (.npz)", "Choose a checkpoint of torch."
    listed = ", ".join(name[:40] for name in names[:3]) or "nothing"
    return (
        f"it is a zip archive of something else: it holds {listed}, and there is no data.pkl in it",
        "Choose a checkpoint.",
    )


_SIZE_OF_DIRECTORY = 5
"""Its place in what `_EndRecData` returns (Lib/zipfile, `_ECD_SIZE`)."""


def require_short_directory(file: BinaryIO, most_bytes: int) -> None:
    """Refuse a table that would itself fill the memory. Raises zipfile.BadZipFile.

    The record at the end is found by the function that `zipfile` itself uses: an archive may hold
    several, and whoever looks for it in another way checks another one than is read.
    """
    file.seek(0)
    record = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    file.seek(0)
    if record is None:
        raise zipfile.BadZipFile("it is truncated: its table of contents is missing")
    if not 0 <= record[_SIZE_OF_DIRECTORY] <= most_bytes:
        raise zipfile.BadZipFile("its table of contents is too long")
