"""What happened, as structured records: a bounded log that other code can read and follow."""

from __future__ import annotations

import json
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

log = logging.getLogger("fabcore.events")

# Every kind of event, with the level it is logged at.
KINDS = {
    "rejected": logging.WARNING,
    "throttled": logging.INFO,
    "ring_overrun": logging.WARNING,
    "port_down": logging.ERROR,
    "port_up": logging.INFO,
    "module_absent": logging.WARNING,
    "module_joined": logging.INFO,
    "vm_added": logging.INFO,
    "vm_removed": logging.INFO,
    "vm_replaced": logging.WARNING,
    "vm_stranded": logging.ERROR,
    "vm_silent": logging.WARNING,
    "switch_gone": logging.ERROR,
    "switch_back": logging.WARNING,
    "owner_replaced": logging.WARNING,
    "owner_lost": logging.ERROR,
    "not_isolated": logging.WARNING,
    "tick_failed": logging.ERROR,
    "tick_late": logging.WARNING,
    "certificate": logging.ERROR,
    "infeasible_floors": logging.ERROR,
}


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its kind (a key of KINDS), the node's time in ns and what it is about."""

    kind: str
    time_ns: int
    detail: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps({"event": self.kind, "time_ns": self.time_ns, **self.detail})


class EventLog:
    """The last `keep` events and a count of each kind; emitting never raises and never blocks.

    Not locked: it belongs to the controller's thread; readers copy with `recent`.
    """

    def __init__(self, keep: int = 1024) -> None:
        self._recent: deque[Event] = deque(maxlen=keep)
        self.counts: Counter[str] = Counter()
        self.listeners: list[Callable[[Event], None]] = []

    def emit(self, kind: str, time_ns: int, **detail: Any) -> Event:
        """Records an event of a known kind (KeyError otherwise: a misspelt kind is a bug)."""
        level = KINDS[kind]
        event = Event(kind, time_ns, detail)
        self._recent.append(event)
        self.counts[kind] += 1
        if log.isEnabledFor(level):
            log.log(level, "%s", event.to_json(), extra={"fabcore_event": event})
        for listener in self.listeners:
            listener(event)
        return event

    def recent(self, n: int | None = None) -> list[Event]:
        """The newest n events (all that are kept without n), oldest first."""
        events = list(self._recent)
        return events if n is None else events[-n:]

    def __iter__(self) -> Iterator[Event]:
        return iter(self.recent())
