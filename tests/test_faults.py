"""The fault script: checked whole, played at exact times, and survived by the controller."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

import fabcore
from fabcore.faults import KINDS, MOST, ScriptFault, load_faults, parse_faults
from fabcore.topology import Topology

LINK = fabcore.pcie.payload_rate(5, 16)
NODE = Topology.default()


def entry(**keys: object) -> str:
    return "[[fault]]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in keys.items())


def test_every_kind_of_the_script_is_one_that_the_node_knows() -> None:
    with fabcore.ResourceNode.emulated() as node, pytest.raises(fabcore.FabricError) as refused:
        node.fault(0, "rust")
    assert set(KINDS) == set(str(refused.value).split("use one of ")[1].split(", "))


def test_faults_are_read_in_order_of_time() -> None:
    text = (
        entry(at_s=2, kind="gone", switch=3, for_s=0.5)
        + entry(at_s=1.5, kind="link-down", port=8)
        + entry(at_s=3, kind="all-ones", port=0, for_s=0.002)
        + entry(at_s=4, kind="fatal", port=16, count=13)
    )
    assert parse_faults(text, "x", NODE) == (
        ScriptFault(1.5, "link-down", 0, 8),
        ScriptFault(2.0, "gone", 3, 0, 1, 0.5),
        ScriptFault(3.0, "all-ones", 0, 0, 2000),
        ScriptFault(4.0, "fatal", 0, 16, 13),
    )


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("at_s = ", 1, "not TOML"),
        ("", 1, "[[fault]]"),
        ("[[faults]]\n", 1, "unknown table 'faults'"),
        (entry(at_s=1, kind="rust", port=0), 3, "use one of link-down"),
        (entry(kind="gone"), 1, "lacks at_s"),
        (entry(at_s=-1, kind="gone"), 2, "at_s must be from 0"),
        (entry(at_s="1", kind="gone"), 2, "a number of seconds"),
        ("[[fault]]\nat_s = nan\nkind = 'gone'\n", 2, "at_s must be from 0"),
        (entry(at_s=True, kind="gone"), 2, "a number of seconds"),
        (entry(at_s=1, kind="link-down"), 1, "lacks port"),
        (entry(at_s=1, kind="gone", port=8), 4, "leave it out"),
        (entry(at_s=1, kind="link-down", port=9), 4, "switch 0 has 0, 8, 16"),
        (entry(at_s=1, kind="removed", port=16), 4, "no module port"),
        (entry(at_s=1, kind="link-down", switch=4, port=8), 4, "switches 0 to 3"),
        (entry(at_s=1, kind="link-down", port=64), 4, "0 to 63"),
        (entry(at_s=1, kind="link-down", port=8, count=2), 5, "takes none"),
        (entry(at_s=1, kind="width", port=8, count=17), 5, "from 0 to 16"),
        (entry(at_s=1, kind="correctable", port=8, count=1), 5, "a bit of its AER status"),
        (entry(at_s=1, kind="inserted", port=8, for_s=1), 5, "does not last"),
        (entry(at_s=1, kind="link-down", port=8, for_s=0), 5, "above 0"),
        (entry(at_s=1, kind="width", port=8, count=0, for_s=1), 6, "cannot last"),
        (entry(at_s=1, kind="all-ones", port=8, count=5, for_s=1), 1, "not both"),
        (entry(at_s=1, kind="gone") + entry(at_s=1, kind="gone", speed=3), 7, "unknown key"),
        (entry(at_s=1, kind="gone", for_s=1) * (MOST // 2 + 1), 2049, "remembers 1024"),
    ],
)
def test_a_bad_script_is_refused_with_its_line_and_what_is_allowed(
    text: str, line: int, words: str
) -> None:
    with pytest.raises(fabcore.FabricError) as refused:
        parse_faults(text, "day.toml", NODE)
    assert str(refused.value).startswith(f"day.toml:{line}: ")
    assert words in str(refused.value)


def test_a_script_is_played_at_exact_times_counted_from_when_it_is_loaded(tmp_path: Path) -> None:
    script = tmp_path / "day.toml"
    script.write_text(
        entry(at_s=0.1, kind="link-down", port=0, for_s=0.063)
        + entry(at_s=0.25, kind="width", port=0, count=4, for_s=0.1)
    )
    with fabcore.ResourceNode.emulated() as node, fabcore.Controller(node) as ctl:
        ctl.add_vm("vm", host=0, module=0)
        node.offer("vm", 1e9, 0.0)
        node.set_step(1.0)
        node.advance(0.5)
        assert node.play_faults(script) == 2
        node.advance(0.1 + 0.063 + 0.037)  # down, then 37 ms of training
        assert node.delivered("vm")[0] == pytest.approx(0.6e9, abs=2)
        node.advance(0.01)
        assert node.delivered("vm")[0] == pytest.approx(0.71e9, abs=2)  # nothing was lost
        node.advance(0.09)
        state = node.module_state(0)
        assert (state["neg_lanes"], state["neg_gen"], state["link_up"]) == (4, 5, True)
        node.advance(0.1)
        assert node.module_state(0)["neg_lanes"] == 16
    with pytest.raises(fabcore.FabricError, match="No such file"):
        load_faults(tmp_path / "nowhere.toml")


def test_a_bad_script_leaves_a_running_node_alone(tmp_path: Path) -> None:
    script = tmp_path / "day.toml"
    script.write_text(entry(at_s=0, kind="gone") + entry(at_s=1, kind="link-down", port=9))
    with fabcore.ResourceNode.emulated() as node:
        with pytest.raises(fabcore.FabricError, match=r"day\.toml:7: port 0:9"):
            node.play_faults(script)
        node.advance(0.1)
        assert node.chassis.switches[0].ports()


def test_faults_refuse_what_is_not_there() -> None:
    with fabcore.ResourceNode.emulated() as node:
        with pytest.raises(fabcore.TopologyError, match="1:9"):
            node.fault(1, "link-down", 9)
        with pytest.raises(fabcore.TopologyError, match="no module's"):
            node.fault(1, "removed", 16)
        with pytest.raises(fabcore.FabricError, match="a count of 99 is impossible"):
            node.fault(1, "fatal", 8, 99)
        with pytest.raises(fabcore.TopologyError, match="module 8"):
            node.module_state(8)


def test_emulate_plays_a_script_in_real_time(tmp_path: Path) -> None:
    script, name = tmp_path / "day.toml", f"faults-{uuid.uuid4().hex[:8]}"
    command = [sys.executable, "-m", "fabcore", "emulate", "--shm", name, "--faults", str(script)]
    script.write_text(entry(at_s=0.2, kind="rust", port=8))
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert f"{script}:3: kind 'rust'" in done.stderr
    script.write_text(entry(at_s=0.2, kind="link-down", port=16))
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("ready")
            with fabcore.ResourceNode.open(f"shm:{name}") as node:
                switch = node.chassis.switches[0]
                for _ in range(200):
                    up = {p["port"]: p["up"] for p in switch.ports()}
                    if not up[16]:
                        break
                    node.advance(0.05)
                assert not up[16] and up[24]
                assert 16 in switch.link_events()
        finally:
            process.terminate()
            process.wait(30)


# -- what the controller makes of it -----------------------------------------------------------


def test_a_module_that_comes_back_is_told_what_it_forgot() -> None:
    with fabcore.ResourceNode.emulated(seed=1) as node, fabcore.Controller(node) as ctl:
        for module in range(1, 8):  # no other module has room: the VMs stay where they are
            ctl.add_vm(f"full{module}", host=1, module=module, share=1.0)
        for k, weight in enumerate((1.0, 3.0)):
            ctl.add_vm(f"vm{k}", host=0, module=0, share=0.5, weight=weight)
            node.offer(f"vm{k}", 60e9, 0.0)
        ctl.run(rate_hz=1000, seconds=0.05)
        switch, function = node.chassis.switches[0], node.vms.get("vm1").function
        table = switch.function_table(0).tolist()
        node.fault(0, "removed", 0)
        ctl.run(rate_hz=1000, seconds=0.05)
        assert ctl.events.counts["vm_stranded"] == 2
        node.fault(0, "inserted", 0)
        ctl.run(rate_hz=1000, seconds=0.06)
        assert ctl.events.counts["port_up"] == 1
        again = switch.function_table(0).tolist()
        assert again.count(function.group) == pytest.approx(table.count(function.group), abs=1)
        before = [node.delivered(f"vm{k}")[0] for k in range(2)]
        ctl.run(rate_hz=1000, seconds=0.2)
        moved = [node.delivered(f"vm{k}")[0] - before[k] for k in range(2)]
        assert sum(moved) == pytest.approx(LINK * 0.2, rel=0.01)
        assert moved[1] / sum(moved) == pytest.approx(0.75, abs=0.02)


def test_a_narrowed_link_is_seen_and_divided_as_what_it_is() -> None:
    with fabcore.ResourceNode.emulated() as node, fabcore.Controller(node) as ctl:
        ctl.add_vm("vm", host=0, module=0)
        ctl.run(rate_hz=1000, seconds=0.05)
        node.fault(0, "width", 16, 4)
        ctl.run(rate_hz=1000, seconds=0.05)
        x4 = fabcore.pcie.payload_rate(5, 4)
        assert node.get_available_bandwidth(0) == pytest.approx(x4)
        node.fault(0, "width", 16, 0)
        ctl.run(rate_hz=1000, seconds=0.05)
        assert node.get_available_bandwidth(0) == pytest.approx(LINK)
