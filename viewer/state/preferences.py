"""What the window remembers between sessions, read as if anything could stand in the file."""

from __future__ import annotations

from PyQt6.QtCore import QByteArray, QSettings


class Preferences:
    """Typed access to a `QSettings`: a value of the wrong type counts as absent."""

    def __init__(self, settings: QSettings | None = None) -> None:
        """`settings`: the user's own where None."""
        self._settings = settings or QSettings("r2l-viewer", "r2l-viewer")

    def flag(self, key: str) -> bool:
        """A stored yes; no where there is none."""
        # A settings file gives text back, memory and the registry a bool.
        return self._settings.value(key) in (True, "true")

    def text(self, key: str) -> str:
        """Stored text, or an empty string."""
        value = self._settings.value(key)
        return value if isinstance(value, str) else ""

    def blob(self, key: str) -> QByteArray:
        """Stored bytes, or none."""
        value = self._settings.value(key)
        return value if isinstance(value, QByteArray) else QByteArray()

    def store(self, key: str, value: bool | str | QByteArray) -> None:
        """Remember `value`."""
        self._settings.setValue(key, value)

    def write(self) -> None:
        """Have everything that was stored in the file."""
        self._settings.sync()
