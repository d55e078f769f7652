"""`x.csv` beside `x.mp4`: one row a frame, written before the frame is encoded."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from r2l_core.errors import RecordingError, system_reason
from r2l_core.recording.plan import RecordingPlan, Shot

COLUMNS = (
    "frame",
    "video_s",
    "path_s",
    *(f"T_world_camera_{row}{column}" for row in range(3) for column in range(4)),
    "fov_y_deg",
    "focal_px",
    "wipe",
    "gain",
    *(f"{name}_{pane}" for pane in "ab" for name in ("precision", "engine", "ms")),
    "psnr_db",
    "outside_trained_views",
    "panes_sha256",
)
"""Units are in the names; what does not apply or was not measured is left empty. panes_sha256: of
the rounded pictures of the panes before labels, for telling whether two recordings are the same."""


def row_of(plan: RecordingPlan, shot: Shot, measured: dict[str, Any]) -> dict[str, Any]:
    """The row of a frame: what the plan says, and what was measured, by column."""
    row: dict[str, Any] = {"frame": shot.frame, "video_s": float(shot.frame / plan.exact_fps)}
    if shot.camera is not None:
        pose = shot.camera.T_world_camera
        row["path_s"] = shot.seconds
        for i in range(3):
            for j in range(4):
                row[f"T_world_camera_{i}{j}"] = float(pose[i, j])
        row["fov_y_deg"] = shot.camera.fov_y_deg
        row["focal_px"] = shot.camera.focal_px
        if plan.mode == "wipe":
            row["wipe"] = shot.wipe
        if plan.mode == "difference":
            row["gain"] = shot.gain
        for pane, precision in zip("ab", shot.precisions, strict=False):
            row[f"precision_{pane}"] = str(precision)
    return {**row, **measured}


class Table:
    """Appends rows to one CSV file, each flushed at once. Used by one thread at a time."""

    def __init__(self, path: Path, columns: Sequence[str], keep_bytes: int = 0) -> None:
        """A new file, or one of which the beginning is kept. Raises RecordingError."""
        self.path = path
        self._columns = columns
        with _writing(path):
            # Opened for appending and cut, never emptied first: what was measured must not be lost.
            self._file = path.open("a", encoding="utf-8", newline="")
            self._file.truncate(keep_bytes)
            if not keep_bytes:
                self._file.write(_line(columns))
            self._file.flush()

    def append(self, row: Mapping[str, Any]) -> None:
        """Write one row. Raises RecordingError."""
        with _writing(self.path):
            self._file.write(_line([_cell(row.get(column)) for column in self._columns]))
            self._file.flush()

    def close(self) -> None:
        """Close the file. Raises RecordingError."""
        with _writing(self.path):
            self._file.close()


def frame_table(path: Path, plan: RecordingPlan, first_frame: int) -> Table:
    """The table of a recording from `first_frame` on: rows before it are kept, and those that were
    lost are made again without what was measured. Raises RecordingError."""
    with _writing(path):
        n_kept, end = _kept(path, first_frame, _line(COLUMNS)) if first_frame else (0, 0)
    table = Table(path, COLUMNS, end)
    for frame in range(n_kept, first_frame):
        table.append(row_of(plan, plan.shot(frame), {}))
    return table


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RecordingError(
            f"The table {path} could not be written",
            system_reason(error),
            "Choose a folder you can write to, with enough free space.",
        ) from error


def _kept(path: Path, n_rows: int, header: str) -> tuple[int, int]:
    """How many of the first `n_rows` rows a table has whole, and where in the file they end; none
    where its columns are others."""
    try:
        with path.open("rb") as file:
            if file.readline() != header.encode():
                return 0, 0
            end = file.tell()
            for number in range(n_rows):
                line = file.readline()
                if not line.endswith(b"\n") or not line.startswith(b"%d," % number):
                    return number, end
                end = file.tell()
            return n_rows, end
    except FileNotFoundError:
        return 0, 0


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return repr(value) if isinstance(value, float) else value


def _line(cells: Sequence[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
