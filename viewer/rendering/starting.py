"""What the command line asks of the window."""

from __future__ import annotations

import argparse

from r2l_core.errors import EngineUnavailable, R2LError
from r2l_core.types import Precision
from viewer.rendering.mailbox import Wish
from viewer.widgets.compare.pane_choice import TRUTH, PaneChoice
from viewer.widgets.compare.pane_label import LETTERS


def first_wish(options: argparse.Namespace) -> Wish:
    """What to open and how. Raises R2LError where a flag names what does not exist."""
    return Wish(
        options.checkpoint,
        options.scene,
        None if options.precision is None else _precision("--precision", options.precision),
        options.engine,
        options.device,
        options.rays,
        () if options.compare is None else _panes(options.compare),
        assumed=tuple(options.assume),
    )


def _precision(flag: str, name: str) -> Precision:
    try:
        return Precision(name)
    except ValueError:
        known = ", ".join(Precision)
        raise EngineUnavailable(
            f"{flag} {name} cannot be used", f"the precisions are {known}", "Choose one of them."
        ) from None


def _panes(names: str) -> tuple[PaneChoice, ...]:
    sources = names.split(",")
    if not 2 <= len(sources) <= len(LETTERS):
        raise R2LError(
            f"--compare {names} cannot be used",
            f"it does not name two to {len(LETTERS)} pictures",
            "Give P,P.",
        )
    return tuple(
        PaneChoice(TRUTH if name == TRUTH else _precision("--compare", name)) for name in sources
    )
