"""From what is chosen to what is rendered: the engines that are wanted, and the next request."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from r2l_core.render.frames import DifferenceWish, RenderRequest
from r2l_core.types import Precision
from viewer.state.panes import AUTO, LETTERS, CompareMode, PaneChoice
from viewer.state.view_state import LightFieldChoice, ViewState

if TYPE_CHECKING:
    from r2l_core.datasets import Dataset

FLAT_TOLERANCE = 2 / 255
"""Of full scale. On the demo light field no pixel was off by more than this, and the picture agrees
with the exact one to 85 dB; half of the rays are saved."""


@dataclass(frozen=True)
class Capabilities:
    """What there is to render with beside the light field: the dataset that is open by now."""

    dataset: Dataset | None = None


@dataclass(frozen=True)
class Wish:
    """The light field and the engines that the window wants; whole, so that only the last counts.

    panes: what each shows, on which engine; none: the best precision this machine has. dataset: the
    ground truth at its poses, and the scene of a file that does not know its own. renewed: the
    light field is a later state of the one before, so that everything else stays as it is.
    """

    light_field: LightFieldChoice
    panes: tuple[PaneChoice, ...] = ()
    dataset: Dataset | None = None
    renewed: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Resolved:
    """What the render thread has to be told. request: without number and time."""

    wish: Wish
    request: RenderRequest


def resolve(state: ViewState, capabilities: Capabilities) -> Resolved:
    """What it takes to show `state`."""
    return Resolved(wish_of(state, capabilities), request_of(state))


def wish_of(state: ViewState, capabilities: Capabilities) -> Wish:
    """The engines that `state` is rendered with."""
    engine = state.light_field.engine
    panes = tuple(_on_engine(pane, engine) for pane in state.shown_panes)
    return Wish(state.light_field, panes, capabilities.dataset)


def request_of(state: ViewState) -> RenderRequest:
    """The picture that `state` shows; without number and time."""
    return RenderRequest(
        0,
        state.camera(),
        target_ms=1e3 / state.target_fps,
        max_stride=state.max_stride,
        flat_tolerance=FLAT_TOLERANCE if state.fill_flat else 0.0,
        difference=_difference_of(state),
    )


def _difference_of(state: ViewState) -> DifferenceWish | None:
    """What a device may compute along with its pictures, if that is looked at."""
    kind = state.difference.kind
    seen = state.mode is CompareMode.DIFFERENCE and len(state.panes) > 1 and kind.quick
    return DifferenceWish(kind, state.pair) if seen else None


def _on_engine(pane: PaneChoice, engine: str) -> PaneChoice:
    """With what has no meaning for it left out, so that equal pictures have equal wishes."""
    if not isinstance(pane.source, Precision):
        return PaneChoice(pane.source)
    layers = pane.layers_in_fp32 if pane.has_mix else frozenset[str]()
    named = pane.engine if pane.engine != AUTO else engine
    return replace(pane, engine=named, layers_in_fp32=layers)


def replaced(before: Wish | None, after: Wish) -> str:
    """Which panes will show something else, such as "int8 in B is on its way"; empty where that is
    not a matter of single panes."""
    if before is None or len(before.panes) != len(after.panes):
        return ""
    panes = zip(LETTERS, before.panes, after.panes, strict=False)
    new = [f"{new.source} in {letter}" for letter, old, new in panes if new != old]
    on_the_way = " are on their way" if len(new) > 1 else " is on its way"
    return " and ".join(new) + on_the_way if new else ""
