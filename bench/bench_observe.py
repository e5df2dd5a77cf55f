"""The followed ring beside a plain copy of the same bytes, and records as Arrow columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fabcore

BLOCK = 4096
ROWS = np.zeros(BLOCK, fabcore.RECORD)
ROWS["vm"] = np.arange(BLOCK) % 256


@pytest.fixture
def ring(tmp_path_factory: pytest.TempPathFactory) -> fabcore.Ring:
    path = Path("/dev/shm") if Path("/dev/shm").is_dir() else tmp_path_factory.mktemp("ring")
    made = fabcore.Ring.create(path / f"fabcore-bench-{id(path):x}", 1 << 14)
    yield made
    made.close()
    Path(made.path).unlink()


@pytest.mark.benchmark(group="publish or read one 64-byte record, blocks of 4096, one thread")
class TestRing:
    def test_copy(self, benchmark) -> None:
        out = np.empty_like(ROWS)
        benchmark(lambda: np.copyto(out, ROWS))
        benchmark.extra_info |= {"what": "peer: np.copyto of the rows", "peer": True, "per": BLOCK}

    def test_publish(self, benchmark, ring: fabcore.Ring) -> None:
        benchmark(ring.publish, ROWS)
        benchmark.extra_info |= {"what": "Ring.publish", "per": BLOCK}

    def test_publish_and_read(self, benchmark, ring: fabcore.Ring) -> None:
        reader = ring.reader("now")
        out = np.empty_like(ROWS)

        def both() -> None:
            ring.publish(ROWS)
            assert reader.read_into(out) == BLOCK

        benchmark(both)
        benchmark.extra_info |= {"what": "publish + read_into", "per": BLOCK}


COUNT = 1_000_000


@pytest.mark.benchmark(group="one record to Arrow columns, 1e6 records")
class TestArrow:
    rows = np.zeros(COUNT, fabcore.RECORD)
    rows["vm"] = np.arange(COUNT) % 256

    def test_copy(self, benchmark) -> None:
        out = np.empty_like(self.rows)
        benchmark.pedantic(lambda: np.copyto(out, self.rows), rounds=15, warmup_rounds=2)
        benchmark.extra_info |= {"what": "peer: np.copyto of the rows", "peer": True, "per": COUNT}

    def test_columns(self, benchmark) -> None:
        from fabcore.observe.arrow import records_to_batch

        benchmark.pedantic(lambda: records_to_batch(self.rows), rounds=15, warmup_rounds=2)
        benchmark.extra_info |= {"what": "records_to_batch", "per": COUNT}

    def test_field_by_field(self, benchmark) -> None:
        import pyarrow as pa

        def obvious() -> pa.RecordBatch:
            names = list(fabcore.RECORD.names)
            return pa.RecordBatch.from_arrays([pa.array(self.rows[n]) for n in names], names)

        benchmark.pedantic(obvious, rounds=8, warmup_rounds=1)
        benchmark.extra_info |= {"what": "pa.array of each field (the obvious way)", "per": COUNT}
