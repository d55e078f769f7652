"""Command-line parsing that fails in one paragraph."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """An argument parser that names the flag and the remedy, without the whole usage text."""

    def error(self, message: str) -> NoReturn:
        """Print one paragraph and exit with code 2."""
        print(f"error: {message}. See {self.prog} --help.", file=sys.stderr)
        sys.exit(2)
