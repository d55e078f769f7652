"""What the window remembers between sessions, read as if anything could stand in the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from r2l_core.json_fields import parse_json
from r2l_core.training.watching import is_newest


@runtime_checkable
class Blob(Protocol):
    """Bytes as Qt has them, a `QByteArray`. Python's own would be stored pickled."""

    def data(self) -> bytes:
        """The bytes."""


class Settings(Protocol):
    """What of a `QSettings` is used."""

    def value(self, key: str) -> Any:
        """What is stored under a key, of any type; None where nothing is."""

    def setValue(self, key: str, value: Any) -> None:
        """Store a value."""

    def sync(self) -> None:
        """Write the file."""


class Preferences:
    """Typed access to settings: a value of the wrong type counts as absent."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def flag(self, key: str) -> bool:
        """A stored yes; no where there is none."""
        # A settings file gives text back, memory and the registry a bool.
        return self._settings.value(key) in (True, "true")

    def text(self, key: str) -> str:
        """Stored text, or an empty string."""
        value = self._settings.value(key)
        return value if isinstance(value, str) else ""

    def number(self, key: str, usual: float, low: float, high: float) -> float:
        """A stored number within a range, or the usual one."""
        try:
            value = float(self.text(key))
        except ValueError:
            return usual
        return value if low <= value <= high else usual

    def blob(self, key: str) -> bytes:
        """Stored bytes, or none."""
        value = self._settings.value(key)
        return value.data() if isinstance(value, Blob) else b""

    def store(self, key: str, value: bool | str | Blob) -> None:
        """Remember `value`."""
        self._settings.setValue(key, value)

    def write(self) -> None:
        """Have everything that was stored in the file."""
        self._settings.sync()


MOST = 8


class RecentFiles:
    """Of one kind, the latest first."""

    def __init__(self, preferences: Preferences, key: str) -> None:
        """`key`: where in the preferences they are."""
        self._preferences = preferences
        self._key = key

    def files(self) -> list[str]:
        """Absolute paths; whether they are still there is not known."""
        try:
            found = parse_json(self._preferences.text(self._key))
        except ValueError:
            return []
        files = found if isinstance(found, list) else []
        return [file for file in files if isinstance(file, str)][:MOST]

    def forget(self) -> None:
        """Forget them all."""
        self._preferences.store(self._key, "[]")

    def note(self, file: str) -> None:
        """That one was used just now; what is only being learned is not kept in mind."""
        if is_newest(Path(file)):
            return
        path = str(Path(file).absolute())
        files = [path, *(one for one in self.files() if one != path)][:MOST]
        self._preferences.store(self._key, json.dumps(files))
