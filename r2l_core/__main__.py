"""`python -m r2l_core`."""

import sys

from r2l_core.commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
