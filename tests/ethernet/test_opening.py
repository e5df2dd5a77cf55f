"""What every program does first, and how a command finds its switch, for each kind of chip."""

from __future__ import annotations

import pytest
from served import IDENTITIES, Served
from table import COMMAND_INVALID, REFUSED, u32
from wire import LOCAL

every_identity = pytest.mark.parametrize("identity", IDENTITIES, indirect=True)
PING, PAX_ID, ECHO = 0x100, 0x81, 0x41


@every_identity
@pytest.mark.parametrize("switch", range(4))
def test_the_opening_sequence_tells_generation_variant_and_place(
    served: Served, switch: int
) -> None:
    channel = served.command(switch)
    served.event(switch)
    assert channel.gas_read(0x1008, 1) == b"\0", "the client's own partition"
    assert channel.gas_read(0x1007, 1)[0] >= 1, "of so many"
    assert channel.gas_read(0x2000, 4) == u32(served.identity.device_id)
    code, out = channel.mrpc(LOCAL | PING, u32(0x600DC0DE), 8)
    assert code == 0
    info = int.from_bytes(out[:4], "little")
    assert info & 0xFF == 3, "boot phase: main firmware"
    assert info >> 8 & 0xF in (0, 1, 0xE, 0xF), "revision B, C, A.1 or A"
    assert info >> 12 & 0xF == served.identity.generation - 4
    assert out[4:] == u32(0xFFFFFFFF ^ 0x600DC0DE)
    code, out = channel.mrpc(LOCAL | PAX_ID, wanted=1)
    if served.identity.pax:
        assert (code, out) == (0, bytes([switch]))
    else:
        assert (code, out) == (COMMAND_INVALID, b"\0"), "the client does not even ask"


@every_identity
def test_later_commands_carry_the_word_of_their_family(served: Served) -> None:
    for switch in range(4):
        channel = served.command(switch)
        word = served.word(ECHO, switch)
        assert word & 0xFFFF == ECHO
        assert channel.mrpc(word, u32(0x12345678), 4) == (0, u32(0xEDCBA987))


@pytest.mark.parametrize("identity", ["PAX", "PAX4"], indirect=True)
def test_a_pax_passes_commands_on_to_the_pax_they_name(served: Served) -> None:
    for here in range(4):
        channel = served.command(here)
        for there in range(4):
            assert channel.mrpc(there << 18 | PAX_ID, wanted=1) == (0, bytes([there]))
        for nobody in (4, 9, 0x1E):
            assert channel.mrpc(nobody << 18 | PAX_ID, wanted=1) == (REFUSED, b"\0")
    assert 3 << 18 == 0x000C0000, "as the tool's -x 3 sends it"
    served.node.fault(3, "gone")
    assert served.command(0).mrpc(3 << 18 | PAX_ID, wanted=1) == (REFUSED, b"\0")


@pytest.mark.parametrize("identity", ["PSX", "PFX", "PSX6"], indirect=True)
def test_a_switch_that_is_no_pax_ignores_the_pax_bits(served: Served) -> None:
    channel = served.command()
    for bits in (0xFFFC0000, 0x007C0000, 0x000C0000, 0):
        assert channel.mrpc(bits | ECHO, u32(5), 4) == (0, u32(0xFFFFFFFA))


@every_identity
def test_an_unknown_command_is_refused_in_the_length_that_was_asked_for(served: Served) -> None:
    channel = served.command()
    for command in (0x0, 0x9, 0x42, 0x7FFF, 0xFFFF):
        for wanted in (0, 1, 4, 628, 1024):
            assert channel.mrpc(served.word(command), b"", wanted) == (
                COMMAND_INVALID,
                bytes(wanted),
            )


@every_identity
def test_identification_registers_hold_what_the_kernel_and_the_library_read(
    served: Served,
) -> None:
    channel = served.command()
    generation = served.identity.generation
    version = channel.read32(0x2008) >> 24
    assert version in {4: (3, 4, 5), 5: (6, 7, 8), 6: (9, 10, 11)}[generation]
    assert channel.gas_read(0x2108, 8) == channel.gas_read(0x213C, 8) == b"MSCC    "
    product = channel.gas_read(0x2144, 24).rstrip()
    assert channel.gas_read(0x2110, 16) == product.ljust(16)
    lanes = 160 if generation == 6 else 100
    family = {0x52: b"PAX", 0x42: b"PAX", 0x51: b"PSX", 0x50: b"PFX", 0x61: b"PSX"}
    assert product == family[served.identity.device_id >> 8] + b" %dXG%d" % (lanes, generation)
    assert channel.gas_read(0x10000, 1) == channel.gas_read(0x1007, 1)
    assert channel.gas_read(0x2048, 1) == channel.gas_read(0x1008, 1)
