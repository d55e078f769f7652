"""What is rendered for what is chosen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from r2l_core.images.difference import DifferenceKind
from r2l_core.render.frames import DifferenceWish
from r2l_core.types import Precision
from viewer.state.display_options import DifferenceOptions
from viewer.state.panes import CompareMode, PaneChoice
from viewer.state.resolve import request_of
from viewer.state.view_state import LightFieldChoice, ViewState

THREE = tuple(map(PaneChoice, (Precision.FP32, Precision.BF16, Precision.INT8)))
LOOKS = ViewState(LightFieldChoice("demo"), panes=THREE, pair=(2, 0), mode=CompareMode.DIFFERENCE)


def test_a_difference_is_asked_for_where_it_is_looked_at():
    assert request_of(LOOKS).difference == DifferenceWish(DifferenceKind.ABSOLUTE, (2, 0))


@pytest.mark.parametrize("mode", [mode for mode in CompareMode if mode is not LOOKS.mode])
def test_nothing_is_subtracted_in_other_modes(mode):
    assert request_of(replace(LOOKS, mode=mode)).difference is None


def test_what_takes_long_or_has_no_pair_is_not_asked_for():
    flip = DifferenceOptions(kind=DifferenceKind.FLIP)
    assert request_of(replace(LOOKS, difference=flip)).difference is None
    assert request_of(LOOKS.with_panes(THREE[:1])).difference is None
