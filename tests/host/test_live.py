"""The live source on this machine's own /proc and on trees of files in the kernel's formats."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fabcore.errors import FabricError
from fabcore.host.live import LiveCollector, Sample

V1 = "cgroup /sys/fs/cgroup/blkio cgroup rw,relatime,blkio 0 0\n"
V2 = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"
TREE_V1 = "8:0 Read {0}\n8:0 Write {1}\n8:0 Sync 7\n8:0 Async 7\n8:0 Total 99\nTotal 99\n"


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def put_process(
    root: Path, pid: int, up: int, down: int, *, comm: str = "job", parent: int = 1, flags: int = 0
) -> None:
    put(root / f"proc/{pid}/stat", f"{pid} ({comm}) S {parent} 1 1 0 -1 {flags} 90 0 0 0 1 1\n")
    put(
        root / f"proc/{pid}/io",
        f"rchar: 9\nwchar: 9\nsyscr: 1\nsyscw: 1\nread_bytes: {up}\n"
        f"write_bytes: {down}\ncancelled_write_bytes: 5\n",
    )


def put_interface(
    root: Path, name: str, rx: int, tx: int, *, kind: int = 1, real: bool = True
) -> None:
    base = root / "sys/class/net" / name
    put(base / "type", f"{kind}\n")
    put(base / "statistics/rx_bytes", f"{rx}\n")
    put(base / "statistics/tx_bytes", f"{tx}\n")
    if real:
        (base / "device").mkdir()


def put_device(root: Path, device: str, slaves: list[str]) -> None:
    folder = root / "sys/dev/block" / device / "slaves"
    folder.mkdir(parents=True)
    for slave in slaves:
        (folder / slave).mkdir()


def put_mounts(root: Path, text: str) -> None:
    put(root / "proc/self/mounts", "proc /proc proc rw 0 0\n" + text)


def values(sample: Sample) -> dict[str, tuple[int, int]]:
    pairs = zip(sample.up_bytes.tolist(), sample.down_bytes.tolist(), strict=True)
    return dict(zip(sample.names, pairs, strict=True))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    put_mounts(tmp_path, "")
    return tmp_path


def test_groups_of_version_1_count_reads_up_and_writes_down(root: Path) -> None:
    put_mounts(root, V1)
    top = root / "sys/fs/cgroup/blkio"
    file = "blkio.throttle.io_service_bytes"
    put(top / file, TREE_V1.format(999, 999))
    put(top / "machine/one" / file, TREE_V1.format(4096, 512))
    put(top / "machine" / file, TREE_V1.format(5, 0))
    put(top / "idle" / file, "Total 0\n")
    live = LiveCollector(root=root)
    assert live.kind == "cgroup"
    assert values(live.sample()) == {"machine/one": (4096, 512), "machine": (5, 0)}
    assert "control groups (version 1" in live.describe()
    assert "standing in for PCIe" in live.describe()


def test_groups_of_version_2_are_leaves_and_no_byte_counts_twice(root: Path) -> None:
    put_mounts(root, "cgroup2 /sys/fs/cgroup\\0402 cgroup2 rw 0 0\n")
    top = root / "sys/fs/cgroup 2"
    put(top / "cgroup.controllers", "cpu io memory\n")
    lines = "8:0 rbytes=100 wbytes=10 rios=1 wios=1 dbytes=0 dios=0\n253:0 rbytes=100 wbytes=10\n259:1\n"
    put(top / "system.slice/io.stat", lines)
    put(top / "system.slice/web.service/io.stat", lines)
    put(top / "system.slice/none.service/cgroup.procs", "")
    put_device(root, "8:0", [])
    put_device(root, "253:0", ["sda"])  # a volume on 8:0: the same bytes once more
    live = LiveCollector("cgroup", root=root)
    assert values(live.sample()) == {"system.slice/web.service": (100, 10)}


def test_groups_come_and_go(root: Path) -> None:
    put_mounts(root, V2)
    top = root / "sys/fs/cgroup"
    put(top / "cgroup.controllers", "io\n")
    put(top / "a/io.stat", "8:0 rbytes=1 wbytes=2\n")
    live = LiveCollector(root=root)
    assert live.sample().names == ["a"]
    put(top / "b/io.stat", "8:0 rbytes=3 wbytes=4\n")
    assert sorted(live.sample().names) == ["a", "b"]
    (top / "a/io.stat").unlink()
    (top / "a").rmdir()
    assert live.sample().names == ["b"]


@pytest.mark.parametrize("mounts", [V1, V2, ""])
def test_silent_groups_fall_through_to_processes_and_say_so(root: Path, mounts: str) -> None:
    put_mounts(root, mounts)
    put(root / "sys/fs/cgroup/blkio/pod/blkio.throttle.io_service_bytes", "Total 0\n")
    put(root / "sys/fs/cgroup/cgroup.controllers", "io\n")
    put_process(root, 40, 7, 8)
    live = LiveCollector(root=root)
    assert live.kind == "process"
    assert values(live.sample()) == {"job:40": (7, 8)}
    assert ("all counters are zero" if mounts else "no mounted hierarchy") in live.describe()
    assert "\n" not in live.describe()


def test_processes_and_devices_stand_side_by_side(root: Path) -> None:
    put_process(root, 40, 100, 200, comm="a (b) c")
    put_process(root, 41, 0, 0)
    put_process(root, 2, 5, 5, comm="kworker/0:1", flags=0x00200040)
    put_interface(root, "eth0", 11, 22)
    put_interface(root, "br0", 11, 22, real=False)
    put_interface(root, "lo", 33, 33, kind=772, real=False)
    put(root / "sys/class/net/bonding_masters", "\n")
    live = LiveCollector(root=root)
    assert values(live.sample()) == {"a (b) c:40": (100, 200), "net:eth0": (11, 22)}


def test_an_idle_machine_still_shows_its_processes(root: Path) -> None:
    put_process(root, 41, 0, 0)
    put_interface(root, "eth0", 0, 0)
    assert sorted(LiveCollector(root=root).sample().names) == ["job:41", "net:eth0"]


def test_a_childs_bytes_do_not_count_again_when_its_parent_inherits_them(root: Path) -> None:
    put_process(root, 10, 1000, 0, comm="make")
    put_process(root, 11, 500, 70, comm="cc", parent=10)
    live = LiveCollector(root=root)
    assert values(live.sample()) == {"make:10": (1000, 0), "cc:11": (500, 70)}
    for name in ("stat", "io"):
        (root / "proc/11" / name).unlink()
    # The kernel adds the child's 540 and 70; 25 are the parent's own. It may do so a little late.
    assert values(live.sample()) == {"make:10": (1000, 0)}
    put_process(root, 10, 1565, 70, comm="make")
    assert values(live.sample()) == {"make:10": (1065, 0)}
    put_process(root, 10, 2000, 80, comm="make")
    assert values(live.sample()) == {"make:10": (1500, 10)}


def test_a_process_id_that_is_used_again_is_another_instance(root: Path) -> None:
    put_process(root, 10, 1000, 10, comm="old")
    live = LiveCollector(root=root)
    assert live.sample().names == ["old:10"]
    put_process(root, 10, 3, 4, comm="new")
    assert values(live.sample()) == {"new:10": (3, 4)}


def test_what_may_not_be_read_is_counted_and_not_fatal(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_process(root, 10, 1, 1)
    put_process(root, 11, 1, 1)
    opened = os.open

    def deny(path: str, *rest: int) -> int:  # root may read everything, so modes would not do
        if path.endswith("11/io"):
            raise PermissionError(13, "Permission denied")
        return opened(path, *rest)

    monkeypatch.setattr(os, "open", deny)
    live = LiveCollector(root=root)
    for _ in range(3):
        assert live.sample().names == ["job:10"]
        assert live.unreadable == 1


def test_a_process_that_vanishes_while_it_is_read_is_just_gone(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_process(root, 10, 1, 1)
    put_process(root, 11, 1, 1)
    live = LiveCollector(root=root)
    assert len(live.sample().names) == 2
    read = os.read

    def vanish(fd: int, size: int) -> bytes:  # what the kernel says once the task is reaped
        if os.readlink(f"/proc/self/fd/{fd}").endswith("11/io"):
            raise ProcessLookupError(3, "No such process")
        return read(fd, size)

    monkeypatch.setattr(os, "read", vanish)
    assert live.sample().names == ["job:10"]
    assert live.unreadable == 0


def test_no_more_than_max_instances_are_shown(root: Path) -> None:
    for pid in range(10, 40):
        put_process(root, pid, pid, 0)
    sample = LiveCollector(root=root, max_instances=5).sample()
    assert sorted(sample.names) == [f"job:{pid}" for pid in range(35, 40)]


def test_an_unknown_kind_and_a_kind_that_is_not_here_are_refused(root: Path) -> None:
    with pytest.raises(FabricError, match="'vmware' is not one of auto, libvirt"):
        LiveCollector("vmware", root=root)
    with pytest.raises(FabricError, match="no mounted hierarchy"):
        LiveCollector("cgroup", root=root)
    with pytest.raises(FabricError, match="no libvirt socket"):
        LiveCollector("libvirt", root=root)
    with pytest.raises(FabricError, match="max_instances is 0"):
        LiveCollector(root=root, max_instances=0)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    code = (
        "import os, sys\n"
        "for line in sys.stdin:\n"
        "    with open(sys.argv[1], 'wb') as f:\n"
        "        f.write(os.urandom(int(line))); f.flush(); os.fsync(f.fileno())\n"
        "    print('done', flush=True)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "data")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield child
    child.kill()
    child.communicate()


def ask(child: subprocess.Popen[str], size: int) -> None:
    assert child.stdin and child.stdout
    child.stdin.write(f"{size}\n")
    child.stdin.flush()
    assert child.stdout.readline() == "done\n"


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="no I/O accounting in this kernel")
def test_bytes_that_a_real_process_writes_are_counted(writer: subprocess.Popen[str]) -> None:
    live = LiveCollector("process", max_instances=10_000)
    ask(writer, 1 << 20)
    before = {n: v for n, v in values(live.sample()).items() if n.endswith(f":{writer.pid}")}
    if not before:
        pytest.skip("the temporary folder is not on a storage device")
    ask(writer, 3 << 20)
    sample = live.sample()
    assert abs(sample.time_ns - time.time_ns()) < 10**10
    (name,) = before
    assert values(sample)[name][1] - before[name][1] >= 3 << 20
    writer.kill()
    writer.wait()
    assert name not in live.sample().names


def test_sampling_this_machine_leaks_no_file() -> None:
    live = LiveCollector()
    live.sample()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        live.sample()
    assert len(os.listdir("/proc/self/fd")) == before
