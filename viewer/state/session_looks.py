"""How pictures and differences are shown and measured, as session files say it."""

from __future__ import annotations

from r2l_core.images.difference import DifferenceKind
from r2l_core.json_fields import Fields
from viewer.state.display_options import (
    MAX_GAIN,
    MOST_EV,
    MOST_OFFSET,
    SCALES,
    SIGNED_SCALES,
    Channel,
    DifferenceOptions,
    DisplayOptions,
)
from viewer.state.region import LEAST_PX, Region

_MOST_PX = 1 << 20


def read_difference(fields: Fields) -> DifferenceOptions:
    """What `asdict` wrote; raises the error of `fields`, naming the entry."""
    usual = DifferenceOptions()
    return DifferenceOptions(
        kind=fields.member("kind", DifferenceKind, usual.kind),
        gain=fields.number("gain", usual.gain, 1.0, MAX_GAIN),
        locked=fields.boolean("locked", usual.locked),
        scale=fields.choice("scale", {name: name for name in SCALES}, usual.scale),
        signed_scale=fields.choice(
            "signed_scale", {name: name for name in SIGNED_SCALES}, usual.signed_scale
        ),
    )


def read_display(fields: Fields) -> DisplayOptions:
    """What `asdict` wrote; raises the error of `fields`, naming the entry."""
    return DisplayOptions(
        exposure_ev=fields.number("exposure_ev", 0.0, -MOST_EV, MOST_EV),
        offset=fields.number("offset", 0.0, -MOST_OFFSET, MOST_OFFSET),
        channel=fields.member("channel", Channel, Channel.ALL),
    )


def read_region(fields: Fields) -> Region:
    """What `asdict` wrote; raises the error of `fields`, naming the entry."""
    left, top = (fields.integer(name, 0, _MOST_PX) for name in ("left", "top"))
    width, height = (fields.integer(name, LEAST_PX, _MOST_PX) for name in ("width", "height"))
    return Region(left, top, width, height)
