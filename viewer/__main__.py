"""`r2l-viewer`, or `python -m viewer`: checks the machine before Qt does, then opens the window."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from r2l_core.commands.arguments import Parser, program_name
from r2l_core.commands.process import prepare_streams, require_working_directory
from r2l_core.errors import R2LError
from viewer import system_check
from viewer.display_server import why_no_window
from viewer.runtime import limit_idle_spinning


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse arguments, make sure Qt can start, and run the viewer; returns the exit code."""
    prepare_streams()
    options = parser(program_name("r2l-viewer", "viewer")).parse_args(arguments)
    try:
        require_working_directory()
    except R2LError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    limit_idle_spinning()
    if not system_check.has_display(os.environ, sys.platform):
        # The same window, drawn into memory: what can be shown without a screen is shown.
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        if options.tour is None and not options.exit_after_first_frame:
            options.tour, options.screens = "all", options.screens or Path("out")
            print(
                "No visible display (DISPLAY and WAYLAND_DISPLAY are unset, or QT_QPA_PLATFORM "
                "hides windows): running the window offscreen through a scripted tour. Pictures "
                f"and a video go to {options.screens}/.",
                flush=True,
            )
    if problem := why_no_window(os.environ):
        print(f"error: {problem}", file=sys.stderr)
        return 2
    missing = system_check.missing_libraries(system_check.qt_platform(os.environ))
    font_found = system_check.has_font()
    if problem := system_check.explain(missing, font_found):
        print(f"error: {problem}", file=sys.stderr)
        if missing:
            return 2

    from viewer.run import run  # imports Qt

    return run(options)


def run_to_the_end() -> NoReturn:
    """Run the viewer and end the process with its exit code: the program `r2l-viewer`."""
    try:
        code = main()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        code = 130
    sys.stdout.flush()
    sys.stderr.flush()
    # Nothing is left to do, and the interpreter would take Qt apart in an order of its own.
    os._exit(code)


def parser(name: str) -> Parser:
    """The parser of the command line, for a program that is called `name`."""
    viewer = Parser(
        prog=name,
        description="Drag a camera around a neural light field, and switch the precision of its "
        "network while you look. Without a display the same window runs offscreen through a "
        "scripted tour.",
        sections=[
            ("in the window", "Press ? for all keys, F11 for the whole screen, Ctrl+Q to quit."),
            ("exit codes", "0: closed. 2: bad input or environment; one paragraph says what."),
        ],
        examples=[
            ("The light field that comes along", ""),
            ("A file of yours, in eight bits", "mine.safetensors --precision int8"),
            ("Three precisions beside each other", "--compare fp32,bf16,int8"),
            ("A released file with the photographs it was made from", "lego.tar --dataset lego"),
        ],
    )
    viewer.add_version()
    viewer.add_argument(
        "checkpoint",
        nargs="?",
        default="demo",
        help="a light field file, or the name of one that comes along (demo)",
    )
    viewer.add_argument("--scene", metavar="S", help="a preset or scene JSON instead of the file's")
    viewer.add_argument(
        "--assume",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what a released file does not say about its network, such as n_frequencies=10",
    )
    viewer.add_argument("--dataset", metavar="DIR", help="the folder of a NeRF dataset to open")
    viewer.add_argument(
        "--precision", metavar="P", help="(the last chosen, or the fastest within 50 dB of fp32)"
    )
    viewer.add_argument(
        "--compare", metavar="P,P,...", help="two to four precisions, or truth, side by side"
    )
    viewer.add_argument(
        "--engine",
        default="auto",
        metavar="E",
        help="what computes the network (auto: the fastest)",
    )
    viewer.add_argument(
        "--device", choices=["auto", "cpu", "cuda"], default="auto", help="where it runs (auto)"
    )
    viewer.add_argument(
        "--rays",
        choices=["auto", "plain", "canonical"],
        default="auto",
        help="as the camera makes them, or re-based on the trained sphere (auto)",
    )
    viewer.add_argument(
        "--exit-after-first-frame", action="store_true", help="close once a picture is complete"
    )
    viewer.add_argument("--tour", choices=["drag", "all"], help="drive the window by script")
    viewer.add_argument("--report", type=Path, metavar="r.json", help="write measurements here")
    viewer.add_argument("--screens", type=Path, metavar="DIR", help="write window pictures here")
    return viewer


if __name__ == "__main__":
    run_to_the_end()
