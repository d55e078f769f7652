"""A learning in a process of its own, told and watched through its state folder."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path

import r2l_core
from r2l_core.errors import R2LError, plain, system_reason
from r2l_core.files import write_json
from r2l_core.json_fields import stored_object
from r2l_core.training.watching import (
    PROGRESS_FILE,
    Control,
    LearningProgress,
    Stage,
    is_in_use,
    newest_file,
    read_control,
)
from viewer.widgets.panels.learn_readout import LearnSettings

PROGRAM = (sys.executable, "-m", "r2l_core")
_SETTINGS_FILE = "settings.json"
_LOG_FILE = "log.txt"
_LOG_BYTES = 10_000
"""As much of its end as is looked through for an error."""
_STATES = ("teacher.pt", "teacher.safetensors")
_WHAT = "The light field could not be learned further"
_GO_ON = "File > Learn a light field… offers to go on from what was saved last."


class LearningProcess:
    """One learning: begun here, in which case it ends with this process, or found running."""

    def __init__(self, settings: LearnSettings, folder: Path) -> None:
        """The one in `folder`, running or not; `settings` are its own."""
        self.settings = settings
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._read_bytes = 0

    @staticmethod
    def found(folder: Path) -> LearningProcess | None:
        """What was learned in a folder, as far as its settings tell; None where nothing was."""
        try:
            values = stored_object((folder / _SETTINGS_FILE).read_bytes())
            settings = LearnSettings(
                str(values["dataset"]),
                str(values["out"]),
                float(values["minutes"]),
                values["half_res"] is True,
            )
        except (OSError, KeyError, TypeError, ValueError):
            return None
        return LearningProcess(settings, folder)

    @property
    def name(self) -> str:
        """Of what is learned."""
        return plain(Path(self.settings.out).stem)

    @property
    def newest(self) -> Path:
        """Where the newest weights are, once there are some."""
        return newest_file(self.folder, Path(self.settings.out).stem)

    @property
    def is_own(self) -> bool:
        """Whether it was begun here, and so ends with this process."""
        return self._process is not None

    @property
    def running(self) -> bool:
        """Whether it learns now."""
        if self._process is not None:
            return self._process.poll() is None
        return is_in_use(self.folder)

    def unfinished(self) -> LearningProgress | None:
        """How far it came, where it can be resumed; None where it was done or never got far."""
        if not any((self.folder / name).exists() for name in _STATES):
            return None
        lines = self.news()
        if not lines or lines[-1].stage is Stage.DONE:
            return None
        return next((line for line in reversed(lines) if line.elapsed_s is not None), lines[-1])

    def begin(self, resume: bool) -> None:
        """Start it. Raises R2LError."""
        what = "The light field cannot be learned"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(self.folder / _SETTINGS_FILE, asdict(self.settings))
            Control().write(self.folder)
            self._read_bytes = 0
            if resume:
                with (self.folder / PROGRESS_FILE).open("a", encoding="utf-8") as file:
                    file.write(LearningProgress(Stage.STARTING).line() + "\n")
            else:
                (self.folder / PROGRESS_FILE).unlink(missing_ok=True)
                self.newest.unlink(missing_ok=True)
            here = str(Path(r2l_core.__file__).resolve().parent.parent)
            path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
            with (self.folder / _LOG_FILE).open("wb") as log:
                self._process = subprocess.Popen(
                    [*PROGRAM, *_arguments(self.settings, self.folder, resume)],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, "PYTHONPATH": path},
                )
        except OSError as error:
            why = system_reason(error)
            raise R2LError(what, why, "Free some memory or disk space.") from error

    def news(self) -> list[LearningProgress]:
        """The lines that came since the last call."""
        try:
            with (self.folder / PROGRESS_FILE).open("rb") as file:
                file.seek(self._read_bytes)
                whole, end, _rest = file.read().rpartition(b"\n")
        except OSError:
            return []
        self._read_bytes += len(whole) + len(end)
        parsed = map(LearningProgress.parsed, whole.split(b"\n"))
        return [progress for progress in parsed if progress is not None]

    def tell(self, control: Control) -> None:
        """Have it wait, stop or stay. Raises R2LError."""
        control.write(self.folder)

    def control(self) -> Control:
        """What it was told last."""
        return read_control(self.folder)

    def error(self) -> R2LError:
        """Why it ended, where it did not say so itself."""
        code = None if self._process is None else self._process.poll()
        with contextlib.suppress(OSError, ValueError):
            log = (self.folder / _LOG_FILE).read_bytes()[-_LOG_BYTES:].decode(errors="replace")
            lines = [line.strip() for line in log.splitlines() if line.strip()]
            said = [line for line in lines if line.startswith("error: ")]
            if said:
                return R2LError(_WHAT, said[-1].removeprefix("error: ").rstrip("."))
            if code is not None and code > 0 and lines:
                return R2LError(_WHAT, lines[-1].rstrip("."), _GO_ON)
        why = "its process was ended from outside, perhaps for want of memory"
        return R2LError(_WHAT, why, _GO_ON)

    def let_go(self) -> None:
        """Nobody watches it here any more: one that was begun here ends with all saved, unless it
        was told to stay."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            # Saving may take a while, for which nobody waits; but somebody has to be told its end.
            threading.Thread(target=self._process.wait, daemon=True).start()


def folder_of(settings: LearnSettings) -> Path:
    """Where `learn` keeps the states of what is written to that file, unless told otherwise."""
    # Imported here: a library for one path.
    import platformdirs

    return platformdirs.user_cache_path("r2l-viewer") / "learn" / Path(settings.out).stem


def _arguments(settings: LearnSettings, folder: Path, resume: bool) -> list[str]:
    arguments = ["learn", "--dataset", settings.dataset, "--out", settings.out]
    arguments += ["--minutes", f"{settings.minutes:g}", "--state", str(folder), "--watched"]
    arguments += ["--half-res"] if settings.half_res else []
    return [*arguments, "--resume"] if resume else arguments
