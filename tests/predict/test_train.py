"""The shared weights: what ships, how they are read, how they are learned anew and judged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fabcore.errors import FabricError
from fabcore.predict.judge import SeriesSet, in_test_group, load_series, newsvendor
from fabcore.predict.train import main, train
from fabcore.predict.weights import SHIPPED, load_weights

TRACE = Path(__file__).parents[3] / "shared" / "traces" / "a100_nic_1s.parquet"


def series(n: int = 6, steps: int = 500) -> SeriesSet:
    rng = np.random.default_rng(0)
    demand = rng.lognormal(20, 0.5, (steps, n))
    unit = np.quantile(demand[: steps * 3 // 5], 0.99, axis=0)
    return SeriesSet(demand, np.full(n, steps), unit, 10 * unit, np.zeros(n, bool))


def test_the_weights_that_ship_name_their_source():
    weights = load_weights(SHIPPED)
    assert "Zhejiang Lab LLM Trace Program" in weights.credit and "CC BY 4.0" in weights.credit
    assert weights.over.any() and weights.under.any()


def test_costs_of_any_ratio_are_a_mixture_of_the_two_that_ship():
    weights = load_weights(SHIPPED)
    np.testing.assert_allclose(weights.theta(1.0), weights.under)
    np.testing.assert_allclose(weights.theta(0.0), weights.over)


def test_weights_survive_their_file(tmp_path):
    learned = train(series())
    learned.save(tmp_path / "w.npz")
    again = load_weights(tmp_path / "w.npz")
    np.testing.assert_allclose(again.under, learned.under, rtol=1e-6)
    assert again.credit == learned.credit


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not really", b"\x93NUMPY"])
def test_files_that_are_no_weights_are_refused(tmp_path, content):
    path = tmp_path / "w.npz"
    path.write_bytes(content)
    with pytest.raises(FabricError, match="no predictor weights"):
        load_weights(path)


def test_weights_of_another_shape_or_not_finite_are_refused(tmp_path):
    path = tmp_path / "w.npz"
    good = {key: np.load(SHIPPED)[key] for key in ("version", "base", "under", "over", "credit")}
    np.savez(path, **(good | {"base": good["base"][:-1]}))
    with pytest.raises(FabricError, match="another version"):
        load_weights(path)
    np.savez(path, **(good | {"version": np.int64(99)}))
    with pytest.raises(FabricError, match="another version"):
        load_weights(path)
    np.savez(path, **(good | {"over": good["over"] * np.nan}))
    with pytest.raises(FabricError, match="not finite"):
        load_weights(path)


def test_ports_of_one_switch_are_in_the_same_group():
    groups = {in_test_group(f"Leaf-{i}/Port{p}") for i in range(40) for p in range(3)}
    assert groups == {True, False}
    for i in range(40):
        assert len({in_test_group(f"Leaf-{i}/Port{p}") for p in range(3)}) == 1


def test_the_newsvendor_counts_bytes_by_hand():
    s = SeriesSet(
        np.array([[1.0], [1], [1], [2], [4]]), np.array([5]), np.ones(1), np.full(1, 10.0),
        np.zeros(1, bool),
    )  # fmt: skip
    held = np.array([[0.0], [0], [3], [3], [0]])  # decided at 2 and 3: for demands 2 and 4
    np.testing.assert_allclose(newsvendor(s, held, 10, 1), [11 / 6, 0.5, 1 / 6, 1 / 6])
    assert newsvendor(s, np.roll(s.demand, -1, axis=0), 10, 1)[0] == 0.0
    block = newsvendor(s, held, 10, 1, horizon=2)  # 3 held for both
    np.testing.assert_allclose(block[0], 11 / 6)


def test_a_trace_that_is_not_there_is_refused(tmp_path, capsys):
    assert main([str(tmp_path / "none.parquet"), "-o", str(tmp_path / "w.npz")]) == 2
    assert "none.parquet" in capsys.readouterr().err
    assert not (tmp_path / "w.npz").exists()


@pytest.mark.skipif(not TRACE.exists(), reason=f"{TRACE} is absent")
def test_training_gives_what_ships_and_it_serves_switches_it_never_saw(tmp_path):
    from fabcore.predict import QPredictor

    assert main([str(TRACE), "-o", str(tmp_path / "w.npz")]) == 0
    anew, ships = load_weights(tmp_path / "w.npz"), load_weights(SHIPPED)
    np.testing.assert_allclose(anew.base, ships.base, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(anew.under, ships.under, rtol=1e-2, atol=1e-3)
    np.testing.assert_allclose(anew.over, ships.over, rtol=1e-2, atol=1e-3)
    every = load_series(TRACE, "max", 2, 20e6)
    unseen = every.choose(np.flatnonzero(every.test)[::4])
    predictor = QPredictor(unseen.length.size, cap=unseen.cap)
    held = np.array([predictor.step(d) for d in unseen.demand])
    assert newsvendor(unseen, held, 10, 1)[0] < 0.4 * newsvendor(unseen, unseen.demand, 10, 1)[0]
    first = unseen.demand[:60]
    cold = QPredictor(unseen.length.size, cap=unseen.cap, weights=None)
    fresh = np.array([cold.step(d) for d in first])
    assert early_cost(unseen, held[:60]) < 0.95 * early_cost(unseen, fresh)


def early_cost(series: SeriesSet, held: np.ndarray) -> float:
    """At 10:1, over the first steps of every series, each in units of its own."""
    d, r = series.demand[1 : len(held)] / series.unit, held[:-1] / series.unit
    return float((10 * np.maximum(d - r, 0) + np.maximum(r - d, 0)).sum() / d.sum())


def test_importing_the_stage_starts_no_compiler():
    code = (
        "import sys, fabcore.predict; sys.exit('numba' in sys.modules or 'pyarrow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
