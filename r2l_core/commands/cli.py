"""The command line: `r2l`, or in a checkout `python -m r2l_core`, and the name of a command.

Exit codes: 0 done, 1 a stated threshold failed, 2 bad input or environment (one paragraph on
stderr that names the file or flag). No command needs a display.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from r2l_core.checkpoints.opening import embedded_names
from r2l_core.commands import (
    bench,
    convert,
    distill,
    download,
    evaluate,
    export,
    learn,
    quantize,
    record,
    render,
    sensitivity,
    teach,
)
from r2l_core.commands.arguments import EXIT_CODES, Parser, program_name
from r2l_core.commands.outputs import require_own_outputs
from r2l_core.commands.process import lost_output
from r2l_core.errors import R2LError, plain


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = parser(program_name("r2l", "r2l_core")).parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        require_own_outputs(options)
        code = command(options)
        if (why := lost_output()) is not None:
            raise R2LError("The standard output could not be written", why)
        return code
    except R2LError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        # The machine's doing, such as a file that went away in between: nobody's bug.
        print(f"error: {plain(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def parser(name: str) -> Parser:
    """The parser of all commands, for a program that is called `name`."""
    whole = Parser(
        prog=name,
        description="Renders, measures, quantises, trains and films neural light fields, without "
        "a window. COMMAND --help says everything about one command.",
        sections=[
            (
                "light fields",
                "--checkpoint takes a native .safetensors file, a released .tar file, or the name "
                f"of one that comes along ({', '.join(embedded_names())}).",
            ),
            (
                "precisions",
                "fp32, bf16, fp16, int8 (integer arithmetic), int8-sim and int8-static-sim "
                "(simulated in float32), and the published recipes weights-bf16, "
                "weights-int8-fake and dynamic-int8-fake.",
            ),
            ("exit codes", EXIT_CODES),
        ],
        examples=[
            (
                "A picture of the demo in eight bits",
                "render --checkpoint demo --azimuth 30 --elevation 25 --radius 4 --size 400 "
                "--precision int8-sim --out demo.png",
            ),
            (
                "How far every precision is from the truth, as a page with pictures",
                "eval --checkpoint demo --precision fp32,bf16,int8-sim --html report.html",
            ),
        ],
    )
    whole.add_version()
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
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
        teach,
        learn,
        download,
    ):
        command.add(commands)
    return whole
