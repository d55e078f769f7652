"""`r2l`, or `python -m r2l_core`: what has to happen before the commands are loaded."""

from __future__ import annotations

import sys

from r2l_core.commands.process import prepare_streams, require_working_directory
from r2l_core.errors import R2LError


def run() -> int:
    """Run the command line and return its exit code."""
    prepare_streams()
    try:
        # First: libraries end the process where there is no working directory.
        require_working_directory()
        # Imported here: that takes seconds, in which somebody may have thought better of it.
        from r2l_core.commands.cli import main

        return main()
    except R2LError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(run())
