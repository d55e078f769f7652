"""The table of contents of a zip archive, looked at before `zipfile` reads it whole."""

from __future__ import annotations

import zipfile
from typing import BinaryIO

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
