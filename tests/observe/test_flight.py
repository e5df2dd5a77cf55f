"""A ring is streamed to another process: all records arrive in order or are counted as lost."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import fabcore
from fabcore.observe import RECORD
from fabcore.observe.arrow import schema

flight = pytest.importorskip("pyarrow.flight")
from fabcore.observe.flight import RingFlightClient, RingFlightServer, Wanted  # noqa: E402


def publish(ring: fabcore.Ring, count: int) -> None:
    records = np.zeros(count, RECORD)
    index = ring.published + np.arange(count, dtype=np.uint64)
    records["aux"] = index * 3
    records["vm"] = index % (5 + index // 1000)  # VMs come: the dictionary grows
    ring.publish(records)


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[fabcore.Ring]:
    with fabcore.Ring.create(tmp_path / "ring", 4096) as made:
        yield made


@pytest.fixture
def server(ring: fabcore.Ring) -> Iterator[RingFlightServer]:
    with RingFlightServer(ring.path, names={3: "three"}) as made:
        yield made


# argv: location, records in all, seconds between two batches. Prints what it got.
CLIENT = """
    import json, sys, time
    import numpy as np
    from fabcore.observe.flight import RingFlightClient

    location, total, delay = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    rows = lost = batches = 0
    wrong = []
    with RingFlightClient(location) as client:
        stream = client.batches("oldest", 512, 0.001)
        for batch, lost in stream:
            if batches == 0:
                print("ready", flush=True)
            batches += 1
            rows += batch.num_rows
            seq = batch.column("seq").to_numpy()
            index = seq - 1
            vm = (index % (5 + index // 1000)).tolist()
            if batch.column("vm").to_pylist() != ["three" if v == 3 else str(v) for v in vm]:
                wrong.append("vm")
            if (batch.column("aux").to_numpy() != index * 3).any() or (np.diff(seq) <= 0).any():
                wrong.append("values")
            if len(seq) and seq[-1] != rows + lost:
                wrong.append(f"{seq[-1]} after {rows} rows and {lost} lost")
            if rows + lost >= total:
                break
            time.sleep(delay)
        stream.close()
    print(json.dumps({"rows": rows, "lost": lost, "batches": batches, "wrong": wrong}))
"""


def client_of(server: RingFlightServer, total: int, delay: float) -> subprocess.Popen[str]:
    """The client in a process of its own, once it has got its first batch."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CLIENT), server.location, str(total), str(delay)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    return process


def said_by(process: subprocess.Popen[str]) -> dict:
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return json.loads(out)


def test_a_client_that_keeps_up_gets_every_record_in_order(
    ring: fabcore.Ring, server: RingFlightServer
) -> None:
    client = client_of(server, 20_000, 0.0)
    for _ in range(20):
        publish(ring, 1000)
        time.sleep(0.02)
    said = said_by(client)
    assert said["wrong"] == [] and said["rows"] + said["lost"] == 20_000
    assert said["lost"] == 0


def test_a_slow_client_holds_up_nobody_and_knows_exactly_what_it_lost(
    ring: fabcore.Ring, server: RingFlightServer
) -> None:
    total = 800_000  # ten times what all buffers between the two can hold
    slow = client_of(server, total, 0.01)
    began = time.monotonic()
    for _ in range(total // 1000):
        publish(ring, 1000)
        time.sleep(0.0005)
    assert time.monotonic() - began < 30
    said = said_by(slow)
    assert said["wrong"] == [] and said["rows"] + said["lost"] == total
    assert said["lost"] > 0 and said["rows"] > 4096


def test_a_stream_that_does_not_follow_ends_with_what_was_there(
    ring: fabcore.Ring, server: RingFlightServer
) -> None:
    publish(ring, 10_000)
    with RingFlightClient(server.location) as client:
        got = list(client.batches(follow=False, max_batch=1000))
        assert [batch.num_rows for batch, _ in got if batch.num_rows] == [1000] * 4 + [96]
        assert got[-1][1] == 10_000 - 4096
        assert got[0][0].schema == schema()
        (found,) = client.info()
        assert found == {"name": "ring", "published": 10_000, "schema": schema()}
        assert [b.num_rows for b, _ in client.batches("now", follow=False)] == [0]


def test_any_flight_client_can_read_the_ring(ring: fabcore.Ring, server: RingFlightServer) -> None:
    publish(ring, 100)
    with flight.connect(server.location) as client:
        info = client.get_flight_info(flight.FlightDescriptor.for_path("ring"))
        assert info.total_records == 100 and info.schema == schema()
        ticket = flight.Ticket(b'{"follow": false}')
        assert client.do_get(ticket).read_all().column("seq").to_pylist() == list(range(1, 101))
        with pytest.raises(flight.FlightServerError, match="no ring"):
            client.get_flight_info(flight.FlightDescriptor.for_path("other"))


def test_a_client_that_leaves_gives_its_stream_back(ring: fabcore.Ring) -> None:
    publish(ring, 10)
    with RingFlightServer(ring.path, max_streams=1) as server:
        for _ in range(5):
            with RingFlightClient(server.location) as client:
                stream = client.batches(interval_s=0.001)
                assert next(stream)[0].num_rows == 10
                with pytest.raises(fabcore.FabricError, match="taken"):
                    next(RingFlightClient(server.location).batches())
                stream.close()
                free_again(server)


def free_again(server: RingFlightServer) -> None:
    """Waits until the server has noticed: a client cannot know when."""
    for _ in range(1000):
        if server._streams.acquire(blocking=False):
            server._streams.release()
            return
        time.sleep(0.005)
    pytest.fail("the stream was never given back")


def test_a_killed_client_gives_its_stream_back(ring: fabcore.Ring) -> None:
    publish(ring, 10)
    with RingFlightServer(ring.path, max_streams=1) as server:
        client = client_of(server, 1 << 40, 0.0)
        client.kill()
        client.wait()
        free_again(server)


def test_closing_the_server_ends_streams_and_is_quick(ring: fabcore.Ring) -> None:
    publish(ring, 10)
    server = RingFlightServer(ring.path)
    got: list[int] = []

    def read() -> None:
        with RingFlightClient(server.location) as client:
            got.extend(batch.num_rows for batch, _ in client.batches(interval_s=10))

    thread = threading.Thread(target=read)
    thread.start()
    while not got:
        time.sleep(0.005)
    began = time.monotonic()
    server.close()
    thread.join(timeout=10)
    assert got == [10] and not thread.is_alive() and time.monotonic() - began < 5


def test_only_who_has_the_token_reads(ring: fabcore.Ring) -> None:
    with RingFlightServer(ring.path, token="tell no one") as server:
        for token in (None, "", "tell no two"):
            with (
                RingFlightClient(server.location, token=token) as client,
                pytest.raises(fabcore.FabricError, match="token"),
            ):
                list(client.batches(follow=False))
        with RingFlightClient(server.location, token="tell no one") as client:
            assert len(list(client.batches(follow=False))) == 1


@pytest.mark.parametrize(
    ("location", "word"),
    [
        ("grpc://0.0.0.0:0", "others could read"),
        ("grpc://192.0.2.1:0", "others could read"),
        ("grpc://example.org:0", "others could read"),
        ("grpc://[::]:0", "others could read"),
        ("http://127.0.0.1:0", "use grpc"),
        ("127.0.0.1:80", "use grpc"),
    ],
)
def test_addresses_that_others_reach_are_refused(
    ring: fabcore.Ring, location: str, word: str
) -> None:
    with pytest.raises(fabcore.FabricError, match=word):
        RingFlightServer(ring.path, location)


def test_a_remote_address_is_served_when_it_is_asked_for(ring: fabcore.Ring) -> None:
    publish(ring, 3)
    with (
        RingFlightServer(ring.path, "grpc://0.0.0.0:0", allow_remote=True) as server,
        RingFlightClient(f"grpc://127.0.0.1:{server.port}") as client,
    ):
        assert next(client.batches(follow=False))[0].num_rows == 3


@pytest.mark.parametrize(
    "ticket",
    [b"[]", b"{", b'{"x": 1}', b'{"start": "then"}', b'{"max_batch": 0}', b'{"max_batch": 1e9}',
     b'{"interval_s": 0}', b'{"interval_s": "1"}', b'{"follow": 1}', b"\xff", b"[" * 100_000],
)  # fmt: skip
def test_tickets_that_ask_for_the_impossible_are_refused(
    server: RingFlightServer, ticket: bytes
) -> None:
    with flight.connect(server.location) as client, pytest.raises(flight.FlightServerError):
        client.do_get(flight.Ticket(ticket)).read_all()
    assert Wanted.parse(b"") == Wanted()


def test_a_ring_that_is_none_and_a_server_that_is_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(fabcore.FabricError, match="absent"):
        RingFlightServer(tmp_path / "absent")
    with (
        RingFlightClient("grpc://127.0.0.1:1") as client,
        pytest.raises(fabcore.FabricError, match=r"127\.0\.0\.1:1"),
    ):
        next(client.batches())
