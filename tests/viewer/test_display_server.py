"""A display that does not answer is a sentence, not a core dump."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from viewer.display_server import why_no_window

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]


def ask(environ, *answering: str) -> str:
    """What is said where only these plugins' servers answer."""
    connects = {one: lambda _environ, one=one: one in answering for one in ("xcb", "wayland")}
    return why_no_window(environ, connects, "linux")


@pytest.mark.parametrize(
    ("environ", "answering"),
    [
        ({"DISPLAY": ":0"}, ["xcb"]),
        ({"WAYLAND_DISPLAY": "wayland-0"}, ["wayland"]),
        ({"DISPLAY": ":0", "WAYLAND_DISPLAY": "gone"}, ["xcb"]),
        ({"DISPLAY": ":5077", "WAYLAND_DISPLAY": "wayland-0"}, ["wayland"]),
        ({"DISPLAY": ":5077", "QT_QPA_PLATFORM": "offscreen"}, []),
        ({"DISPLAY": ":5077", "QT_QPA_PLATFORM": "vnc:size=800x600"}, []),
        ({}, []),
    ],
)
def test_a_window_can_be_opened(environ, answering):
    assert ask(environ, *answering) == ""


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"DISPLAY": ":5077"}, ["DISPLAY=:5077"]),
        ({"WAYLAND_DISPLAY": "gone"}, ["WAYLAND_DISPLAY=gone"]),
        (
            {"DISPLAY": ":5077", "WAYLAND_DISPLAY": "gone"},
            ["WAYLAND_DISPLAY=gone", "nor at DISPLAY=:5077"],
        ),
    ],
)
def test_what_does_not_answer_is_named(environ, named):
    said = ask(environ)
    assert all(one in said for one in named)
    assert "QT_QPA_PLATFORM=offscreen" in said
    assert said.count(". ") == 0, "one sentence"


def test_other_systems_have_no_such_server():
    assert why_no_window({"DISPLAY": ":5077"}, platform_name="darwin") == ""


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="Wayland is not of this system")
def test_a_compositor_that_listens(tmp_path):
    environ = {"WAYLAND_DISPLAY": "here", "XDG_RUNTIME_DIR": str(tmp_path)}
    assert "WAYLAND_DISPLAY=here" in why_no_window(environ, platform_name="linux")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "here"))
        server.listen()
        assert why_no_window(environ, platform_name="linux") == ""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="displays are Linux's")
@pytest.mark.parametrize(
    "stale",
    [
        {"DISPLAY": ":5077"},
        {"WAYLAND_DISPLAY": "wayland-77"},
        {"DISPLAY": ":5077", "WAYLAND_DISPLAY": "wayland-77"},
        {"DISPLAY": "no such display"},
    ],
    ids=lambda stale: " ".join(stale),
)
def test_the_program_says_so_and_ends(stale, tmp_path):
    kept = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
    kept.pop("QT_QPA_PLATFORM", None)
    done = subprocess.run(
        [sys.executable, "-m", "viewer"],
        cwd=REPOSITORY,
        env={**kept, "XDG_RUNTIME_DIR": str(tmp_path), **stale},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: No window can be opened")
    assert len(done.stderr.strip().splitlines()) == 1
    assert all(value in done.stderr for value in stale.values())
    # Beside the pictures of all else that a person may meet first.
    screens = REPOSITORY / "out" / "screens"
    screens.mkdir(parents=True, exist_ok=True)
    (screens / "14-display.txt").write_text(done.stderr, encoding="utf-8")
