"""The command line: exit statuses, one line per error, JSON, and clean ends on signals."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from fabcore import __version__
from fabcore.cli import app, base
from fabcore.cli.run import quiet_log
from fabcore.topology import Topology

COMMANDS = ("run", "emulate", "replay", "bench", "warm", "doctor")
SHM = Path("/dev/shm")
TERMINAL = {**os.environ, "TERM": "xterm-256color"}
needs_core = pytest.mark.skipif(
    find_spec("fabcore._core") is None, reason="the compiled core is not built"
)


def fabcore(*args: object, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fabcore", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


@contextlib.contextmanager
def started(*args: object) -> Iterator[subprocess.Popen[str]]:
    """A command that is running; killed at the end whatever happened."""
    command = [sys.executable, "-m", "fabcore", *map(str, args)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def refused(*args: object, status: int = 2) -> str:
    """The one line on stderr with which these arguments are refused."""
    done = fabcore(*args)
    assert done.returncode == status, done
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("fabcore: error: ")
    return done.stderr


def csv(folder: Path, rows: str, header: str = "vm,time_s,up,down") -> Path:
    path = folder / "trace.csv"
    path.write_text(f"{header}\n{rows}")
    return path


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Two VMs, three steps of 0.2 s."""
    rows = "".join(f"{vm},{k / 5},{1e9 * (k + 1)},1e8\n" for vm in ("a", "b") for k in range(3))
    return csv(tmp_path, rows)


# -- what needs nothing but Python -----------------------------------------------------------


def test_help_is_light_and_names_every_command() -> None:
    code = (
        "import sys\nfrom fabcore.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit as e:\n    assert e.code == 0\n"
        "print(sorted({'numba', 'numpy', 'pyarrow'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.rstrip().endswith("[]")
    assert all(command in out.stdout for command in COMMANDS)


def test_help_shows_the_brackets_of_toml_tables() -> None:
    done = CliRunner().invoke(app, ["emulate", "--help"], env={"COLUMNS": "160"})
    assert "Fault script: [[fault]] at_s" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_by_example(command: str) -> None:
    done = CliRunner().invoke(app, [command, "--help"])
    assert done.exit_code == 0
    assert f"fabcore {command}" in done.output.split("Example")[1]


def test_version_and_bare_call() -> None:
    assert fabcore("--version").stdout == f"fabcore {__version__}\n"
    done = fabcore()
    assert (done.returncode, done.stderr) == (0, "")
    assert "fabcore replay" in done.stdout


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["nonsense"], "nonsense"),
        (["--nonsense"], "--nonsense"),
        (["replay"], "FILE"),
        (["run", "--ticks", "many"], "valid integer"),
        (["run", "--ticks", "0"], "--ticks"),
        (["run", "--rate", "0"], "--rate 0"),
        (["run", "--rate", "nan"], "--rate nan"),
        (["run", "--policy", "static_equal"], "static_equal"),
        (["run", "--node", "shm:x", "--topology", "x.toml"], "--topology"),
        (["emulate"], "--shm NAME"),
        (["emulate", "--shm", "a/b"], "'a/b'"),
        (["emulate", "--shm", ".."], "'..'"),
        (["emulate", "--listen", "localhost"], "'localhost' is no IPv4 address"),
        (["emulate", "--listen", "127.0.0.1:5"], "'127.0.0.1:5' is no IPv4 address"),
        (["emulate", "--listen", "::1"], "'::1' is no IPv4 address"),
        (["emulate", "--listen", "192.0.2.1"], "--listen-any"),
        (["emulate", "--listen", "192.0.2.1", "--listen-any"], "192.0.2.1:54545 (switch 0)"),
        (["emulate", "--listen", "0.0.0.0", "--listen-any"], "switch k listens on the address + k"),
        (["emulate", "--listen", "127.255.255.252"], "switch k listens on the address + k"),
        (["emulate", "--shm", "x", "--listen-any"], "--listen ADDR"),
        (["emulate", "--shm", "x", "--device-id", "PSX"], "0x5100"),
        (["emulate", "--shm", "x", "--device-id", "0x8532"], "0x8532 names no chip"),
        (["emulate", "--shm", "x", "--device-id", "0x5252"], "over the 52 lanes"),
        (
            ["emulate", "--vfio-user", "/nowhere/socket"],
            "--vfio-user socket /nowhere/socket: its folder",
        ),
        (["emulate", "--shm", "x", "--topology", "/nowhere.toml"], "/nowhere.toml"),
        (["replay", "/nowhere.parquet"], "/nowhere.parquet"),
        (["replay", "/nowhere", "--policy", "fair"], "'fair'"),
    ],
    ids=" ".join,
)
def test_bad_arguments_are_refused_in_one_line(args: list[str], word: str) -> None:
    assert word in refused(*args)


@pytest.mark.parametrize(
    ("rows", "header", "words"),
    [
        ("a,0,1\n", "vm,time_s,up", ["no column down", "expected vm,time_s,up,down"]),
        ("a,0,1,2\na,1,nan,2\n", "vm,time_s,up,down", ["line 3", "up is nan"]),
        ("a,0,1,-2\n", "vm,time_s,up,down", ["line 2", "down is -2"]),
        ("a,0,1,2\na,inf,1,2\n", "vm,time_s,up,down", ["line 3", "time_s is inf"]),
        ("a,1,1,2\nb,0,1,2\na,0,1,2\n", "vm,time_s,up,down", ["line 4", "backwards for a"]),
        ("a,0,x,2\n", "vm,time_s,up,down", ["line 2", "x"]),
        ("", "vm,time_s,up,down", ["no rows"]),
    ],
)
def test_bad_trace_is_refused_with_file_and_line(
    tmp_path: Path, rows: str, header: str, words: list[str]
) -> None:
    path = csv(tmp_path, rows, header)
    error = refused("replay", path)
    assert str(path) in error
    assert all(word in error for word in words), error


def test_truncated_parquet_is_refused(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.parquet", tmp_path / "cut.parquet"
    n = 1000
    table = pa.table({"vm": ["a"] * n, "time_s": range(n), "up": [1.0] * n, "down": [1.0] * n})
    pq.write_table(table, whole)
    cut.write_bytes(whole.read_bytes()[:-200])
    error = refused("replay", cut)
    assert str(cut) in error
    assert "truncated" in error


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["--vms", "0"], "--vms"),
        (["--vms", "257"], "257 VMs"),
        (["--scale", "0"], "scale 0"),
        (["--scale", "-1"], "scale -1"),
        (["--scale", "nan"], "scale nan"),
        (["--scale", "inf"], "scale inf"),
        (["--scale", "1e300"], "too large"),
        (["--seed", "-1"], "--seed"),
        (["--out", "/nowhere/report.json"], "/nowhere"),
        (["--out", "/tmp"], "is a folder"),
        (["--plot", "report.txt"], ".png"),
    ],
    ids=" ".join,
)
def test_impossible_replays_are_refused_before_they_start(
    trace: Path, args: list[str], word: str
) -> None:
    assert word in refused("replay", trace, *args)


def test_plot_without_matplotlib_names_the_cure(
    trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fabcore.replay_plot.find_spec", lambda name: None)
    done = CliRunner().invoke(app, ["replay", str(trace), "--plot", "x.png"])
    assert done.exit_code == 2
    assert "pip install 'fabcore[plot]'" in done.stderr


def test_bad_topology_is_refused_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(Topology.default().dumps().replace("gen = 5", "gen = 9", 1))
    line = path.read_text().splitlines().index("gen = 9") + 1
    for args in (["emulate", "--shm", "x"], ["emulate", "--print-topology"]):
        assert f"{path}:{line}: " in refused(*args, "--topology", path)


def test_print_topology_writes_a_file_that_gives_the_same_node(tmp_path: Path) -> None:
    done = fabcore("emulate", "--print-topology")
    assert done.returncode == 0
    path = tmp_path / "node.toml"
    path.write_text(done.stdout)
    assert Topology.load(path) == Topology.default()
    again = fabcore("emulate", "--print-topology", "--topology", path, "--json")
    assert json.loads(again.stdout) == {"topology": Topology.default().dumps()}


def test_doctor_reports_checks_and_strict_decides_the_status() -> None:
    done = fabcore("doctor", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    checks = json.loads(done.stdout)["checks"]
    assert all(set(check) == {"name", "ok", "detail", "fix"} for check in checks)
    assert {"python", "layout", "shared memory", "numba cache"} <= {c["name"] for c in checks}
    bad = [check["name"] for check in checks if not check["ok"]]
    assert all(check["fix"] for check in checks if not check["ok"])
    strict = fabcore("doctor", "--strict")
    assert strict.returncode == (1 if bad else 0)
    assert all(f"FAIL {name}" in strict.stdout for name in bad)


def test_doctor_finds_what_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("fabcore.doctor._SHM", tmp_path / "none")
    monkeypatch.setitem(__import__("fabcore.doctor").doctor._OLDEST, "numpy", (99, 0))
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/proc/nowhere")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    done = CliRunner().invoke(app, ["doctor", "--json", "--strict"])
    assert done.exit_code == 1
    checks = {c["name"]: c for c in json.loads(done.stdout)["checks"]}
    assert not checks["shared memory"]["ok"]
    assert not checks["numba cache"]["ok"]
    assert "NUMBA_CACHE_DIR" in checks["numba cache"]["fix"]
    assert checks["numpy"]["fix"] == "pip install 'numpy>=99.0'"


def test_warm_prepares_every_module_that_has_kernels() -> None:
    done = fabcore("warm", "--json")
    assert done.returncode == 0, done.stderr
    names = [kernel["name"] for kernel in json.loads(done.stdout)["kernels"]]
    package = Path(__import__("fabcore").__file__).parent
    with_kernels = [p for p in package.rglob("*.py") if "\n@njit(" in p.read_text()]
    assert with_kernels
    for path in with_kernels:
        module = ".".join(path.relative_to(package.parent).with_suffix("").parts)
        assert any(name.startswith(f"{module}.") for name in names), module


def test_a_reader_that_leaves_ends_the_command_quietly() -> None:
    with started("emulate", "--print-topology") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


# -- what needs the compiled core ------------------------------------------------------------


@needs_core
def test_flags_for_embedders_name_what_is_there() -> None:
    flags = fabcore("--cflags", "--libs").stdout.split()
    include, folder = flags[0], next(f for f in flags if f.startswith("-L"))
    assert Path(include.removeprefix("-I"), "fabcore.h").is_file()
    assert Path(folder.removeprefix("-L"), "libfabcore.so").is_file()
    assert f"-Wl,-rpath,{folder.removeprefix('-L')}" in flags


@needs_core
@pytest.mark.parametrize(
    "target", ["shm:nobody-runs-this", "shm:", "nonsense", "/dev/null", "vfio:x", "uio:999"]
)
def test_unknown_targets_are_refused(target: str) -> None:
    assert refused("run", "--node", target, "--ticks", "1")


@needs_core
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_emulate_ends_with_a_signal_and_leaves_no_file(number: int) -> None:
    name = f"fabcore-test-{os.getpid()}-{number}"
    with started("emulate", "--shm", name) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready")
        assert len(list((SHM / name).iterdir())) >= 4
        process.send_signal(number)
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    assert not (SHM / name).exists()


@needs_core
def test_a_second_node_of_the_same_name_is_refused_and_harms_nothing() -> None:
    name = f"fabcore-test-{os.getpid()}-twice"
    with started("emulate", "--shm", name, "--json") as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        target = f"shm:{name}"
        assert ready == {"event": "ready", "target": target, "ways": [target], "switches": 4}
        assert name in refused("emulate", "--shm", name)
        assert (SHM / name).exists()
        process.terminate()
        assert process.wait(30) == 0


@needs_core
def test_run_controls_a_node_of_another_process_and_leaves_it_free(trace: Path) -> None:
    name = f"fabcore-test-{os.getpid()}-run"
    args = ["run", "--node", f"shm:{name}", "--source", trace, "--rate", 100, "--ticks", 40]
    with started("emulate", "--shm", name) as process:
        assert process.stdout is not None
        process.stdout.readline()
        done = [fabcore(*args, "--json") for _ in range(2)]
        process.terminate()
        assert process.wait(30) == 0
    for one in done:
        assert one.returncode == 0, one.stderr
        last = json.loads(one.stdout.splitlines()[-1])
        assert last["tick"] == 40
        assert {vm["name"] for vm in last["vms"]} == {"a", "b"}
        assert all(vm["demand"]["up"] > 1e8 for vm in last["vms"])


@needs_core
def test_run_ends_with_its_trace_and_moves_what_it_says(trace: Path) -> None:
    begin = time.monotonic()
    done = fabcore("run", "--source", trace, "--rate", 200, "--json")
    assert time.monotonic() - begin < 60
    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["source"].startswith(f"{trace}, step 3 of 3")
    total = sum(vm["delivered"]["up"] for vm in last["vms"])
    assert total == pytest.approx(2 * 2e9, rel=0.4), "two VMs, 2 GB/s each on average"
    assert {event["vm"] for event in last["events"] if event["event"] == "vm_added"} == {"a", "b"}


@needs_core
def test_run_without_a_terminal_prints_lines_and_stops_on_a_signal() -> None:
    with started("run", "--rate", 50) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        assert "VMs" in first, process.stderr.read()
        assert "tick p50" in first
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert "Traceback" not in process.stderr.read()


@needs_core
def test_run_on_a_terminal_draws_the_live_view_and_gives_the_screen_back(trace: Path) -> None:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
    command = [sys.executable, "-m", "fabcore", "run", "--source", str(trace), "--rate", "100"]
    seen = b""
    with subprocess.Popen(command, stdout=slave, stderr=subprocess.PIPE, env=TERMINAL) as process:
        os.close(slave)
        with contextlib.suppress(OSError):  # EIO: the other end has closed
            while part := os.read(master, 1 << 16):
                seen += part
        os.close(master)
        assert process.wait(60) == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", seen.decode())  # without colours
    step = re.search(r"step \d of 3", text)
    assert step is not None
    assert text.index("\x1b[?1049h") < step.start() < text.rindex("\x1b[?1049l")
    assert all(word in text for word in ("module", "prediction", "m0 h0", "vm_added"))
    assert "2 VMs" in text[text.rindex("\x1b[?1049l") :], "the last word stays on the screen"


def test_the_log_stays_off_a_terminal_that_shows_the_view(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log, shown = logging.getLogger("fabcore.events"), []
    monkeypatch.setattr(logging.lastResort, "handle", lambda record: shown.append(record.msg))
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    log.warning("before")
    with quiet_log():
        log.warning("within")
    log.warning("after")
    assert shown == ["before", "after"]


@needs_core
def test_run_leaves_nothing_in_shared_memory(trace: Path) -> None:
    before = set(SHM.iterdir())
    assert fabcore("run", "--source", trace, "--ticks", 5).returncode == 0
    left = {path for path in set(SHM.iterdir()) - before if path.name.startswith("fabcore-")}
    assert not {path for path in left if "test" not in path.name}


@needs_core
def test_replay_that_is_interrupted_ends_cleanly_without_a_report(tmp_path: Path) -> None:
    rows = "".join(f"a,{k},1e9,1e9\n" for k in range(20_000))
    out = tmp_path / "report.json"
    args = ("replay", csv(tmp_path, rows), "--vms", 64, "--policy", "adaptive", "--out", out)
    with started(*args) as process:
        assert process.stderr is not None
        assert "63 phase-shifted replicas" in process.stderr.readline()
        time.sleep(0.5)
        process.terminate()
        assert process.wait(60) == 0
        assert "Traceback" not in process.stderr.read()
    assert not out.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["trace.csv"]


def test_a_signal_that_a_callback_swallowed_works_the_second_time() -> None:
    with base.signals():
        with contextlib.suppress(base.Stopped):
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(base.Stopped):
            signal.raise_signal(signal.SIGTERM)
        with base.until_stopped() as stop:
            assert stop.wait(60.0), "it was asked to stop before"
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
