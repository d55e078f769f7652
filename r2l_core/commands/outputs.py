"""Whether a command may write where it was told to: asked once, before it does anything.

A file that is written replaces what was there, whole. It must be nobody's but the command's own: no
file that the command reads, none that one of those names or that lies beside it and belongs to it,
no photograph of its dataset, and no other file that the same command writes.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from r2l_core.checkpoints.download import CATALOGUE
from r2l_core.checkpoints.opening import checkpoint_file
from r2l_core.errors import R2LError, RecordingError
from r2l_core.json_fields import read_json
from r2l_core.recording.formats import FORMATS

_READ = {
    "checkpoint": "--checkpoint",
    "scene": "--scene",
    "path": "--path",
    "pose": "--pose",
    "layers": "--layers",
    "amax": "--amax",
    "schedule": "--schedule",
    "teacher": "--teacher",
    "again": "--from",
    "resume": "--resume",
    "named": "the window",
}
_NAMING = ("again", "resume", "named")
"""What may be a file that names others: a recording's sidecar, a session of the window."""

_WRITTEN = {
    "out": "--out",
    "json": "--json",
    "html": "--html",
    "state": "--state",
    "report": "--report",
}
_FOLDERS = (("dataset", "--dataset"), ("finetune", "--finetune"))


def require_own_outputs(options: argparse.Namespace) -> None:
    """Raise RecordingError where an output of the command would replace what it does not own."""
    read = list(_files_read(options))
    folders = list(_folders_read(options))
    taken: list[tuple[Path, str]] = []
    for name, flag in _WRITTEN.items():
        value = getattr(options, name, None)
        if not isinstance(value, Path):
            continue
        for file in _files_written(options, name, value):
            for other, what in (*read, *taken):
                if _same(file, other):
                    raise _refused(flag, value, f"it would replace {other}, {what}")
            if _of_evaluation(options, name, file):
                raise _refused(flag, value, f"it is for what --out {options.out} keeps")
            for folder, what in folders:
                if _is_part(file, folder):
                    raise _refused(flag, value, f"it lies in {folder}, {what}")
        taken += [(file, f"which {flag} writes") for file in _files_written(options, name, value)]


def _files_read(options: argparse.Namespace) -> Iterator[tuple[Path, str]]:
    """Every file that the command reads, and those that belong to it, with words for each."""
    for name, flag in _READ.items():
        value = getattr(options, name, None)
        if not isinstance(value, str | Path) or not str(value):
            continue
        file = checkpoint_file(str(value)) if name in ("checkpoint", "teacher") else Path(value)
        yield file, f"which {flag} reads"
        if name == "resume":
            # It is completed where it is, which is what was asked for; nothing else may lie there.
            yield from ((one, f"which {flag} completes") for one in _recording(file))
        if name == "again":
            yield from ((one, f"which belongs to {file}") for one in _recording(file))
        if name in _NAMING:
            for one in _files_named_in(file):
                yield one, f"which {file} names"


def _folders_read(options: argparse.Namespace) -> Iterator[tuple[Path, str]]:
    """Every folder of a dataset that the command reads, with words for each."""
    wanted = [(getattr(options, name, None), f"which {flag} reads") for name, flag in _FOLDERS]
    if (named := getattr(options, "named", None)) is not None:
        wanted += [(named, "which the window reads")]
        wanted += [(one, f"which {named} names") for one in _folders_named_in(Path(named))]
    for path, what in wanted:
        if path is not None:
            # It takes a moment to load, and most commands read none.
            from r2l_core.datasets import folders_around

            yield from ((folder, what) for folder in folders_around(Path(path)))


def _files_named_in(file: Path) -> Iterator[Path]:
    """The light fields and the scene that a sidecar or a session names."""
    values = _own_json(file)
    of_panes = values.get("panes")
    for part in (values, *(of_panes if isinstance(of_panes, list) else ())):
        named = part.get("checkpoint") if isinstance(part, dict) else None
        named = named.get("path") if isinstance(named, dict) else named
        if isinstance(named, str) and named:
            yield checkpoint_file(named)
    if isinstance(scene := values.get("scene"), str) and scene:
        yield Path(scene)


def _folders_named_in(file: Path) -> Iterator[Path]:
    """The dataset that a session names."""
    dataset = _own_json(file).get("dataset")
    if isinstance(dataset, dict) and isinstance(path := dataset.get("path"), str) and path:
        yield Path(path)


def _own_json(file: Path) -> dict[str, Any]:
    """What a JSON file of this program says; nothing where it is none, which whoever opens it
    says."""
    try:
        values = read_json(file, "", R2LError, "")
    except R2LError:
        return {}
    ours = isinstance(values, dict) and values.get("format") in ("r2l-recording", "r2l-session")
    return values if ours else {}


def _files_written(options: argparse.Namespace, name: str, value: Path) -> list[Path]:
    if name == "out" and hasattr(options, "again"):
        # A film comes with its sidecar and its table.
        return [value, *_beside(value)]
    if name == "out" and (asset := CATALOGUE.get(getattr(options, "name", ""))) is not None:
        archive = value / asset.folder / asset.file_name
        return [archive, *(Path(f"{archive}{ending}") for ending in (".json", ".part"))]
    return [value]


def _of_evaluation(options: argparse.Namespace, name: str, file: Path) -> bool:
    """Whether a report would take the place of a picture, film or record of `eval --out`."""
    folder = getattr(options, "out", None)
    if name == "out" or not hasattr(options, "html") or not isinstance(folder, Path):
        return False
    if _same(file.parent, folder):
        return re.fullmatch(r"\d{3,}_.*\.png|.*\.mp4|records|views\.json", file.name) is not None
    return _same(file.parent, folder / "records")


def _beside(film: Path) -> list[Path]:
    return [film.with_suffix(".json"), film.with_suffix(".csv")]


def _recording(sidecar: Path) -> list[Path]:
    """What may belong to a recording, by the name of its sidecar."""
    return [*_beside(sidecar), *(sidecar.with_suffix(ending) for ending in FORMATS)]


def _same(one: Path, other: Path) -> bool:
    """Whether two paths are one file, through links of either kind and before it is there. Devices
    and pipes are none: what is written there flows on."""
    try:
        if any(path.exists() and not (path.is_file() or path.is_dir()) for path in (one, other)):
            return False
        if one.exists() and other.exists():
            return one.samefile(other)
        return one.resolve() == other.resolve()
    except (OSError, ValueError, RuntimeError):
        return os.fspath(one) == os.fspath(other)


def _is_part(file: Path, folder: Path) -> bool:
    """Whether a file or folder that is there already is one of a dataset's."""
    try:
        return file.exists() and file.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):
        return False


def _refused(flag: str, value: Path, why: str) -> RecordingError:
    return RecordingError(f"{flag} {value} cannot be written", why, "Choose another name for it.")
