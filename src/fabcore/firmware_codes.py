"""What the firmware's return codes mean, in words with the cure (Microsemi/switchtec-user 4.5)."""

from __future__ import annotations

PORT_BIND, STACK_BIFURCATION = 0x0C, 0x0B  # command ids

_ANY = {
    0x64001: "no thread is free to run it; send it again",
    0x64003: "no background thread is free to run it; send it again",
    0x64004: "this firmware does not know the sub-command; it belongs to another generation",
    0x64005: "this firmware does not know the command; it belongs to another family or generation",
    0x64006: "a parameter is invalid; look at the ports, functions and lengths that it names",
    0x64007: "the firmware is in a state that does not allow it; what is it doing, or bound to?",
    0x64010: "denied: taken by another, or locked by the security settings",
    0x100001: "no such stack",
    0x100002: "no such port, or one of another kind; `ports` lists them",
    0x100003: "no such event",
    0xFFFF0001: "access refused: no way to the PAX that it was sent to",
}
_PORT_BIND = {
    0x1: "the physical port is bound already; unbind it first",
    0x2: "the logical port is bound already; unbind it first, or name another",
    0x3: "there is no such partition",
    0x4: "there is no such physical port",
    0x5: "the physical port is disabled; enable it in the configuration",
    0x6: "there is no such logical port in the partition",
    0x7: "a binding of it is in progress; wait for its end",
    0x8: "it is the partition's upstream port, which stays where it is",
    0x9: "this firmware does not know the sub-command",
    0xA: "its link is active; disable the link first",
    0xB: "the logical port is not bound",
    0xC: "the option is invalid",
    0xD: "the firmware's check of the binding failed",
}
_STACK_BIFURCATION = {
    0x54003: "there is no such stack, or it has no ports",
    0x54040: "this firmware does not know the sub-command",
    0x54042: "this stack cannot be divided so",
    0x54043: "a port of the stack is bound; unbind it first",
}
_OF_COMMAND = {PORT_BIND: _PORT_BIND, STACK_BIFURCATION: _STACK_BIFURCATION}


def meaning(command: int, code: int) -> str:
    """What `code` says as the answer to `command`; "" for a code that is not known."""
    return _OF_COMMAND.get(command, {}).get(code) or _ANY.get(code, "")
