"""Command-line parsing that fails in one paragraph."""

from __future__ import annotations

import argparse
import re
import sys
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """An argument parser that names the flag and the remedy, without the whole usage text."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # What starts like a negative number is a value, also when commas follow: --pivot -1,0,2.
        self._negative_number_matcher = re.compile(r"^-[0-9.]")

    def error(self, message: str) -> NoReturn:
        """Print one paragraph and exit with code 2."""
        print(f"error: {message}. See {self.prog} --help.", file=sys.stderr)
        sys.exit(2)
