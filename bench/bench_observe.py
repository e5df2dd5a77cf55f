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


COUNT = 10_000_000
BATCH = 131_072


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    made = np.zeros(COUNT, fabcore.RECORD)  # 640 MB
    made["seq"] = np.arange(COUNT)
    made["vm"] = np.arange(COUNT) % 256
    return made


@pytest.fixture(scope="module")
def copy(rows: np.ndarray) -> np.ndarray:
    return rows.copy()


@pytest.mark.benchmark(group="one record to Arrow columns, 1e7 records")
class TestArrow:
    def test_copy(self, benchmark, rows: np.ndarray, copy: np.ndarray) -> None:
        benchmark.pedantic(lambda: np.copyto(copy, rows), rounds=5, warmup_rounds=1)
        benchmark.extra_info |= {"what": "peer: np.copyto of the rows", "peer": True, "per": COUNT}

    def test_copy_words(self, benchmark, rows: np.ndarray, copy: np.ndarray) -> None:
        to, words = copy.view(np.uint64), rows.view(np.uint64)
        benchmark.pedantic(lambda: np.copyto(to, words), rounds=5, warmup_rounds=1)
        benchmark.extra_info |= {"what": "np.copyto of the same bytes as uint64", "per": COUNT}

    def test_columns(self, benchmark, rows: np.ndarray) -> None:
        from fabcore.observe.arrow import records_to_batch

        def all_rows() -> None:
            for start in range(0, COUNT, BATCH):
                records_to_batch(rows[start : start + BATCH])

        benchmark.pedantic(all_rows, rounds=5, warmup_rounds=1)
        benchmark.extra_info |= {"what": f"records_to_batch, batches of {BATCH}", "per": COUNT}

    def test_reader(self, benchmark, rows: np.ndarray, tmp_path: Path) -> None:
        """A ring at rest that holds one batch, 1e7 records in all: publishing is not timed."""
        folder = Path("/dev/shm") if Path("/dev/shm").is_dir() else tmp_path
        path = folder / f"fabcore-bench-{id(tmp_path):x}"
        with fabcore.Ring.create(path, BATCH) as ring:
            reader = ring.reader("now")
            rounds = COUNT // BATCH
            starts = iter(range(0, COUNT, BATCH))

            def publish() -> None:
                start = next(starts)
                ring.publish(rows[start : start + BATCH])

            benchmark.pedantic(lambda: reader.to_arrow(BATCH), setup=publish, rounds=rounds)
            assert reader.position == rounds * BATCH and reader.lost == 0
        path.unlink()
        benchmark.extra_info |= {"what": f"Reader.to_arrow, batches of {BATCH}", "per": BATCH}

    def test_field_by_field(self, benchmark, rows: np.ndarray) -> None:
        import pyarrow as pa

        def obvious() -> pa.RecordBatch:
            names = list(fabcore.RECORD.names)
            return pa.RecordBatch.from_arrays([pa.array(rows[n]) for n in names], names)

        benchmark.pedantic(obvious, rounds=3, warmup_rounds=1)
        benchmark.extra_info |= {"what": "pa.array of each field (the obvious way)", "per": COUNT}
