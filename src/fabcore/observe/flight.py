"""A ring's records streamed to other machines over Arrow Flight, with loss counted."""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import pyarrow as pa

from fabcore._core import Ring
from fabcore.errors import FabricError
from fabcore.observe.arrow import schema

try:
    from pyarrow import flight
except ImportError as error:
    raise FabricError(
        "this pyarrow is built without Flight: pip install --force-reinstall pyarrow has it"
    ) from error


@dataclass(slots=True, frozen=True)
class Wanted:
    """What a ticket asks for, as JSON. start: "oldest" or "now"; max_batch: rows of a batch at
    most; interval_s: between two looks at the ring; follow: whether the stream goes on for good
    or ends with what was published when it began."""

    start: str = "oldest"
    max_batch: int = 65_536
    interval_s: float = 0.05
    follow: bool = True

    def __post_init__(self) -> None:
        if self.start not in ("oldest", "now"):
            raise FabricError(f"start {self.start!r}: use 'oldest' or 'now'")
        if not isinstance(self.max_batch, int) or not 1 <= self.max_batch <= 1 << 20:
            raise FabricError(f"max_batch {self.max_batch!r}: use 1 to 2**20 rows")
        number = isinstance(self.interval_s, int | float)
        if not number or not 1e-4 <= self.interval_s <= 60:
            raise FabricError(f"interval_s {self.interval_s!r}: use 0.0001 to 60")
        if not isinstance(self.follow, bool):
            raise FabricError(f"follow {self.follow!r}: use true or false")

    def ticket(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def parse(cls, ticket: bytes) -> Wanted:
        try:
            return cls(**json.loads(ticket or b"{}"))
        except (ValueError, TypeError, RecursionError) as error:
            raise FabricError(f"ticket {ticket[:100]!r}: {error}") from None


class RingFlightServer(flight.FlightServerBase):
    """Serves the ring at `ring` from the moment it is made until `close`.

    Every stream has a reader of its own. A client that takes its batches slowly holds up only its
    own stream: the ring's writer never waits, so it laps that reader, and what is lost is counted.
    Each batch is followed by one without rows whose app_metadata is JSON: lost (records, since the
    stream began), position (index of the next record) and published.

    names: handle -> VM name. location: grpc://HOST:PORT (port 0: any that is free) on a loopback
    address, unless allow_remote: whoever reaches the port reads the telemetry, so give a token.
    max_streams: clients at once; each holds a thread.
    """

    def __init__(
        self,
        ring: str | os.PathLike[str],
        location: str = "grpc://127.0.0.1:0",
        *,
        names: Mapping[int, str] | None = None,
        token: str | None = None,
        allow_remote: bool = False,
        max_streams: int = 16,
    ) -> None:
        self._host = _checked_host(location, allow_remote)
        self._path = os.fspath(ring)
        Ring.open(self._path).close()  # says now what would be said to every client
        self._names = names
        self._streams = threading.BoundedSemaphore(max_streams)
        self._max_streams = max_streams
        self._ending = threading.Event()
        middleware = {} if token is None else {"token": _TokenCheck(token)}
        try:
            super().__init__(location, middleware=middleware)
        except (pa.ArrowException, OSError) as error:
            raise FabricError(f"{location}: {error}; choose another port") from error

    @property
    def location(self) -> str:
        """Where clients connect to."""
        return f"grpc://{self._host}:{self.port}"

    def list_flights(self, context: Any, criteria: bytes) -> Iterator[Any]:
        yield self._info()

    def get_flight_info(self, context: Any, descriptor: Any) -> Any:
        known = [os.path.basename(self._path).encode()]
        if list(descriptor.path) != known:
            raise flight.FlightServerError(f"no ring {list(descriptor.path)}: there is {known}")
        return self._info()

    def do_get(self, context: Any, ticket: Any) -> Any:
        try:
            wanted = Wanted.parse(ticket.ticket)
        except FabricError as error:
            raise flight.FlightServerError(str(error)) from error
        return flight.GeneratorStream(schema(), self._stream(context, wanted))

    def close(self, grace_s: float = 5.0) -> None:
        """Ends all streams after the batch under way. FabricError: a client has not taken its
        batch for `grace_s` seconds; gRPC, and this process, end only once that client has."""
        self._ending.set()
        ending = threading.Thread(target=self.shutdown, name="fabcore-flight-end", daemon=True)
        ending.start()
        ending.join(grace_s)
        if ending.is_alive():
            raise FabricError(f"{self.location}: a client does not read what was sent; end it")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _info(self) -> Any:
        with self._opened() as ring:
            published, capacity = ring.published, ring.capacity
        return flight.FlightInfo(
            schema(),
            flight.FlightDescriptor.for_path(os.path.basename(self._path)),
            [flight.FlightEndpoint(Wanted().ticket(), [self.location])],
            published,
            64 * min(published, capacity),
        )

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Ring]:
        try:
            ring = Ring.open(self._path)
        except FabricError as error:
            raise flight.FlightServerError(str(error)) from error
        with ring:
            yield ring

    def _stream(self, context: Any, wanted: Wanted) -> Iterator[Any]:
        """Runs on the stream's thread, and stands still while the client has not taken a batch.
        Everything is opened in here, so that a generator that is dropped unstarted leaks nothing."""
        if not self._streams.acquire(blocking=False):
            raise flight.FlightUnavailableError(f"all {self._max_streams} streams are taken")
        try:
            with self._opened() as ring:
                reader = ring.reader("now" if wanted.start == "now" else "oldest")
                try:
                    yield from self._batches(context, wanted, ring, reader)
                finally:
                    reader.close()
        finally:
            self._streams.release()

    def _batches(self, context: Any, wanted: Wanted, ring: Ring, reader: Any) -> Iterator[Any]:
        end = None if wanted.follow else ring.published
        told = -1
        while True:
            batch = reader.to_arrow(wanted.max_batch, self._names)
            if batch.num_rows or reader.lost != told:
                told = reader.lost
                # A stream of one: Flight sends the dictionary with it, but no metadata. The batch
                # behind it has no rows, and so needs no dictionary.
                one = pa.RecordBatchReader.from_batches(batch.schema, [batch])
                yield flight.RecordBatchStream(one)
                where = {"lost": told, "position": reader.position, "published": ring.published}
                yield batch.slice(0, 0), json.dumps(where).encode()
            if self._ending.is_set() or context.is_cancelled():
                return
            if end is not None and reader.position >= end:
                return
            if batch.num_rows < wanted.max_batch:
                self._ending.wait(wanted.interval_s)


class RingFlightClient:
    """Reads the ring that a RingFlightServer at `location` serves. One thread at a time."""

    def __init__(self, location: str, *, token: str | None = None) -> None:
        self.location = location
        headers = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
        self._options = flight.FlightCallOptions(headers=headers)
        with self._named():
            self._client = flight.FlightClient(location)

    def info(self) -> list[dict[str, Any]]:
        """The rings served: name, records published so far, schema."""
        with self._named():
            return [
                {
                    "name": found.descriptor.path[0].decode(),
                    "published": found.total_records,
                    "schema": found.schema,
                }
                for found in self._client.list_flights(options=self._options)
            ]

    def batches(
        self,
        start: str = "oldest",
        max_batch: int = 65_536,
        interval_s: float = 0.05,
        follow: bool = True,
    ) -> Iterator[tuple[pa.RecordBatch, int]]:
        """(batch, lost): lost counts all records missing since the stream began, so that from the
        oldest on, rows received + lost = the index behind the batch's last record. A batch may be
        empty, where only loss is told. Closing the iterator ends the stream. See Wanted."""
        wanted = Wanted(start, max_batch, interval_s, follow)
        with self._named():
            reader = self._client.do_get(flight.Ticket(wanted.ticket()), self._options)
            try:
                while True:
                    with contextlib.suppress(StopIteration):
                        batch = reader.read_chunk().data
                        where = json.loads(reader.read_chunk().app_metadata.to_pybytes())
                        yield batch, where["lost"]
                        continue
                    return
            finally:
                reader.cancel()

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except (flight.FlightError, pa.ArrowException) as error:
            raise FabricError(f"{self.location}: {error}") from error


class _TokenCheck(flight.ServerMiddlewareFactory):
    """Refuses calls without the token, in constant time."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._wanted = f"Bearer {token}".encode()

    def start_call(self, info: Any, headers: Mapping[str, list[Any]]) -> None:
        given = headers.get("authorization") or [""]
        text = given[0] if isinstance(given[0], bytes) else str(given[0]).encode()
        if not hmac.compare_digest(text, self._wanted):
            raise flight.FlightUnauthenticatedError("the token is missing or wrong")


def _checked_host(location: str, allow_remote: bool) -> str:
    parts = urlsplit(location)
    host = parts.hostname or ""
    if parts.scheme not in ("grpc", "grpc+tcp") or not host:
        raise FabricError(f"location {location!r}: use grpc://HOST:PORT")
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local and not allow_remote:
        raise FabricError(
            f"location {location!r}: others could read it there; use 127.0.0.1, or allow_remote=True"
        )
    return f"[{host}]" if ":" in host else host
