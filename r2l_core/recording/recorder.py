"""Renders a recording frame after frame, whole frames only, however long each takes."""

from __future__ import annotations

import contextlib
import hashlib
import statistics
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from r2l_core.errors import RecordingError
from r2l_core.images.metrics import mse, psnr_db
from r2l_core.recording.compose import Colors, Picture, composed
from r2l_core.recording.files import VideoFiles
from r2l_core.recording.labels import PaneNumbers, labelled, title_card
from r2l_core.recording.loading import writer_of
from r2l_core.recording.plan import RecordingProgress, Shot
from r2l_core.recording.sidecar import Recipe, Sidecar, State
from r2l_core.recording.table import frame_table, row_of
from r2l_core.recording.writer import Writer
from r2l_core.render.progressive_image import never, render_image
from r2l_core.render.sources import PixelSource
from r2l_core.types import Precision, to_uint8

_PAUSE_POLL_S = 0.05


class Recorder:
    """One recording, stepped on any one thread: iterating renders a frame a step.

    `aborted` and `paused` are polled; the first also between the tiles of a frame. However the
    iteration ends, what was written stays and plays, and the sidecar says how far it got. Make one
    with `session`. A recorder is iterated once.
    """

    def __init__(
        self,
        recipe: Recipe,
        sources: Sequence[Mapping[Precision, PixelSource]],
        out: Path,
        files: VideoFiles,
        sidecar: Sidecar,
        facts: str,
        first_frame: int = 0,
    ) -> None:
        """sources: of each pane, one for each precision it needs. facts: small print of
        the title card. first_frame: how many frames an interrupted recording has already."""
        plan = recipe.plan
        self.plan = plan
        self.out = out
        self.first_frame = first_frame
        self.video_px = sidecar.size_px
        """Width and height of the video."""
        self.state: State = "recording"
        """How it ended, once it has."""
        self.frames_done = first_frame
        """Frames known to be on disk."""
        self.waited_s = 0.0
        """How long rendering stood still because of encoding."""
        self.rendered_s = 0.0
        """Time spent on making frames in this run, pauses left out."""
        self._recipe = recipe
        self._sources = sources
        self._files = files
        self._sidecar = sidecar
        self._facts = facts
        self._recent_ms: defaultdict[tuple[str, Precision], deque[float]] = defaultdict(
            lambda: deque(maxlen=max(1, round(plan.fps)))
        )

    def frames(
        self, aborted: Callable[[], bool] = never, paused: Callable[[], bool] = never
    ) -> Iterator[RecordingProgress]:
        """Render what is left, yielding after each frame.

        Raises RecordingError where writing fails and EngineError where rendering does.
        """
        plan = self.plan
        writer: Writer | None = None
        # Asked again: engines take seconds to build, in which another may have begun.
        if (other := writer_of(self._sidecar.path)) is not None:
            raise RecordingError(
                f"The recording {self.out} is not written over",
                f"process {other} is making it right now",
                "Let it end, or end it, first.",
            )
        try:
            self._sidecar.write("recording", self.first_frame, self.first_frame or None)
            if self.first_frame < plan.n_frames:
                table = frame_table(self.out.with_suffix(".csv"), plan, self.first_frame)
                for source in {one for pane in self._sources for one in pane.values()}:
                    source.warm_up()
                writer = Writer(
                    self._files.open(self.first_frame), table, self._sidecar, self.first_frame
                )
                yield from self._render(writer, aborted, paused)
            else:
                self.state = "finished"
        except GeneratorExit:  # whoever iterated has stopped
            self.state = "aborted"
            self._finish(writer)
            raise
        except KeyboardInterrupt:
            self.state = "aborted"
            self._finish(writer)
            raise
        except BaseException as error:
            self.state = "failed"
            self._keep(writer, error)
            raise
        self._finish(writer)

    def _render(
        self, writer: Writer, aborted: Callable[[], bool], paused: Callable[[], bool]
    ) -> Iterator[RecordingProgress]:
        total = self.plan.n_frames
        for frame in range(self.first_frame, total):
            while paused() and not aborted():
                time.sleep(_PAUSE_POLL_S)
            start = time.perf_counter()
            made = None if aborted() else self._frame(self.plan.shot(frame), aborted)
            if made is None:
                self.state = "aborted"
                return
            picture, row = made
            picture.flags.writeable = False
            writer.put(row, picture)
            self.rendered_s += time.perf_counter() - start
            done = frame + 1
            pace_s = self.rendered_s / (done - self.first_frame)
            yield RecordingProgress(done, total, pace_s * (total - done), picture)
        self.state = "finished"

    def _frame(
        self, shot: Shot, aborted: Callable[[], bool]
    ) -> tuple[Picture, dict[str, Any]] | None:
        """The picture of one frame and its row of the table; None where aborted."""
        plan = self.plan
        if shot.camera is None:
            card = title_card(plan.title, self._facts, *plan.picture_size)
            return self._padded(card), row_of(plan, shot, {})
        panes: list[Colors] = []
        numbers: list[PaneNumbers] = []
        measured: dict[str, Any] = {}
        digest = hashlib.sha256()
        for pane, precision, sources in zip("ab", shot.precisions, self._sources, strict=False):
            source = sources[precision]
            start = time.perf_counter()
            colors = render_image(source, shot.camera, aborted)
            ms = (time.perf_counter() - start) * 1e3
            if colors is None:
                return None
            panes.append(colors.numpy())
            digest.update(to_uint8(panes[-1]).data)
            self._recent_ms[pane, precision].append(ms)
            shown_ms = statistics.fmean(self._recent_ms[pane, precision])
            numbers.append(PaneNumbers(source.info, shown_ms))
            measured |= {f"engine_{pane}": source.info.engine, f"ms_{pane}": ms}
        agreement_db = psnr_db(mse(panes[0], panes[1])) if len(panes) == 2 else None
        measured |= {
            "psnr_db": agreement_db,
            "panes_sha256": digest.hexdigest(),
            "outside_trained_views": self._recipe.scene.outside_trained_views(
                shot.camera.position, self._recipe.ray_mode
            ),
        }
        picture = composed(plan.mode, panes, shot.wipe, shot.gain)
        picture = labelled(picture, plan, shot, numbers, agreement_db)
        return self._padded(picture), row_of(plan, shot, measured)

    def _padded(self, picture: Picture) -> Picture:
        """With its last column and row repeated where the format needs even sizes."""
        width, height = self.video_px
        more = ((0, height - picture.shape[0]), (0, width - picture.shape[1]), (0, 0))
        return np.pad(picture, more, mode="edge") if more[0][1] or more[1][1] else picture

    def _finish(self, writer: Writer | None) -> None:
        """Make an ordinary file of what there is."""
        try:
            if writer is not None:
                self.frames_done = self.first_frame + writer.close()
                self.waited_s = writer.waited_s
                # Making an ordinary file may take long, and be cut off.
                self._sidecar.write("recording", self.frames_done, self.first_frame or None)
            if self.state == "finished" and self.frames_done != self.plan.n_frames:
                raise RecordingError(
                    f"The recording {self.out} is not complete",
                    f"{self.frames_done} of {self.plan.n_frames} frames were written",
                    f"Complete it with --resume {self._sidecar.path}.",
                )
            n_frames = self.frames_done - self.first_frame
            self._files.finish(self.first_frame, n_frames, self.state == "finished")
            self._sidecar.write(self.state, self.frames_done)
        except RecordingError as error:
            self.state = "failed"
            self._keep(writer, error)
            raise

    def _keep(self, writer: Writer | None, error: BaseException) -> None:
        """Leave the parts as they are, and say so in the sidecar if that still can be written."""
        why = str(error) or type(error).__name__
        if writer is not None:
            with contextlib.suppress(RecordingError):
                writer.close()
            self.frames_done = self.first_frame + writer.frames
        with contextlib.suppress(RecordingError):
            self._sidecar.write("failed", self.frames_done, self.first_frame or None, why)
