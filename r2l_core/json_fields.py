"""Reading JSON that others wrote: bounded in size; a refusal names the file and the field."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from r2l_core import limits
from r2l_core.errors import R2LError, system_reason

T = TypeVar("T")
Member = TypeVar("Member", bound=StrEnum)


def read_json(path: Path, what: str, error: type[R2LError], remedy: str) -> Any:
    """What a UTF-8 JSON file holds. `what` and `remedy`: of the `error` that is raised."""
    try:
        # Asked first: opening a pipe would wait for ever.
        if path.exists() and not path.is_file():
            raise OSError(22, "it is a folder" if path.is_dir() else "it is no regular file")
        # One byte more than allowed, so that endless files end here too.
        with path.open("rb") as file:
            data = file.read(limits.JSON_BYTES + 1)
    except (OSError, ValueError) as problem:  # ValueError: names that no file system takes
        why = system_reason(problem) if isinstance(problem, OSError) else str(problem)
        raise error(what, why, "Check the path.") from problem
    if len(data) > limits.JSON_BYTES:
        raise error(
            what, f"it is larger than {limits.JSON_BYTES >> 20} MiB", "Choose another file."
        )
    try:
        return parse_json(data)
    except ValueError as problem:
        raise error(what, f"it is not JSON ({problem})", remedy) from problem


def parse_json(data: str | bytes, nan: bool = False) -> Any:
    """What a JSON text, UTF-8 where it is bytes, says. Every text from outside goes through here.

    nan: take NaN and Infinity, which are no JSON numbers, as Python's own writer makes them. Raises
    ValueError for what is no JSON, or is nested too deeply.
    """
    try:
        return json.loads(data, parse_constant=None if nan else _refuse_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def stored_object(data: str | bytes) -> dict[str, Any]:
    """The JSON object that we stored somewhere; empty where it is gone or damaged by now. Its
    values have to be looked at one by one."""
    try:
        values = parse_json(data, nan=True)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


class Fields:
    """One JSON object, asked for its fields by name and type.

    Every method raises `error` with a text that names the source and the field; a method given a
    default returns it where the field is missing or null.
    """

    def __init__(
        self, values: Mapping[str, Any], what: str, error: type[R2LError], prefix: str = ""
    ) -> None:
        """`what`: the clause errors begin with, such as "The camera path x.json cannot be used".
        `prefix`: where this object lies in the file, such as "keyframes[2]."."""
        self._values = values
        self._what = what
        self._error = error
        self._prefix = prefix

    @staticmethod
    def of_file(path: Path, what: str, error: type[R2LError]) -> Fields:
        """The object a UTF-8 JSON file holds."""
        values = read_json(path, what, error, "Choose another file.")
        if not isinstance(values, dict):
            raise error(what, "it is not a JSON object", "Choose another file.")
        return Fields(values, what, error)

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    @property
    def prefix(self) -> str:
        """Where this object lies in the file, such as "keyframes[2]."."""
        return self._prefix

    @property
    def mapping(self) -> Mapping[str, Any]:
        """The object as it was read."""
        return self._values

    def is_text(self, name: str) -> bool:
        """Whether the field holds a text."""
        return isinstance(self._values.get(name), str)

    def refuse(self, name: str, why: str) -> NoReturn:
        """Raise the error of a field that cannot be used; `why` goes on from its name."""
        raise self._error(self._what, f"the field {self._prefix}{name} {why}", "Correct the file.")

    def unusable(self, why: str, remedy: str) -> NoReturn:
        """Raise the error of an object that cannot be used as a whole."""
        raise self._error(self._what, why, remedy)

    def number(
        self,
        name: str,
        default: float | None = None,
        low: float = -math.inf,
        high: float = math.inf,
    ) -> float:
        """A finite number from `low` to `high`, both included."""
        return self._number(name, self._value(name, default), low, high)

    def optional_number(
        self, name: str, low: float = -math.inf, high: float = math.inf
    ) -> float | None:
        """As `number`, or None where it is missing or null."""
        return self.number(name, low=low, high=high) if name in self else None

    def integer(self, name: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        number = self.number(name, low=low, high=high)
        if number != round(number):
            self.refuse(name, f"is {number:g}, not a whole number")
        return round(number)

    def boolean(self, name: str, default: bool | None = None) -> bool:
        """True or false."""
        value = self._value(name, default)
        if not isinstance(value, bool):
            self.refuse(name, "is neither true nor false")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        """A text."""
        value = self._value(name, default)
        if not isinstance(value, str):
            self.refuse(name, "is not a text")
        if len(value) > limits.TEXT:
            self.refuse(name, f"is a text of more than {limits.TEXT} characters")
        return value

    def choice(self, name: str, kinds: Mapping[str, T], default: str | None = None) -> T:
        """What `kinds` holds under the text of this field."""
        text = self.text(name, default)
        if text not in kinds:
            self.refuse(name, f"is '{_short(text)}', not one of {', '.join(kinds)}")
        return kinds[text]

    def member(self, name: str, kind: type[Member], default: Member | None = None) -> Member:
        """The member of an enumeration that the text of this field names."""
        return self.choice(name, {str(one): one for one in kind}, default)

    def values(self, name: str, most: int) -> list[Any]:
        """A list of at most `most` entries."""
        value = self._value(name, None)
        if not isinstance(value, list):
            self.refuse(name, "is not a list")
        if len(value) > most:
            self.refuse(name, f"has {len(value)} entries; there may be {most}")
        return value

    def inner(self, name: str) -> Self:
        """The object in this field."""
        value = self._value(name, None)
        if not isinstance(value, dict):
            self.refuse(name, "is not an object")
        return self.part(value, name)

    def objects(self, name: str, most: int) -> list[Self]:
        """A list of at most `most` objects."""
        entries = []
        for index, value in enumerate(self.values(name, most)):
            where = f"{name}[{index}]"
            if not isinstance(value, dict):
                self.refuse(where, "is not an object")
            entries.append(self.part(value, where))
        return entries

    def matrix(self, name: str, value: Any = None) -> NDArray[np.float64]:
        """A 4x4 matrix, row-major: sixteen numbers or four rows of four, of which the last may be
        missing. float64 (4, 4).

        `value`: what to take instead of the field's own, in its name.
        """
        found = self._value(name, None) if value is None else value
        rows = found if isinstance(found, list) else []
        nested = len(rows) in (3, 4) and all(
            isinstance(row, list) and len(row) == 4 for row in rows
        )
        numbers = [number for row in rows for number in row] if nested else rows
        if len(numbers) == 12:
            numbers = [*numbers, 0, 0, 0, 1]
        if len(numbers) != 16 or any(
            isinstance(number, bool) or not isinstance(number, int | float) for number in numbers
        ):
            self.refuse(name, "is not a 4x4 matrix of numbers")
        try:
            matrix = np.array([float(number) for number in numbers])
        except OverflowError:
            matrix = np.full(16, np.inf)
        if not np.isfinite(matrix).all():
            self.refuse(name, "holds a number that is not finite")
        return matrix.reshape(4, 4)

    def vector(self, name: str, count: int) -> list[float]:
        """A list of `count` finite numbers up to a billion."""
        values = self.values(name, count)
        if len(values) != count:
            self.refuse(name, f"is not a list of {count} numbers")
        return [self._number(f"{name}[{at}]", one, -1e9, 1e9) for at, one in enumerate(values)]

    def part(self, values: Mapping[str, Any], where: str) -> Self:
        """Values that stand in the field `where`, perhaps in another form, as fields."""
        part = copy.copy(self)
        part._values, part._prefix = values, f"{self._prefix}{where}."
        return part

    def _number(self, name: str, value: Any, low: float, high: float) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(name, "is not a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            self.refuse(name, "is not a finite number")
        if not low <= number <= high:
            self.refuse(name, f"is {number:g}, not a number from {low:g} to {high:g}")
        return number

    def _value(self, name: str, default: Any) -> Any:
        value = self._values.get(name)
        if value is not None:
            return value
        if default is None:
            self.refuse(name, "is missing")
        return default


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _short(value: Any) -> str:
    """A few words on one line."""
    text = str(value)
    text = text if len(text) <= 40 else f"{text[:37]}..."
    return "".join(sign if sign.isprintable() else "?" for sign in text)
