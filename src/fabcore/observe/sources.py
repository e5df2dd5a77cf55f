"""Who published a record: the values of its `source` field."""

from __future__ import annotations

from typing import Final

SOURCE_NODE: Final = 1  # port and function counters of a Resource Node
SOURCE_LIVE: Final = 2  # this machine's own instances: domains, control groups, processes
SOURCE_TRACE: Final = 3  # a trace file being replayed
SOURCE_PORT: Final = 4  # a switch port's own byte counters: vm names the port
