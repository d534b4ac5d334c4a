"""`ringtoll bench`: run a benchmark, show modelled beside published figures, and explain them."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emulator.cli import bench_ipc
from emulator.cli.bench_output import JsonOption, ProfileOption, json_file, stdout
from emulator.cli.interrupt import stopping
from emulator.cli.options import DEFAULT_PROFILE, Entry, Flush, examples, profile_label
from emulator.cli.progress import progress

if TYPE_CHECKING:
    from emulator.bench.console_log import Run
    from emulator.bench.host import Plan

app = typer.Typer(no_args_is_help=True, help="Run benchmarks; see where every cycle goes.")


@app.command(
    epilog=examples(
        "ringtoll bench uls",
        "ringtoll bench uls --flush cr3 --entry iret",
        "ringtoll bench uls --profile pentium3-katmai-550 --json -",
    )
)
def uls(
    profile: ProfileOption = DEFAULT_PROFILE,
    flush: Annotated[Flush, typer.Option(help="How sandbox pages are invalidated.")] = Flush.invlpg,
    entry: Annotated[Entry, typer.Option(help="How an upcall enters ring 3.")] = Entry.sysexit,
    runs: Annotated[int, typer.Option(min=1, max=2000, help="Measurements of each operation.")] = 100,
    json: JsonOption = None,
) -> None:
    """User-Level Sandboxing: what upcalls and signals cost, beside the published figures."""
    from emulator.bench.published import load_published
    from emulator.bench.uls import BENCHMARK, Options, run_uls
    from emulator.machine import Machine
    from emulator.timing.profile import load_profile

    with json_file(json) as write_json, contextlib.ExitStack() as stack:
        cpu = load_profile(profile)
        options = Options(flush.value, entry.value, runs)
        published = load_published(BENCHMARK)
        advance = stack.enter_context(progress("booting the mini kernel", len(published.row) * runs))
        done = 0

        def on_run(run: "Run") -> None:
            nonlocal done
            done += 1
            advance(done, f"{run.row} {run.index + 1}/{runs}")

        def make_machine(**kwargs: Any) -> Machine:
            machine = Machine(cpu, **kwargs)
            stack.enter_context(stopping(machine.request_stop))
            return machine

        result = run_uls(profile_label(cpu), options, make_machine, on_run=on_run)
        write_json(result)
    if json != "-":
        from emulator.bench.report import show

        show(result, published, stdout())


@app.command(
    epilog=examples(
        "ringtoll bench host",
        "ringtoll bench host --no-events --json host.json",
        "ringtoll bench host --linux vmlinuz --initrd initramfs.cpio --until '# '",
        "ringtoll bench host --xv6 xv6-public",
    )
)
def host(
    profile: ProfileOption = DEFAULT_PROFILE,
    linux: Annotated[
        Path | None, typer.Option(metavar="KERNEL", help="A Linux bzImage to boot, here and on QEMU.")
    ] = None,
    initrd: Annotated[Path | None, typer.Option(metavar="FILE", help="Its initial RAM disk.")] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="What Linux says on its console when the boot is over."),
    ] = None,
    xv6: Annotated[
        Path | None,
        typer.Option(
            envvar="RINGTOLL_XV6", metavar="FOLDER", help="Where xv6 was built: kernel, fs.img, kernelmemfs."
        ),
    ] = None,
    events: Annotated[
        bool, typer.Option("--events/--no-events", help="Measure what events cost in microseconds.")
    ] = True,
    json: JsonOption = None,
) -> None:
    """How fast this host runs the model: million guest instructions a second, and what events cost it."""
    from emulator.bench.host import run_host
    from emulator.bench.host_tables import show_host
    from emulator.timing.profile import load_profile

    cpu = load_profile(profile)
    if linux is None and (initrd or until):
        raise typer.BadParameter("it goes with --linux", param_hint="--initrd and --until")
    plan = _plan(linux, initrd, until, xv6, events)
    with json_file(json) as write_json:
        with progress("measuring this host", plan.steps(cpu)) as advance:
            result = run_host(profile, plan, advance)
        write_json(result)
    if json != "-":
        show_host(result, stdout())


def _plan(
    linux: Path | None, initrd: Path | None, until: str | None, xv6: Path | None, events: bool
) -> "Plan":
    """What is given is measured; what is not is named."""
    from emulator.bench.host import Plan
    from emulator.bench.host_boots import LINUX_UNTIL, linux_boot, xv6_boots

    boots, missing = [], []
    for path in (linux, initrd):
        if path is not None and not path.is_file():
            raise typer.BadParameter(f"there is no file {path}", param_hint="--linux and --initrd")
    if linux is not None:
        boots.append(linux_boot(linux, initrd, until or LINUX_UNTIL))
    else:
        missing.append("Left out: Linux; give a kernel by --linux and --initrd.")
    if xv6 is not None:
        boots += xv6_boots(xv6)
    else:
        missing.append("Left out: xv6; name the folder where it was built by --xv6 or RINGTOLL_XV6.")
    return Plan(tuple(boots), events, tuple(missing))


app.command(epilog=bench_ipc.EPILOG)(bench_ipc.ipc)
