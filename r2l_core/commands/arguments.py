"""Command-line parsing that fails in one paragraph and helps with examples.

Below the parser stand the kinds of value that flags take: text in, value out, or an error that
says what is wrong.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, get_args

from r2l_core import __version__, limits
from r2l_core.files import IMAGE_SUFFIXES
from r2l_core.model.network import Activation
from r2l_core.types import Precision

EXIT_CODES = (
    "0: done. 1: a threshold that was given was not met. 2: bad input or environment; one "
    "paragraph on the error output names the file or flag. 130: stopped with Ctrl+C."
)

Example = tuple[str, str]
"""What it does, and the arguments after the program's (and the command's) name."""


class Parser(argparse.ArgumentParser):
    """An argument parser that names the flag and the remedy, without the whole usage text."""

    def __init__(
        self,
        *arguments: Any,
        examples: Sequence[Example] = (),
        sections: Sequence[tuple[str, str]] = (),
        **options: Any,
    ) -> None:
        """`examples` and `sections` (titles and texts) stand below the options in the help."""
        super().__init__(*arguments, **options)
        self.examples = tuple(examples)
        self._sections = tuple(sections)
        # What starts like a negative number is a value, also when commas follow: --pivot -1,0,2.
        self._negative_number_matcher = re.compile(r"^-[0-9.]")

    def add_version(self) -> None:
        """Add --version, which prints the program's name and version."""
        self.add_argument("--version", action="version", version=f"{self.prog} {__version__}")

    def format_help(self) -> str:
        """Usage, options, examples and further sections, as wide as the terminal."""
        # The one place that knows the terminal's width, without what argparse keeps free.
        width = self._get_formatter()._width
        parts = [super().format_help().rstrip()]
        for title, text in self._sections:
            parts.append(f"{title}:\n{_indented(text, width, 2)}")
        if self.examples:
            lines = [
                f"{_indented(f'{what}:', width, 2)}\n    {self.prog} {arguments}".rstrip()
                for what, arguments in self.examples
            ]
            parts.append("\n".join(["examples:", *lines]))
        return "\n\n".join(parts) + "\n"

    def error(self, message: str) -> NoReturn:
        """Print one paragraph and exit with code 2."""
        print(f"error: {message}. See {self.prog} --help.", file=sys.stderr)
        sys.exit(2)


def program_name(installed: str, package: str) -> str:
    """How a person calls this program: by its installed name, or in a checkout as a package."""
    return installed if Path(sys.argv[0]).stem == installed else f"python -m {package}"


def _indented(text: str, width: int, by: int) -> str:
    indent = " " * by
    return textwrap.fill(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


MAX_FRAMES = 360
"""One turn of the table."""


def finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is not a finite number")
    return value


def positive_float(text: str) -> float:
    value = finite_float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def positive_int(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def thread_counts(text: str) -> list[int]:
    return list(dict.fromkeys(positive_int(part) for part in text.split(",")))


def frames(text: str) -> int:
    value = int(text)
    if not 2 <= value <= MAX_FRAMES:
        raise argparse.ArgumentTypeError(f"{text} is not between 2 and {MAX_FRAMES} frames")
    return value


def share(text: str) -> float:
    value = finite_float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def vector(text: str) -> tuple[float, float, float]:
    parts = [finite_float(part) for part in text.split(",")]
    if len(parts) != 3:
        raise argparse.ArgumentTypeError(f"'{text}' is not three numbers X,Y,Z")
    return parts[0], parts[1], parts[2]


def size(text: str) -> tuple[int, int]:
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdigit() for part in parts):
        raise argparse.ArgumentTypeError(f"'{text}' is neither N nor WxH")
    width, height = int(parts[0]), int(parts[-1])
    if not (1 <= width <= limits.SIDE_PX and 1 <= height <= limits.SIDE_PX):
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and {limits.SIDE_PX} pixels")
    if width * height > limits.PICTURE_PX:
        most = limits.PICTURE_PX >> 20
        raise argparse.ArgumentTypeError(f"{text} has more than {most} million pixels")
    return width, height


def precision(text: str) -> Precision:
    try:
        return Precision(text)
    except ValueError:
        known = ", ".join(Precision)
        raise argparse.ArgumentTypeError(f"'{text}' is not one of {known}") from None


def precisions(text: str) -> list[Precision]:
    return list(dict.fromkeys(precision(part) for part in text.split(",")))


def threshold(text: str) -> tuple[Precision, float]:
    name, _, bound = text.partition(":")
    return precision(name), finite_float(bound)


def image_path(text: str) -> Path:
    path = Path(text)
    if path.suffix not in IMAGE_SUFFIXES:
        raise argparse.ArgumentTypeError(f"'{text}' does not end in {' or '.join(IMAGE_SUFFIXES)}")
    return path


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"'{text}' is neither true nor false")
    return text == "true"


def _activation(text: str) -> str:
    if text not in get_args(Activation):
        known = ", ".join(get_args(Activation))
        raise argparse.ArgumentTypeError(f"'{text}' is not one of {known}")
    return text


_ASSUMPTIONS: dict[str, Callable[[str], Any]] = {
    "n_frequencies": int,
    "n_sample": int,
    "res_scale": finite_float,
    "use_residual": _truth,
    "plucker": _truth,
    "act": _activation,
    "inact": _activation,
    "outact": _activation,
    "n_coarse": int,
    "n_fine": int,
}
"""By the names of NetworkConfig and NerfTeacher."""


def assumption(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    parse = _ASSUMPTIONS.get(name)
    if parse is None:
        known = ", ".join(_ASSUMPTIONS)
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=VALUE with one of {known}")
    return name, parse(value)
