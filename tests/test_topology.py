"""A topology round-trips through its file, routes as documented and refuses what cannot be built."""

from __future__ import annotations

import dataclasses
import itertools
import tomllib
from pathlib import Path

import numpy as np
import pytest

from fabcore import pcie
from fabcore.errors import TopologyError
from fabcore.topology import Link, ModuleSpec, Port, SwitchSpec, Topology

NODE = Topology.default()
TEXT = NODE.dumps()


def chain(switches: int, loop: bool = False) -> Topology:
    """One module on the first switch, one host on the last, switches in a row."""
    fabric = [(k, p) for k in range(switches) for p in (32, 40)]
    links = [Link((k, 32), (k + 1, 40)) for k in range(switches - 1)]
    if loop:
        links.append(Link((switches - 1, 32), (0, 40)))
    return Topology(
        "chain", 256, 512,
        tuple(SwitchSpec(k, 0x5284) for k in range(switches)),
        (
            Port(0, 0, "module", 0, 5, 16, "x16", 128),
            Port(switches - 1, 8, "host", 0, 5, 16, "x8x8", 64),
            *(Port(k, p, "fabric", 0, 4, 16, "x16", 32) for k, p in fabric),
        ),
        tuple(links), (ModuleSpec(0, "none", 0, 75.0),),
    )  # fmt: skip


def test_default_node_is_the_documented_one() -> None:
    assert [s.device_id for s in NODE.switches] == [0x5200] * 4
    for switch in range(4):
        ports = [p for p in NODE.ports if p.switch == switch]
        assert sum(p.lanes for p in ports) == 100
        assert [(p.port, p.kind) for p in ports] == [
            (0, "module"), (8, "module"), (16, "host"), (24, "host"),
            (32, "fabric"), (40, "fabric"), (48, "management"),
        ]  # fmt: skip
    assert [p.switch for p in NODE.module_ports] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert [p.switch for p in NODE.host_ports] == [0, 0, 1, 1, 2, 2, 3, 3]
    kinds = [m.arbitration for m in NODE.modules]
    assert kinds == ["mfvc"] * 3 + ["shaper"] * 3 + ["none"] * 2
    assert {(m.vfs, m.supply_w) for m in NODE.modules} == {(32, 350.0)}
    assert len(NODE.link_names) == len(NODE.capacity) == 40 == len(set(NODE.link_names))
    assert set(NODE.capacity) == {pcie.payload_rate(5, 16)}


@pytest.mark.parametrize("node", [NODE, chain(3)])
def test_file_round_trip_is_equal(node: Topology, tmp_path: Path) -> None:
    assert Topology.load(node.dumps()) == node
    file = tmp_path / "node.toml"
    file.write_text(node.dumps())
    assert Topology.load(file) == Topology.load(str(file)) == node


def test_the_file_has_the_documented_tables_and_keys() -> None:
    document = tomllib.loads(TEXT)
    assert set(document) == {"node", "switch", "port", "link", "module"}
    assert set(document["node"]) == {"name", "mps", "mrrs"}
    assert set(document["port"][0]) == {
        "switch", "port", "kind", "index", "gen", "lanes", "layout", "phases",
    }  # fmt: skip
    assert document["link"][0] == {"a": [0, 32], "b": [1, 40]}


def test_a_name_with_quotes_survives_the_file() -> None:
    odd = dataclasses.replace(NODE, name='rack "7" \\ slot é')
    assert Topology.load(odd.dumps()).name == odd.name


def test_up_path_goes_clockwise_and_down_path_is_its_reverse() -> None:
    names = NODE.link_names
    up = [names[k] for k in NODE.path_up(0, 4)]
    assert up == ["module up 0", "fabric 0:32 to 1:40", "fabric 1:32 to 2:40", "host up 4"]
    down = [names[k] for k in NODE.path_down(0, 4)]
    assert down == ["host down 4", "fabric 2:40 to 1:32", "fabric 1:40 to 0:32", "module down 0"]
    assert [names[k] for k in NODE.path_up(0, 7)] == [
        "module up 0", "fabric 0:40 to 3:32", "host up 7",
    ]  # fmt: skip


@pytest.mark.parametrize("node", [NODE, chain(1), chain(5), chain(6, loop=True)])
def test_every_hop_hands_over_to_the_next(node: Topology) -> None:
    for m, h in np.ndindex(len(node.module_ports), len(node.host_ports)):
        up, down = node.hops(m, h, "up"), node.hops(m, h, "down")
        assert [(x.switch, x.ingress_port, x.egress_port) for x in up] == [
            (x.switch, x.egress_port, x.ingress_port) for x in reversed(down)
        ]
        assert (up[0].ingress_port, up[-1].egress_port) == (
            node.module_ports[m].port,
            node.host_ports[h].port,
        )
        for path, hops in ((node.path_up(m, h), up), (node.path_down(m, h), down)):
            assert [x.link for x in hops] == list(path[1:])
            for x, y in itertools.pairwise(hops):
                assert node.peer[x.switch, x.egress_port] == (y.switch, y.ingress_port)
        assert node.distance(m, h) == len(up) - 1
        for x in up[:-1]:
            assert node.route_port[x.switch][up[-1].switch] == x.egress_port


def test_no_two_ends_share_a_directed_link_of_their_own() -> None:
    ends = [NODE.path_up(m, 0)[0] for m in range(8)] + [NODE.path_down(m, 0)[-1] for m in range(8)]
    ends += [NODE.path_up(0, h)[-1] for h in range(8)] + [NODE.path_down(0, h)[0] for h in range(8)]
    assert ends == list(range(32))


def test_path_arrays_hold_the_paths_padded() -> None:
    module, host = np.arange(8), np.array([0, 2, 4, 6, 1, 3, 5, 7])
    for way, rows in (("up", NODE.paths_up(module, host)), ("down", NODE.paths_down(module, host))):
        assert rows.dtype == np.int32 and rows.shape == (8, 4) and rows.flags.c_contiguous
        for m, h, row in zip(module, host, rows, strict=True):
            path = getattr(NODE, f"path_{way}")(int(m), int(h))
            assert tuple(row) == path + (-1,) * (4 - len(path))


def test_longer_chains_widen_the_path_arrays() -> None:
    assert chain(5).path_width == 6 == chain(5).paths_up([0], [0]).shape[1]
    assert chain(6, loop=True).path_width == 3


def test_a_link_runs_at_its_first_group_and_slower_generation() -> None:
    node = chain(2)
    rate = dict(zip(node.link_names, node.capacity, strict=True))
    assert rate["host up 0"] == rate["host down 0"] == pcie.payload_rate(5, 8)
    assert rate["fabric 0:32 to 1:40"] == pcie.payload_rate(4, 16)


@pytest.mark.parametrize(("module", "host"), [(8, 0), (-1, 0), (0, 8), (0, -1)])
def test_an_unknown_module_or_host_is_refused(module: int, host: int) -> None:
    for ask in (NODE.path_up, NODE.path_down, NODE.hops, NODE.distance):
        with pytest.raises(TopologyError, match="there is no"):
            ask(module, host)
    with pytest.raises(TopologyError, match="there is no"):
        NODE.paths_up([0, module], [0, host])


def port_entry(at: int, number: int, /, **changed: object) -> tuple[str, str]:
    """The text of one default port, and the same with keys changed (None removes a key)."""
    spec = NODE.port(at, number)
    values = {f.name: getattr(spec, f.name) for f in dataclasses.fields(spec)}

    def written(entry: dict[str, object]) -> str:
        rows = [f"{k} = {v!r}".replace("'", '"') for k, v in entry.items() if v is not None]
        return "\n".join(["[[port]]", *rows]) + "\n"

    return written(values), written({**values, **changed})


LINK = "[[link]]\na = [0, 32]\nb = [1, 40]\n"
MODULE = '[[module]]\nindex = 0\narbitration = "mfvc"\nvfs = 32\nsupply_w = 350.0\n'
BAD: list[tuple[str, str, str, str]] = [
    # what is wrong, text replaced, replacement, a word of the message
    ("odd width", *port_entry(0, 0, lanes=12), "lanes 12"),
    ("unknown layout", *port_entry(0, 0, layout="x2x14"), "layout"),
    ("layout wider than the port", *port_entry(0, 48, layout="x16"), "layout"),
    ("generation 0", *port_entry(0, 0, gen=0), "gen 0"),
    ("generation 7", *port_entry(0, 0, gen=7), "gen 7"),
    ("port used twice", *port_entry(0, 8, port=0), "used twice"),
    ("port id out of range", *port_entry(0, 8, port=64), "port ids"),
    ("unknown switch", *port_entry(0, 8, switch=4), "no switch 4"),
    ("module index twice", *port_entry(0, 8, index=0), "appears twice"),
    ("host index twice", *port_entry(0, 24, index=0), "appears twice"),
    ("module index with a gap", *port_entry(0, 8, index=9), "gap"),
    ("unknown kind", *port_entry(0, 8, kind="gpu"), "kind"),
    ("odd phases", *port_entry(0, 8, phases=48), "phases 48"),
    ("too many lanes", *port_entry(0, 48, lanes=8, layout="x8"), "100 lanes"),
    ("wrong type", *port_entry(0, 8, lanes="16"), "whole number"),
    ("a bool for a number", "phases = 256\n", "phases = true\n", "whole number"),
    ("missing key", *port_entry(0, 8, lanes=None), "lacks the key 'lanes'"),
    ("unknown key", *port_entry(0, 8, colour=1), "unknown key 'colour'"),
    ("unknown table", "[[link]]", "[[cable]]", "unknown table 'cable'"),
    ("link to nowhere", LINK, LINK.replace("0, 32", "0, 33"), "does not exist"),
    ("link to a host port", LINK, LINK.replace("0, 32", "0, 16"), "not a fabric port"),
    ("link used twice", LINK, LINK.replace("0, 32", "2, 32"), "already has a link"),
    ("link to its own switch", LINK, LINK.replace("1, 40", "0, 40"), "itself"),
    ("link with one number", LINK, LINK.replace("0, 32", "0"), "[switch, port]"),
    ("module without a port", MODULE, MODULE.replace("index = 0", "index = 8"), "no port"),
    ("module twice", MODULE, MODULE * 2, "appears twice"),
    ("module missing", MODULE, "", "no [[module]]"),
    ("unknown arbitration", MODULE, MODULE.replace("mfvc", "wrr"), "arbitration"),
    ("too many functions", MODULE, MODULE.replace("vfs = 32", "vfs = 33"), "vfs 33"),
    ("negative functions", MODULE, MODULE.replace("vfs = 32", "vfs = -1"), "vfs -1"),
    ("no supply", MODULE, MODULE.replace("350.0", "nan"), "supply_w"),
    ("negative supply", MODULE, MODULE.replace("350.0", "-1.0"), "supply_w"),
    ("endless supply", MODULE, MODULE.replace("350.0", "1" + "0" * 400), "supply_w"),
    ("unknown chip", "device_id = 0x5200", "device_id = 0x5299", "names no chip"),
    ("port faster than its chip", *port_entry(0, 8, gen=6), "a Gen5 chip (0x5200): use gen 5"),
    ("switch twice", "[[switch]]\nid = 1\n", "[[switch]]\nid = 0\n", "appears twice"),
    ("odd MPS", "mps = 256", "mps = 300", "mps 300"),
    ("odd MRRS", "mrrs = 512", "mrrs = 64", "mrrs 64"),
    ("node without a name", '[node]\nname = "default"\n', "[node]\n", "lacks the key 'name'"),
    ("empty name", 'name = "default"', 'name = ""', "printable"),
    ("node missing", TEXT[: TEXT.index("[[switch]]")], "", "[node] is missing"),
    ("a number of 5000 digits", "[node]\n", "[node]\nmps = " + "1" * 5000 + "\n", "not TOML"),
    ("broken TOML", "mps = 256", "mps = = 256", "not TOML"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "word"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_a_bad_file_is_refused_with_file_and_line(
    old: str, new: str, word: str, tmp_path: Path
) -> None:
    assert old in TEXT
    text = TEXT.replace(old, new, 1)
    start = TEXT[: TEXT.index(old)].count("\n") + 1
    reach = max(old.count("\n"), new.count("\n"))
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(TopologyError) as refused:
        Topology.load(file)
    message = str(refused.value)
    assert word in message and "\n" not in message
    assert message.startswith(f"{file}:")
    if word not in ("no [[module]]", "already has a link", "[node] is missing", "appears twice"):
        line = int(message[len(str(file)) + 1 :].split(":")[0])
        assert start <= line <= start + reach, message


def test_ports_too_fast_for_an_older_chip_are_named_at_their_entry() -> None:
    text = TEXT.replace("device_id = 0x5200", "device_id = 0x4200", 1)
    line = next(k for k, row in enumerate(text.splitlines(), 1) if row == "gen = 5")
    with pytest.raises(TopologyError, match=rf"^<text>:{line}: port 0:0: gen 5 .* Gen4 chip"):
        Topology.load(text)
    slower = text.replace("gen = 5", "gen = 4", 7)  # all of switch 0
    assert Topology.load(slower).switches[0].generation == 4


def test_the_line_of_the_second_of_two_clashing_entries_is_named() -> None:
    old, new = port_entry(2, 8, index=4)
    text = TEXT.replace(old, new)
    line = TEXT[: TEXT.index(old)].count("\n") + 1 + new.splitlines().index("index = 4")
    with pytest.raises(TopologyError, match=rf"^<text>:{line}: module index 4 appears twice"):
        Topology.load(text)


def test_a_cut_that_leaves_a_module_unreachable_is_refused() -> None:
    first = TEXT.index("[[link]]")
    cut = TEXT[:first] + TEXT[TEXT.index("[[module]]") :]
    with pytest.raises(TopologyError, match="module 0 on switch 0 cannot reach host 2"):
        Topology.load(cut)


def test_two_pairs_of_switches_leave_modules_unreachable() -> None:
    pairs = (Link((0, 32), (1, 40)), Link((2, 32), (3, 40)))
    with pytest.raises(TopologyError, match="cannot reach"):
        dataclasses.replace(NODE, links=pairs)


def test_a_ninth_module_is_refused() -> None:
    ports = (Port(0, 6 * k, "module", k, 5, 8, "x8", 32) for k in range(9))
    with pytest.raises(TopologyError, match="8 modules"):
        Topology(
            "nine", 256, 512, (SwitchSpec(0, 0x5200),),
            (*ports, Port(0, 1, "host", 0, 5, 16, "x16", 32)), (),
            tuple(ModuleSpec(k, "none", 1, 1.0) for k in range(9)),
        )  # fmt: skip


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b'[node]\nname = "\xe9"\n')
    for source in (tmp_path / "none.toml", tmp_path, tmp_path / "latin.toml", "", "a\0b"):
        with pytest.raises(TopologyError, match="cannot be read"):
            Topology.load(source)


def test_comments_and_spacing_do_not_shift_the_line() -> None:
    noisy = TEXT.replace("[[port]]", "# [[port]]\n [[ port ]] # one", 3)
    noisy = noisy.replace("gen = 5", "gen = 9", 1)
    line = noisy.splitlines().index("gen = 9") + 1
    with pytest.raises(TopologyError, match=rf"^<text>:{line}: "):
        Topology.load(noisy)
