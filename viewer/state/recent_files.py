"""Files that were used last, remembered from one start to the next."""

from __future__ import annotations

import json
from pathlib import Path

from viewer.state.preferences import Preferences

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
            found = json.loads(self._preferences.text(self._key))
        except (ValueError, RecursionError):
            return []
        files = found if isinstance(found, list) else []
        return [file for file in files if isinstance(file, str)][:MOST]

    def note(self, file: str) -> None:
        """That one was used just now."""
        path = str(Path(file).absolute())
        files = [path, *(one for one in self.files() if one != path)][:MOST]
        self._preferences.store(self._key, json.dumps(files))
