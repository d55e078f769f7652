"""The command line: `python -m r2l_core render | eval | bench | quantize | sensitivity | convert |
export | record | distill | download`.

Exit codes: 0 done, 1 a stated threshold failed, 2 bad input or environment (one paragraph on
stderr that names the file or flag). No command needs a display.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from r2l_core.commands import (
    bench,
    convert,
    distill,
    download,
    evaluate,
    export,
    quantize,
    record,
    render,
    sensitivity,
)
from r2l_core.commands.arguments import Parser
from r2l_core.errors import R2LError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except R2LError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m r2l_core", description="Neural light fields without a window.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (
        render,
        evaluate,
        bench,
        quantize,
        sensitivity,
        convert,
        export,
        record,
        distill,
        download,
    ):
        command.add(commands)
    return parser
