"""`python -m fabcore` is the command line `fabcore`."""

from __future__ import annotations

from fabcore.cli import main

if __name__ == "__main__":
    main()
