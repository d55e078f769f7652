"""Frames of engines that make whole pictures by themselves: no previews, no passes, no canvas."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from r2l_core.engines.base import WholePicture
from r2l_core.render.budget import HYSTERESIS
from r2l_core.render.frames import Frame, FrameDifference, FrameTimings, RenderRequest
from r2l_core.render.sources import NetworkSource

if TYPE_CHECKING:
    from r2l_core.render.panes import Pane


class WholeFrames:
    """Answers requests whose whole pictures fit the time. Used by one thread."""

    def __init__(self) -> None:
        self._fitted = False

    def fit(self, panes: Sequence[Pane], request: RenderRequest) -> bool:
        """Whether all panes can have whole pictures, and these are ready in time."""
        n_pixels = request.camera.width_px * request.camera.height_px
        seconds = 0.0
        for source in dict.fromkeys(pane.source for pane in panes):
            if not isinstance(source, NetworkSource) or source.pictures is None:
                return False
            seconds += source.pictures.seconds(n_pixels)
        # What was good enough may take a little longer: the resolution does not flicker.
        margin = 1.0 + (HYSTERESIS if self._fitted else -HYSTERESIS)
        self._fitted = seconds <= margin * request.target_ms / 1e3
        return self._fitted

    def frames(
        self,
        panes: Sequence[Pane],
        epoch: int,
        request: RenderRequest,
        cancelled: Callable[[], bool],
    ) -> Iterator[tuple[Frame, ...]]:
        """One frame of each pane. Where several are compared and nothing newer is asked for, once
        more with nothing skipped and with exact colours, which stay on the device until then."""
        yield _frames(panes, epoch, request, exact=False)
        if len(panes) > 1 and not cancelled():
            yield _frames(panes, epoch, request, exact=True)


def _frames(
    panes: Sequence[Pane], epoch: int, request: RenderRequest, exact: bool
) -> tuple[Frame, ...]:
    # Dictionaries: panes of the same source share one picture.
    pictures: dict[NetworkSource, WholePicture] = {}
    made: dict[NetworkSource, Frame] = {}
    sources = [_network(pane) for pane in panes]
    for source in sources:
        if source not in made:
            began = time.perf_counter()
            picture = pictures[source] = source.whole_picture(request.camera, whole=exact)
            made[source] = _frame(source, picture, epoch, request, exact, began)
    frames = [
        replace(made[source], light_field=pane.light_field)
        for pane, source in zip(panes, sources, strict=True)
    ]
    wish = request.difference
    if wish is not None and max(wish.pair) < len(frames):
        began = time.perf_counter()
        a, b = (sources[at] for at in wish.pair)
        assert a.pictures is not None
        values = a.pictures.difference(wish.kind, pictures[a], pictures[b], exact)
        seconds = time.perf_counter() - began
        at, against = wish.pair
        frames[at] = _with_difference(
            frames[at], FrameDifference(wish.kind, against, values), seconds
        )
    return tuple(frames)


def _network(pane: Pane) -> NetworkSource:
    assert isinstance(pane.source, NetworkSource)
    return pane.source


def _with_difference(frame: Frame, difference: FrameDifference, seconds: float) -> Frame:
    """The frame, and what its difference has cost."""
    return replace(
        frame,
        difference=difference,
        timings=frame.timings + FrameTimings(copy_ms=seconds * 1e3),
        elapsed_ms=frame.elapsed_ms + seconds * 1e3,
    )


def _frame(
    source: NetworkSource,
    picture: WholePicture,
    epoch: int,
    request: RenderRequest,
    exact: bool,
    began: float,
) -> Frame:
    colors = picture.colors().numpy() if exact else None
    total_ms = (time.perf_counter() - began) * 1e3
    return Frame(
        seq=request.seq,
        epoch=epoch,
        camera=request.camera,
        image=picture.image,
        stride=1,
        network_rays=picture.network_rays,
        timings=FrameTimings(
            network_ms=picture.device_ms, copy_ms=max(total_ms - picture.device_ms, 0.0)
        ),
        elapsed_ms=total_ms,
        engine=source.info,
        created_s=request.created_s,
        colors=colors,
    )
