"""What every command shares: options, ends (errors, signals, broken pipes), JSON and consoles."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from fabcore.errors import FabricError, OwnerError, TraceError

if TYPE_CHECKING:
    from rich.console import Console

DONE, FAILED, BAD_INPUT = 0, 1, 2  # exit statuses

Json = Annotated[bool, typer.Option("--json", help="JSON on stdout instead of text.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same run.")]
POLICY_HELP = (
    "adaptive: whatever fits is admitted, grants follow the prediction. "
    "literal: the published algorithm."
)


class Stopped(BaseException):
    """SIGINT, SIGTERM or a reader that closed our output: the command ends with status 0."""


class Failed(Exception):
    """The command was understood but could not be carried out: status 1."""


class Stop:
    """Whether a signal has asked the process to end; `wait` sleeps no longer than that.

    A pipe, because a threading.Event may be locked by the very code that the handler interrupts.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._set = False
        self.deferred = False  # True: a signal is only noted, nobody is interrupted

    def wake_by_signals(self) -> int:
        """Lets the C half of a signal's handling write to the pipe: the Python half only runs
        between bytecodes, too late for a sleep that starts just after the signal came. Returns
        what signal.set_wakeup_fd takes to undo it."""
        return signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def is_set(self) -> bool:
        return self._set

    def wait(self, seconds: float | None = None) -> bool:
        """Sleeps for `seconds` (None: for good) or until asked to stop; whether it was asked."""
        if not self._set:
            select.select([self._read], [], [], seconds)
        return self._set

    def on_signal(self, *_: object) -> None:
        first, self._set = not self._set, True
        if first:
            with contextlib.suppress(BlockingIOError):  # full of signals: it wakes as well
                os.write(self._write, b"s")
        # Raised at every signal: the first may fall into a callback that swallows exceptions.
        if not self.deferred:
            raise Stopped

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


_stops: list[Stop] = []  # of the command that runs: signals belong to the process


@contextlib.contextmanager
def signals() -> Iterator[None]:
    """Handles SIGINT and SIGTERM within; off the main thread they stay as they are."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stop = Stop()
    _stops.append(stop)
    before = {s: signal.signal(s, stop.on_signal) for s in (signal.SIGINT, signal.SIGTERM)}
    wakeup = stop.wake_by_signals()
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        _stops.pop()
        stop.close()


@contextlib.contextmanager
def until_stopped() -> Iterator[Stop]:
    """Within, a signal interrupts nothing: it sets the Stop, so what was opened gets closed."""
    stop = _stops[-1] if _stops else Stop()
    stop.deferred = True
    try:
        yield stop
    finally:
        stop.deferred = False
        if not _stops:
            stop.close()


@contextlib.contextmanager
def working() -> Iterator[None]:
    """Errors within are failures (status 1), not bad input; a trace's bad row stays bad input."""
    try:
        yield
    except TraceError:
        raise
    except BrokenPipeError:
        raise
    except (FabricError, OSError) as error:
        raise Failed(str(error)) from error


class Group(TyperGroup):
    """The application: ends with 0, 1 or 2 and at most one line on stderr, never a traceback for
    what the user or the machine did wrong."""

    def main(
        self,
        args: Any = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        status = DONE
        with contextlib.suppress(Stopped), signals():
            status = self._run(args=args, prog_name="fabcore", complete_var=complete_var, **extra)
        if standalone_mode:
            sys.exit(status)
        return status

    def _run(self, **given: Any) -> int:
        try:
            result = super().main(standalone_mode=False, **given)
            sys.stdout.flush()
        except (Failed, OwnerError) as error:  # another controller is at work: no bad input
            return complain(error, FAILED)
        except FabricError as error:
            return complain(error, BAD_INPUT)
        except BrokenPipeError:
            _silence_stdout()
            return DONE
        except Exception as error:
            # Typer's usage errors: its class moved between versions, its attributes did not.
            if not hasattr(error, "format_message"):
                raise
            context = getattr(error, "ctx", None)
            hint = f" (see `{context.command_path} --help`)" if context is not None else ""
            return complain(f"{error.format_message().rstrip('.')}{hint}", BAD_INPUT)
        return result if isinstance(result, int) else DONE


def complain(error: object, status: int) -> int:
    """One line on stderr; returns the status."""
    print(f"fabcore: error: {' '.join(str(error).split())}", file=sys.stderr)
    return status


def note(text: str) -> None:
    """One line of progress or log, on stderr."""
    print(f"fabcore: {text}", file=sys.stderr, flush=True)


def emit(text: str) -> None:
    """One line of output, at once; a reader that has left ends the command quietly."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _silence_stdout()
        raise Stopped from None


def emit_json(document: Any, indent: int | None = None) -> None:
    """A JSON document; NaN and infinity have no place in one, so they are a bug."""
    emit(json.dumps(document, indent=indent, allow_nan=False))


def stderr_console() -> Console:
    from rich.console import Console

    return Console(stderr=True)


def _silence_stdout() -> None:
    """What is still buffered goes nowhere, so that the interpreter's last flush cannot fail."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
