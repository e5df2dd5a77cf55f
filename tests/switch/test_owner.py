"""One controller at a time: the second is refused by name, a dead one is replaced."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

import fabcore


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FABCORE_RUN", str(tmp_path))
    return tmp_path


@pytest.fixture
def shared() -> Iterator[str]:
    name = f"fabcore-test-{uuid.uuid4().hex[:8]}"
    command = [sys.executable, "-m", "fabcore", "emulate", "--shm", name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as emulate:
        assert emulate.stdout is not None
        assert emulate.stdout.readline().startswith("ready")
        yield f"shm:{name}"
        emulate.terminate()


def test_commands_of_two_processes_do_not_mix(shared: str) -> None:
    code = (
        "import fabcore, sys\n"
        "s = fabcore.Switch(fabcore.Bar.open(sys.argv[1] + '/0'))\n"
        "for k in range(2000):\n"
        "    word = (k * 2654435761 + int(sys.argv[2])) & 0xFFFFFFFF\n"
        "    reply = s.mrpc(0x100, word.to_bytes(4, 'little'), 8)\n"
        "    assert int.from_bytes(reply[4:], 'little') == word ^ 0xFFFFFFFF, k\n"
    )
    others = [subprocess.Popen([sys.executable, "-c", code, shared, str(k)]) for k in range(2)]
    assert [other.wait(60) for other in others] == [0, 0]


def test_who_keeps_the_mailbox_is_named(folder: Path) -> None:
    image = bytearray(1 << 22)
    image[0x800 + 4] = 1  # a firmware that is at a command for ever
    image[0x2000:0x2002] = (0x5200).to_bytes(2, "little")
    (folder / "image").write_bytes(image)
    code = (
        "import fabcore, sys\n"
        "s = fabcore.Switch(fabcore.Bar.open(sys.argv[1]))\n"
        "s.set_timeout(60)\n"
        "s.mrpc(0x100, b'', 8)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(folder / "image")]) as other:
        switch = fabcore.Switch(fabcore.Bar.open(str(folder / "image")))
        while not switch.bar.read32(0x800):
            time.sleep(0.01)
        switch.set_timeout(0.1)
        with pytest.raises(fabcore.FirmwareError, match=f"process {other.pid} is inside") as error:
            switch.mrpc(0x100, b"", 8)
        assert (error.value.end, error.value.code) == ("busy", other.pid)
        with pytest.raises(fabcore.FirmwareError, match=f"process {other.pid} is inside"):
            switch.temperature()
        other.kill()


def run(target: str, *more: str) -> list[str]:
    return [sys.executable, "-m", "fabcore", "run", "--node", target, *more]


def test_the_second_controller_is_refused_and_told_who_the_first_is(shared: str) -> None:
    with subprocess.Popen(run(shared, "--json"), stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        first.stdout.readline()
        second = subprocess.run(run(shared, "--ticks", "2"), capture_output=True, text=True)
        assert second.returncode == 1
        assert second.stderr.count("\n") == 1
        assert f"'fabcore run' (pid {first.pid}) owns this switch since 2" in second.stderr
        with pytest.raises(fabcore.OwnerError) as refused:
            fabcore.ResourceNode.open(shared)
        assert (refused.value.pid, refused.value.name) == (first.pid, "fabcore run")
        assert abs(refused.value.since_ns / 1e9 - time.time()) < 60
        with fabcore.Bar.open(f"{shared}/0") as bar:  # reading registers is free
            assert fabcore.Switch(bar).owner()["pid"] == first.pid
        first.kill()
        first.wait()
    with fabcore.ResourceNode.open(shared) as node, fabcore.Controller(node) as ctl:
        replaced = [e for e in ctl.events if e.kind == "owner_replaced"]
        assert [e.detail["switch"] for e in replaced] == [0, 1, 2, 3]
        assert {e.detail["pid"] for e in replaced} == {first.pid}
        ctl.tick()
    assert subprocess.run(run(shared, "--ticks", "2"), check=False).returncode == 0


def test_refusal_of_one_switch_leaves_none_owned(shared: str, folder: Path) -> None:
    with fabcore.Bar.open(f"{shared}/2") as bar:
        third = fabcore.Switch(bar)
        third.own("only this one")
        with pytest.raises(fabcore.OwnerError, match=r"/2: 'only this one'"):
            fabcore.ResourceNode.open(shared)
        assert len(list(folder.iterdir())) == 1
        third.close()
    assert list(folder.iterdir()) == []


def test_a_lease_that_ran_out_is_lost_and_said_once(shared: str) -> None:
    with fabcore.ResourceNode.open(shared, owner=None) as node:
        node.chassis.owner.take("slow", lease_s=0.2)
        with fabcore.Controller(node) as ctl:
            ctl.add_vm("a", host=0, module=0)
            ctl.tick()
            time.sleep(0.4)
            with fabcore.Bar.open(f"{shared}/1") as bar:
                eager = fabcore.Switch(bar)
                assert eager.own("eager")["name"] == "slow"
                for _ in range(3):
                    ctl.tick()
                lost = [e for e in ctl.events if e.kind == "owner_lost"]
                assert [e.detail["to"] for e in lost] == ["eager"]
                with pytest.raises(fabcore.OwnerError, match="lease ran out, and 'eager'"):
                    node.chassis.switches[1].load_port_table(16, bytes([8]) * 128)
                assert eager.owner()["mine"]
                eager.close()


def test_an_in_process_node_that_is_shared_has_the_same_owner(folder: Path) -> None:
    name = f"fabcore-test-{uuid.uuid4().hex[:8]}"
    with fabcore.ResourceNode.emulated(realtime=True, shm=name) as node:
        with fabcore.Controller(node), pytest.raises(fabcore.OwnerError, match="Controller"):
            fabcore.ResourceNode.open(f"shm:{name}")
        assert len(list(folder.iterdir())) == 4
    assert list(folder.iterdir()) == []
    with fabcore.ResourceNode.emulated() as node, fabcore.Controller(node):
        assert list(folder.iterdir()) == []  # nobody else can reach it


def test_names_and_leases_are_checked(shared: str) -> None:
    with fabcore.Bar.open(f"{shared}/0") as bar:
        switch = fabcore.Switch(bar)
        assert switch.owner() is None
        for name in ("", "x" * 48, "a\0b"):
            with pytest.raises(fabcore.FabricError, match="1 to 47 bytes"):
                switch.own(name)
        with pytest.raises(fabcore.FabricError, match=r"not in 0\.1 to 86400"):
            switch.own("x", 0.0)
        assert switch.own("x") is None
        switch.renew()
        switch.disown()
        assert switch.owner() is None
        switch.close()
