"""`python -m viewer`: checks the machine before Qt does, then opens the window."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from r2l_core.commands.arguments import Parser
from viewer import system_check
from viewer.runtime.spinning import spin_briefly


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse arguments, make sure Qt can start, and run the viewer; returns the exit code."""
    options = _parser().parse_args(arguments)
    spin_briefly()
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
    missing = system_check.missing_libraries(system_check.qt_platform(os.environ))
    font_found = system_check.has_font()
    if problem := system_check.explain(missing, font_found):
        print(f"error: {problem}", file=sys.stderr)
        if missing:
            return 2

    from viewer.app import run  # imports Qt

    return run(options)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m viewer", description="Drag a camera around a neural light field."
    )
    parser.add_argument(
        "checkpoint", nargs="?", default="demo", help="a light field file, or demo (the default)"
    )
    parser.add_argument("--scene", metavar="S", help="a preset or scene JSON instead of the file's")
    parser.add_argument(
        "--assume",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what a released file does not say about its network, such as n_frequencies=10",
    )
    parser.add_argument("--dataset", metavar="DIR", help="the folder of a NeRF dataset to open")
    parser.add_argument("--precision", metavar="P", help="default: the fastest this machine has")
    parser.add_argument(
        "--compare", metavar="P,P,...", help="two to four precisions, or truth, side by side"
    )
    parser.add_argument("--engine", default="auto", metavar="E")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--rays", choices=["auto", "plain", "canonical"], default="auto")
    parser.add_argument("--exit-after-first-frame", action="store_true")
    parser.add_argument("--tour", choices=["drag", "all"], help="drive the window by script")
    parser.add_argument("--report", type=Path, metavar="r.json", help="write measurements here")
    parser.add_argument("--screens", type=Path, metavar="DIR", help="write window pictures here")
    return parser


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Nothing is left to do, and the interpreter would take Qt apart in an order of its own.
    os._exit(code)
