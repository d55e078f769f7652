"""Values out of a dataset's files, each checked, each error with the file's name and the field's.

Datasets come from strangers: nothing here trusts a type, a size or a path.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from r2l_core import limits
from r2l_core.checkpoints.kinds import HEAD_BYTES, not_itself
from r2l_core.errors import DatasetError
from r2l_core.json_fields import Fields, parse_json

MAX_COORDINATE = 1e6
"""Positions further out have no sub-pixel meaning left in float32 rays."""


def bad_file(file: Path, why: str, remedy: str = "Correct the file.") -> DatasetError:
    """What is wrong with one of a dataset's files."""
    return DatasetError(_what(file), why, remedy)


def read_text(file: Path) -> str:
    """A dataset's UTF-8 text file, whole. Raises DatasetError where it is missing or too large."""
    try:
        if not file.is_file():  # also: opening a pipe would wait for ever
            raise bad_file(file, "there is no such file", "Give a complete dataset.")
        with file.open("rb") as stream:
            data = stream.read(limits.JSON_BYTES + 1)
    except (OSError, ValueError) as error:
        raise bad_file(file, f"it cannot be read ({error})", "Check the path.") from error
    if len(data) > limits.JSON_BYTES:
        raise bad_file(
            file, f"it is larger than {limits.JSON_BYTES >> 20} MiB", "Split the dataset."
        )
    try:
        # Editors and shells of Windows begin with a mark of the byte order.
        return data.decode(json.detect_encoding(data))
    except UnicodeDecodeError as error:
        raise bad_file(file, "it is not UTF-8 text") from error


class DatasetFields(Fields):
    """The JSON object of a dataset's file, and what only datasets hold. See Fields for errors."""

    def __init__(self, file: Path) -> None:
        """Reads `file`. Raises DatasetError."""
        text = read_text(file)
        try:
            # A NaN, which is no JSON, stands only in the way of what needs that number.
            values = parse_json(text, nan=True)
        except ValueError as error:
            instead = not_itself(text[:HEAD_BYTES].encode(errors="replace"))
            raise bad_file(file, *(instead or (f"it is not JSON ({error})",))) from error
        if not isinstance(values, dict):
            raise bad_file(file, "it is not a JSON object")
        super().__init__(values, _what(file), DatasetError)
        self.file = file

    def integer_part(self, name: str) -> int:
        """A number of pixels, which some programs write as 800.0."""
        return int(self.number(name, low=1, high=65_536))

    def texts(self, name: str) -> list[str]:
        """A list of texts."""
        values = self.values(name, limits.VIEWS)
        if not all(isinstance(value, str) for value in values):
            self.refuse(name, "is not a list of texts")
        return values

    def numbers(self, name: str, count: int, low: float, high: float) -> list[float]:
        """A list of `count` numbers from `low` to `high`."""
        values = self.values(name, limits.VIEWS)
        if len(values) != count:
            self.refuse(name, f"is not a list of {count} numbers")
        return [self._number(f"{name}[{i}]", value, low, high) for i, value in enumerate(values)]

    def frames(self) -> list[Self]:
        """The field `frames`: at least one and at most limits.VIEWS objects."""
        frames = self.objects("frames", limits.VIEWS)
        if not frames:
            self.refuse("frames", "is not a list with entries")
        return frames

    def pose(self, name: str) -> NDArray[np.float64]:
        """A 3x4 or 4x4 matrix, nested lists or row after row, as float64 (4, 4)."""
        rows = self.values(name, 16)
        if len(rows) in (12, 16) and not any(isinstance(row, list) for row in rows):
            rows = [rows[at : at + 4] for at in range(0, len(rows), 4)]
        if not 3 <= len(rows) <= 4 or not all(
            isinstance(row, list) and len(row) == 4 for row in rows
        ):
            self.refuse(name, "is not a matrix of three or four rows of four numbers")
        matrix = np.eye(4)
        for i, row in enumerate(rows):
            for j, value in enumerate(row):
                place = f"{name}[{i}][{j}]"
                matrix[i, j] = self._number(place, value, -MAX_COORDINATE, MAX_COORDINATE)
        return matrix


def _what(file: Path) -> str:
    return f"The dataset file {file} cannot be used"
