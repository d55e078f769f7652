"""Values out of a dataset's files, each checked, each error with the file's name and the field's.

Datasets come from strangers: nothing here trusts a type, a size or a path.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from r2l_core.errors import DatasetError

MAX_TEXT_BYTES = 8 * 1024**2
"""Larger descriptions are refused: parsed, eight mebibytes of JSON can already take a third of a
gibibyte. A published scene of 400 views has a quarter of one mebibyte."""

MAX_VIEWS = 10_000
MAX_COORDINATE = 1e6
"""Positions further out have no sub-pixel meaning left in float32 rays."""


def bad_file(file: Path, why: str, remedy: str = "Correct the file.") -> DatasetError:
    """What is wrong with one of a dataset's files."""
    return DatasetError(f"The dataset file {file} cannot be used", why, remedy)


def read_text(file: Path) -> str:
    """A dataset's UTF-8 text file, whole. Raises DatasetError where it is missing or too large."""
    try:
        if not file.is_file():  # also: opening a pipe would wait for ever
            raise bad_file(file, "there is no such file", "Give a complete dataset.")
        with file.open("rb") as stream:
            data = stream.read(MAX_TEXT_BYTES + 1)
    except (OSError, ValueError) as error:
        raise bad_file(file, f"it cannot be read ({error})", "Check the path.") from error
    if len(data) > MAX_TEXT_BYTES:
        raise bad_file(file, f"it is larger than {MAX_TEXT_BYTES >> 20} MiB", "Split the dataset.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise bad_file(file, "it is not UTF-8 text") from error


def read_json(file: Path) -> Fields:
    """A dataset's JSON object. Raises DatasetError."""
    text = read_text(file)
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise bad_file(file, f"it is not JSON ({error})") from error
    if not isinstance(values, dict):
        raise bad_file(file, "it is not a JSON object")
    return Fields(file, values)


@dataclass(frozen=True)
class Fields:
    """A JSON object that knows which file it is from and where in it."""

    file: Path
    values: Mapping[str, Any]
    where: str = ""

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def bad(self, key: str, why: str) -> DatasetError:
        """The error that names the file and the field."""
        return bad_file(self.file, f"{self.where}{key} {why}")

    def require(self, key: str) -> Any:
        """The value as it is. Raises DatasetError where it is missing or null."""
        if key not in self:
            raise self.bad(key, "is missing")
        return self.values[key]

    def number(self, key: str, low: float, high: float) -> float:
        """A finite number from `low` to `high`."""
        return self._number(key, self.require(key), low, high)

    def integer(self, key: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`; 800.0 counts as one."""
        value = self.number(key, low, high)
        if value != int(value):
            raise self.bad(key, f"is {value:g}, not a whole number")
        return int(value)

    def text(self, key: str) -> str:
        """A text."""
        value = self.require(key)
        if not isinstance(value, str):
            raise self.bad(key, "is not a text")
        return value

    def texts(self, key: str) -> list[str]:
        """A list of texts."""
        values = self.require(key)
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise self.bad(key, "is not a list of texts")
        return values

    def numbers(self, key: str, count: int, low: float, high: float) -> list[float]:
        """A list of `count` numbers from `low` to `high`."""
        values = self.require(key)
        if not isinstance(values, list) or len(values) != count:
            raise self.bad(key, f"is not a list of {count} numbers")
        return [self._number(f"{key}[{i}]", value, low, high) for i, value in enumerate(values)]

    def objects(self, key: str) -> list[Fields]:
        """A list of at least one and at most MAX_VIEWS JSON objects."""
        values = self.require(key)
        if not isinstance(values, list) or not values:
            raise self.bad(key, "is not a list with entries")
        if len(values) > MAX_VIEWS:
            raise self.bad(key, f"has {len(values)} entries; at most {MAX_VIEWS} can be opened")
        entries = []
        for index, value in enumerate(values):
            where = f"{self.where}{key}[{index}]"
            if not isinstance(value, dict):
                raise bad_file(self.file, f"{where} is not an object")
            entries.append(Fields(self.file, value, where + "."))
        return entries

    def matrix(self, key: str) -> NDArray[np.float64]:
        """A 3x4 or 4x4 matrix as nested lists, as float64 (4, 4)."""
        rows = self.require(key)
        if (
            not isinstance(rows, list)
            or len(rows) not in (3, 4)
            or not all(isinstance(row, list) and len(row) == 4 for row in rows)
        ):
            raise self.bad(key, "is not a matrix of three or four rows of four numbers")
        matrix = np.eye(4)
        for i, row in enumerate(rows):
            for j, value in enumerate(row):
                place = f"{key}[{i}][{j}]"
                matrix[i, j] = self._number(place, value, -MAX_COORDINATE, MAX_COORDINATE)
        return matrix

    def _number(self, key: str, value: Any, low: float, high: float) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.bad(key, "is not a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self.bad(key, "is not a finite number")
        if not low <= number <= high:
            raise self.bad(key, f"is {number:g}, not between {low:g} and {high:g}")
        return number
