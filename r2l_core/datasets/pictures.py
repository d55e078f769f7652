"""Where the pictures lie that a dataset's frames name, however the names were written."""

from __future__ import annotations

from pathlib import Path

from r2l_core.datasets.images import SUFFIXES, is_inside

_MAX_LISTED = 200_000
"""Names of a folder that are looked through for one that differs in its letters' case."""


class PictureFinder:
    """Finds pictures in the folder of one dataset. Folders are listed once.

    Names may have the separators of Windows, other letters' case than the file, no ending or one
    too many: all of that comes from programs in use. The name as it stands comes first.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._listed: dict[Path, dict[str, str]] = {}

    def find(self, name: str) -> Path | None:
        """The picture of that name; None where there is none. Raises ValueError where the name
        leads out of the dataset's folder, whether or not there is something."""
        spellings = dict.fromkeys((name, name.replace("\\", "/")))
        for spelling in spellings:
            if not is_inside(self._root, self._root / spelling):
                raise ValueError("leads out of the dataset's folder")
        for spelling in spellings:
            if (found := self._find(spelling)) is not None:
                if not is_inside(self._root, found):  # a link
                    raise ValueError("leads out of the dataset's folder")
                return found
        return None

    def _find(self, name: str) -> Path | None:
        wanted = self._root / name
        candidates = [wanted] if wanted.suffix.lower() in SUFFIXES else []
        if candidates and wanted.with_suffix("").suffix.lower() in SUFFIXES:
            candidates.append(wanted.with_suffix(""))  # x.png.png
        if not candidates:
            candidates = [Path(f"{wanted}{suffix}") for suffix in SUFFIXES]
        try:
            exact = next((path for path in candidates if path.is_file()), None)
            return exact or next(filter(None, map(self._in_any_case, candidates)), None)
        except (OSError, ValueError):  # a name no file system takes
            return None

    def _in_any_case(self, wanted: Path) -> Path | None:
        """The file whose path differs from the wanted one in the case of its letters at most."""
        try:
            parts = wanted.relative_to(self._root).parts
        except ValueError:
            return None
        folder = self._root
        for part in parts:
            exact = folder / part
            if part == ".." or exact.exists():
                folder = exact
                continue
            actual = self._names(folder).get(part.lower())
            if actual is None:
                return None
            folder /= actual
        return folder if folder.is_file() else None

    def _names(self, folder: Path) -> dict[str, str]:
        """What a folder holds, by its names in small letters."""
        if folder not in self._listed:
            names: dict[str, str] = {}
            if folder.is_dir():
                for at, path in enumerate(folder.iterdir()):
                    if at >= _MAX_LISTED:
                        break
                    names.setdefault(path.name.lower(), path.name)
            self._listed[folder] = names
        return self._listed[folder]
