"""Command-line parsing that fails in one paragraph and helps with examples."""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from r2l_core import __version__

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
