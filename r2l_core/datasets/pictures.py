"""Where the pictures lie that a dataset's frames name, however the names were written."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote

from r2l_core.datasets.images import SUFFIXES, is_inside

_MAX_LISTED = 200_000
"""Names of a folder that are looked through for one that differs in its letters' case."""

_LONGEST_TAIL = 5
"""Folders below a dataset's own, and the file: so deep a picture may lie that is named by a path of
another machine."""

_LEADS_OUT = "leads out of the dataset's folder"


def _alike(name: str) -> str:
    """The same of names that differ only in their letters' case, or in how accents are written."""
    return unicodedata.normalize("NFC", name).casefold()


class PictureFinder:
    """Finds pictures in the folder of one dataset. Folders are listed once.

    Names may have the separators of Windows, other letters' case than the file, no ending, one too
    many or that of another format, accents in one or two characters, or say where the file lay on
    another machine: all of that comes from programs in use. The name as it stands comes first.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._listed: dict[Path, dict[str, str]] = {}
        self.moved: set[Path] = set()
        """Those found by the end of a path that is another machine's."""

    def find(self, name: str) -> Path | None:
        """The picture of that name; None where there is none. Raises ValueError where the name
        leads out of the dataset's folder."""
        name = name.removeprefix("file://")
        decoded = unquote(name) if "%" in name else name
        # As a dictionary: each once, in this order.
        spellings = dict.fromkeys(
            form.replace(sign, "/")
            for form in (name, name.strip(), decoded)
            for sign in ("/", "\\")
        )
        outside = [one for one in spellings if not is_inside(self._root, self._root / one)]
        if not outside:
            for spelling in spellings:
                if (found := self._inside(spelling)) is not None:
                    return found
        if (found := self._moved(name)) is not None:
            self.moved.add(found)
            return found
        if outside:
            raise ValueError(_LEADS_OUT)
        return None

    def _inside(self, name: str) -> Path | None:
        found = self._find(name)
        if found is not None and not is_inside(self._root, found):  # a link
            raise ValueError(_LEADS_OUT)
        return found

    def _moved(self, name: str) -> Path | None:
        """The picture at the end of an absolute path that is none of this machine's."""
        parts = PureWindowsPath(name.strip()).parts
        if len(parts) < 2 or not PureWindowsPath(parts[0]).root or ".." in parts:
            return None
        if os.path.lexists(name) and not is_inside(self._root, Path(name)):
            return None
        first = max(1, len(parts) - _LONGEST_TAIL)
        tails = ("/".join(parts[at:]) for at in range(first, len(parts)))
        return next(filter(None, map(self._inside, tails)), None)

    def _find(self, name: str) -> Path | None:
        wanted = self._root / name
        candidates = [wanted] if wanted.suffix.lower() in SUFFIXES else []
        if candidates and wanted.with_suffix("").suffix.lower() in SUFFIXES:
            candidates.append(wanted.with_suffix(""))  # x.png.png
        if candidates:
            candidates += [wanted.with_suffix(suffix) for suffix in SUFFIXES]
        else:
            # Last the file itself, which is of another format: that is said when it is read.
            candidates = [*(Path(f"{wanted}{suffix}") for suffix in SUFFIXES), wanted]
        try:
            exact = next((path for path in candidates if path.is_file()), None)
            return exact or next(filter(None, map(self._in_any_case, candidates)), None)
        except (OSError, ValueError):  # a name no file system takes
            return None

    def _in_any_case(self, wanted: Path) -> Path | None:
        """The file whose path differs from the wanted one in the case of its letters, or in how
        accents are written, at most."""
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
            actual = self._names(folder).get(_alike(part))
            if actual is None:
                return None
            folder /= actual
        return folder if folder.is_file() else None

    def _names(self, folder: Path) -> dict[str, str]:
        """What a folder holds, by its names as `_alike` has them."""
        if folder not in self._listed:
            names: dict[str, str] = {}
            if folder.is_dir():
                for at, path in enumerate(folder.iterdir()):
                    if at >= _MAX_LISTED:
                        break
                    names.setdefault(_alike(path.name), path.name)
            self._listed[folder] = names
        return self._listed[folder]
