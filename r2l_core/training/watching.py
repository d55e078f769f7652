"""How a program that started `learn --watched` sees and steers it: small files in its state folder.

`progress.jsonl` gets one JSON object a line (see LearningProgress). `newest/NAME.safetensors` is
what has been learned by now, the teacher at first and then the light field; `control.json` is what
the learning is told to do. Loads no torch.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from r2l_core.errors import CheckpointError, R2LError, plain, system_reason
from r2l_core.files import write_json
from r2l_core.json_fields import stored_object

PROGRESS_FILE = "progress.jsonl"
CONTROL_FILE = "control.json"
_NEWEST_FOLDER = "newest"
_LOCK_FILE = "in-use.lock"
_NUMBERS = ("share", "elapsed_s", "remaining_s", "psnr_db", "held_out_psnr_db", "rays_per_s")
_TEXTS = ("doing", "what", "why", "remedy")
_LOCK_TRIES = 10
_LOCK_PAUSE_S = 0.05
"""Who only looks whether a folder is in use holds the lock for a moment."""


class Stage(StrEnum):
    """What a learning is about; the last three are ends."""

    STARTING = "starting"
    TEACHER = "teacher"
    LIGHT_FIELD = "light field"
    COMPARING = "comparing"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_end(self) -> bool:
        """Whether nothing follows, unless it is resumed."""
        return self in (Stage.DONE, Stage.STOPPED, Stage.FAILED)


@dataclass(frozen=True)
class LearningProgress:
    """One line of the progress file; None is null there: not measured.

    share: of the training, 0 to 1. elapsed_s, remaining_s: training time in all, resumed parts
    included. psnr_db: on the rays it learns from, lately; once it is done, on the test views.
    held_out_psnr_db: the teacher's, on views it does not learn from. doing: what it does before or
    between steps, such as "reading photographs, 12 of 100". what, why, remedy: of the error that
    ended it.
    """

    stage: Stage
    share: float | None = None
    elapsed_s: float | None = None
    remaining_s: float | None = None
    psnr_db: float | None = None
    held_out_psnr_db: float | None = None
    rays_per_s: float | None = None
    doing: str = ""
    what: str = ""
    why: str = ""
    remedy: str = ""

    def line(self) -> str:
        """As it stands in the file, without the line's end."""
        values = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }
        return json.dumps(values, ensure_ascii=False)

    @staticmethod
    def parsed(line: str | bytes) -> LearningProgress | None:
        """What a line says; None where it is none, or not whole yet."""
        values = stored_object(line)
        try:
            stage = Stage(str(values.get("stage")))
        except ValueError:
            return None
        said: dict[str, Any] = {name: _number(values.get(name)) for name in _NUMBERS}
        said |= {name: plain(str(values.get(name) or "")) for name in _TEXTS}
        return LearningProgress(stage, **said)


def failed(error: Exception) -> LearningProgress:
    """The last line of what an error ended."""
    if isinstance(error, R2LError):
        return LearningProgress(Stage.FAILED, what=error.what, why=error.why, remedy=error.remedy)
    return LearningProgress(
        Stage.FAILED,
        what="The learning ended by an error that nobody expected",
        why=plain(f"{type(error).__name__}: {error}"),
        remedy="Please report this.",
    )


@dataclass(frozen=True)
class Control:
    """What a learning is told: to wait, to end with all saved, and to go on after the program that
    started it has ended."""

    paused: bool = False
    stop: bool = False
    stays: bool = False

    def write(self, folder: Path) -> None:
        """Tell it. Raises R2LError."""
        write_json(folder / CONTROL_FILE, asdict(self))


def read_control(folder: Path) -> Control:
    """What the learning in a state folder was told last; nothing where it was told nothing."""
    try:
        values = stored_object((folder / CONTROL_FILE).read_bytes())
    except OSError:
        values = {}
    return replace(
        Control(), **{name: values.get(name) is True for name in ("paused", "stop", "stays")}
    )


def newest_file(folder: Path, name: str) -> Path:
    """Where the newest weights of what is learned as `name` are."""
    return folder / _NEWEST_FOLDER / f"{name}.safetensors"


def is_newest(file: Path) -> bool:
    """Whether a file is where the newest weights of a learning are: it lasts no longer than that
    does."""
    folder = file.parent
    return folder.name == _NEWEST_FOLDER and (folder.parent / _LOCK_FILE).exists()


@contextlib.contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Hold a state folder, which is let go whatever ends the process.

    Raises CheckpointError where another process holds it, or where it cannot be written.
    """
    what = f"The training states in {folder} cannot be used"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / _LOCK_FILE).open("a+b")
    except OSError as error:
        why = system_reason(error)
        raise CheckpointError(what, why, "Name another folder with --state.") from error
    with file:
        for attempt in range(_LOCK_TRIES):
            if attempt:
                time.sleep(_LOCK_PAUSE_S)
            if _locked(file):
                break
        else:
            raise CheckpointError(
                what, "another process learns there", "Wait for it, or name another --state."
            )
        yield


def is_in_use(folder: Path) -> bool:
    """Whether a process learns in a state folder."""
    try:
        with (folder / _LOCK_FILE).open("r+b") as file:
            return not _locked(file)
    except OSError:
        return False


def _locked(file: IO[bytes]) -> bool:
    """Lock a file until it is closed; False where another process has."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
