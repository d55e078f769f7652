"""Bookmarks come back from their text, and from whatever else may stand there."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2l_core.geometry.orbit import Orbit
from viewer.state.viewpoint import Bookmarks, Viewpoint

VIEW = Viewpoint(Orbit(35.25, -12.5, 4.031128, (0.1, -0.2, 0.3)), 39.6)
VALUES = {
    "azimuth_deg": 35.25,
    "elevation_deg": -12.5,
    "radius": 4.031128,
    "pivot": [0.1, -0.2, 0.3],
    "fov_x_deg": 39.6,
}


def test_text_and_back():
    bookmarks = Bookmarks()
    bookmarks.put("demo", 3, VIEW)
    bookmarks.put("lego", 9, VIEW)
    again = Bookmarks(bookmarks.text())
    assert again.get("demo", 3) == VIEW
    assert again.numbers("demo") == {3}
    assert again.numbers("lego") == {9}
    assert again.numbers("elsewhere") == set()
    assert again.get("elsewhere", 1) is None


def test_the_text_names_every_number():
    bookmarks = Bookmarks()
    bookmarks.put("demo", 3, VIEW)
    assert json.loads(bookmarks.text()) == {"demo": {"3": VALUES}}


@pytest.mark.parametrize(
    "changed",
    [
        {"radius": 0.0},
        {"radius": "4"},
        {"radius": True},
        {"radius": None},
        {"radius": float("nan")},
        {"radius": 10**400},
        {"azimuth_deg": float("inf")},
        {"elevation_deg": 91},
        {"fov_x_deg": 180},
        {"pivot": [0, 0]},
        {"pivot": "abc"},
        {"pivot": 7},
    ],
    ids=str,
)
def test_a_spoilt_one_is_left_out_and_the_others_count(changed):
    marks = {"1": {**VALUES, **changed}, "2": VALUES, "0": VALUES, "12": VALUES, "x": VALUES}
    bookmarks = Bookmarks(json.dumps({"demo": marks, "lego": [], "ship": {"1": 5, "2": None}}))
    assert bookmarks.numbers("demo") == {2}
    assert bookmarks.numbers("lego") == bookmarks.numbers("ship") == set()


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", '{"demo": {"1": {}}}', "[" * 100_000])
def test_rubbish_is_no_bookmark(text):
    assert Bookmarks(text).text() == "{}"


@given(st.text())
def test_any_text_is_survived(text):
    Bookmarks(text)
