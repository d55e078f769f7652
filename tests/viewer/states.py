"""States to begin with."""

from __future__ import annotations

from r2l_core.types import Precision
from viewer.state.panes import PaneChoice
from viewer.state.resolve import Capabilities, Wish, wish_of
from viewer.state.view_state import LightFieldChoice, ViewState


def shown(
    checkpoint: str,
    scene: str | None = None,
    precision: Precision | None = None,
    engine: str = "auto",
    device: str = "auto",
    rays: str = "auto",
    assumed: tuple[str, ...] = (),
) -> ViewState:
    """A light field alone, in one precision or the best there is."""
    light_field = LightFieldChoice(checkpoint, scene, engine, device, rays, assumed)
    return ViewState(light_field, () if precision is None else (PaneChoice(precision),))


def wanted(checkpoint: str, precision: Precision | None = None, rays: str = "auto") -> Wish:
    """What the render thread is asked for, to show a light field alone."""
    return wish_of(shown(checkpoint, precision=precision, rays=rays), Capabilities())
