"""The command line: what each command is called, takes and says; the work is elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fabcore.cli.base import POLICY_HELP, Group, Json, Seed, emit

app = typer.Typer(
    cls=Group,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The entry point of `fabcore` and `python -m fabcore`."""
    app()


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    cflags: Annotated[bool, typer.Option("--cflags", help="Compiler flags to embed.")] = False,
    libs: Annotated[bool, typer.Option("--libs", help="Linker flags to embed.")] = False,
) -> None:
    """The control plane of a PCIe fabric: observe, predict, solve, switch.

    \b
    Try it without hardware:
      fabcore run                    this machine's instances on an emulated node
      fabcore replay trace.parquet   five policies compared on a measured trace
      fabcore emulate --shm demo     an emulated node for other processes ...
      fabcore run --node shm:demo    ... and a controller for it

    \b
    Embed the C core:
      cc demo.c $(fabcore --cflags --libs)

    Every command explains itself with --help. Exit status: 0 done, 1 failed, 2 bad input.
    """
    if version:
        from fabcore import __version__

        emit(f"fabcore {__version__}")
    if cflags or libs:
        from fabcore import paths

        flags = [paths.cflags()] if cflags else []
        emit(" ".join([*flags, paths.libs()] if libs else flags))
    if context.invoked_subcommand is None and not (version or cflags or libs):
        emit(context.get_help())


@app.command()
def run(
    node: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TARGET",
            help="A switch's BAR: shm:NAME (a whole emulated node), a PCI device's path, "
            "vfio:BDF, uio:N; once per switch. Without it: an emulated node in this process.",
        ),
    ] = None,
    source: Annotated[
        str,
        typer.Option(
            metavar="live|FILE",
            help="live: this machine's instances stand in for PCIe traffic. "
            "FILE: a trace, in real time, once; the run stops at its end.",
        ),
    ] = "live",
    policy: Annotated[str, typer.Option(help=POLICY_HELP)] = "adaptive",
    rate: Annotated[float, typer.Option(metavar="HZ", help="Ticks per second.")] = 1000.0,
    ticks: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many ticks (default: never).")
    ] = None,
    vms: Annotated[
        int | None, typer.Option(min=1, help="At most so many VMs (default: 64, or a trace's all).")
    ] = None,
    topology: Annotated[
        Path | None, typer.Option(help="TOML file of the emulated node (not with --node).")
    ] = None,
    requests: Annotated[
        Path | None,
        typer.Option(
            help="Let other processes ask for bandwidth through a request queue at this path "
            "(fabcore.desk.DeskClient), best on a tmpfs."
        ),
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Control a node: the whole loop, with a live view on a terminal.

    The source's rates are what the VMs of an emulated node want to move; what the node's counters
    then say is what the controller sees. Without a terminal it prints a line per second, with
    --json an object per second.

    \b
    Examples:
      fabcore run
      fabcore run --source trace.parquet --vms 64 --policy literal
      fabcore run --node shm:demo --rate 100 --ticks 1000 --json
    """
    from fabcore.cli.run import run_command

    run_command(node or [], source, policy, rate, ticks, vms, topology, seed, json, requests)


@app.command()
def emulate(
    topology: Annotated[
        Path | None, typer.Option(help="TOML file of the node; without it the default one.")
    ] = None,
    device_id: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="What every switch is, instead of each one's device_id in the topology: 0x5200 "
            "PAX, 0x5100 PSX, 0x5000 PFX, 0x4200 PAX Gen4, 0x6160 PSX Gen6.",
        ),
    ] = None,
    shm: Annotated[
        str | None, typer.Option(metavar="NAME", help="Share it as /dev/shm/NAME (shm:NAME).")
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="ADDR",
            help="Serve the vendor's Ethernet management protocol: switch k at ADDR + k, TCP port "
            "54545. The vendor's tool opens switch 0 as ADDR:0.",
        ),
    ] = None,
    listen_any: Annotated[
        bool,
        typer.Option(
            "--listen-any",
            help="ADDR may be other than loopback. The protocol has neither authentication nor "
            "encryption: whoever connects programs the switches.",
        ),
    ] = False,
    vfio_user: Annotated[
        str | None,
        typer.Option(
            metavar="SOCKET",
            help="Be a guest's PCI device over vfio-user (QEMU 10.1 or newer): switch 0 at the "
            "Unix socket SOCKET, switch k at SOCKET.k. For MRPC by DMA the guest's memory must be "
            "shared (memory-backend-memfd,share=on).",
        ),
    ] = None,
    faults: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help=r"Fault script: [\[fault]] at_s, kind, switch, port, for_s."
        ),
    ] = None,
    seed: Seed = 0,
    print_topology: Annotated[
        bool, typer.Option("--print-topology", help="Print the topology as TOML and end.")
    ] = False,
    json: Json = False,
) -> None:
    """Run an emulated Resource Node in real time until SIGTERM or Ctrl-C.

    Name at least one way in; all lead to the same registers. A line that starts with "ready" says
    that every one is open, and lists them.

    \b
    Examples:
      fabcore emulate --shm demo
      fabcore emulate --listen 127.0.0.1    switches at 127.0.0.1 to 127.0.0.4
      switchtec info 127.0.0.1:0            ... as the vendor's tool sees one
      fabcore emulate --listen 127.0.1.1 --device-id 0x5100 --shm psx
      fabcore emulate --vfio-user /run/switch
      fabcore emulate --print-topology > node.toml
      fabcore emulate --topology node.toml --shm demo
      fabcore emulate --shm demo --faults bad-day.toml
    """
    from fabcore.cli.emulate import Ways, emulate_command

    ways = Ways(shm, listen, listen_any, vfio_user)
    emulate_command(topology, device_id, ways, seed, print_topology, json, faults)


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Columns vm,time_s,up,down.")],
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help="adaptive, literal, static_equal, static_peak or none; repeat for several "
            "(default: all five)."
        ),
    ] = None,
    vms: Annotated[int, typer.Option(min=1, help="VMs; replicas fill up a smaller trace.")] = 256,
    scale: Annotated[float, typer.Option(help="Multiplies every rate of the trace.")] = 1.0,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Write the JSON report here.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the report here (PNG, SVG, PDF).")] = None,
    json: Json = False,
) -> None:
    """Replay a trace through an emulated node under several policies and compare them.

    Load that a step cannot carry is dropped and counted as throttled. Policies see only the past.
    VM i sits on module i % 8 and host (i // 8) % 8 of the default node.

    \b
    Examples:
      fabcore replay trace.parquet
      fabcore replay trace.parquet --policy adaptive --policy none --scale 8
      fabcore replay trace.csv --vms 64 --out report.json --plot report.png
    """
    from fabcore.cli.replay import replay_command

    replay_command(file, policy or [], vms, scale, seed, out, plot, json)


@app.command()
def record(
    ring: Annotated[Path, typer.Argument(metavar="RING", help="A followed ring's file.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Parquet files go here.")],
    start: Annotated[str, typer.Option(metavar="oldest|now", help="Where to begin.")] = "oldest",
    rotate_mib: Annotated[float, typer.Option(help="A new file after so many MiB.")] = 128.0,
    rotate_s: Annotated[float, typer.Option(help="A new file after so many seconds.")] = 300.0,
    prefix: Annotated[
        str, typer.Option(help="Files are PREFIX-TIME-NUMBER.parquet.")
    ] = "telemetry",
    interval: Annotated[float, typer.Option(help="Seconds between two looks at the ring.")] = 0.05,
    json: Json = False,
) -> None:
    """Record a ring into Parquet files until SIGTERM or Ctrl-C.

    A file appears under its name only once it is whole and on disk. Records that the ring
    overwrote first are counted as lost, in the report and in each file's metadata.

    \b
    Example:
      fabcore record /dev/shm/telemetry --out recordings
    """
    from fabcore.cli.record import record_command

    record_command(ring, out, start, rotate_mib, rotate_s, prefix, interval, json)


@app.command()
def bench(json: Json = False) -> None:
    """Time the core: the repository's bench/ in a checkout, else a short built-in one.

    \b
    Example:
      fabcore bench --json
    """
    from fabcore.cli.bench import bench_command

    bench_command(json)


@app.command()
def warm(json: Json = False) -> None:
    """Compile every kernel now and keep it, so that no later process has to.

    The last line says where: NUMBA_CACHE_DIR if it is set, else beside the package, else (it is
    installed read-only) the user's cache. What is kept fits this kind of CPU and these sources.

    \b
    Example:
      fabcore warm && fabcore run
    """
    from fabcore.cli.check import warm_command

    warm_command(json)


@app.command()
def doctor(
    strict: Annotated[bool, typer.Option("--strict", help="End with 1 if a check fails.")] = False,
    json: Json = False,
) -> None:
    """Check this installation and say how to mend what is wrong.

    \b
    Example:
      fabcore doctor --strict --json
    """
    from fabcore.cli.check import doctor_command

    doctor_command(strict, json)


__all__ = ["app", "main"]
