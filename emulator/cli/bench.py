"""`ringtoll bench`: run a benchmark, show modelled beside published figures, and explain them."""

import contextlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emulator.cli import bench_ipc
from emulator.cli.bench_output import JsonOption, ProfileOption, json_file, stdout
from emulator.cli.interrupt import stopping
from emulator.cli.options import DEFAULT_PROFILE, Entry, Flush, examples, profile_label
from emulator.cli.progress import progress

if TYPE_CHECKING:
    from emulator.bench.console_log import Run

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


@app.command(epilog=examples("ringtoll bench host", "ringtoll bench host --json host.json"))
def host(profile: ProfileOption = DEFAULT_PROFILE, json: JsonOption = None) -> None:
    """How fast this host runs the model: million guest instructions a second, bare and modelled."""
    from emulator.bench.host import PAIRS, run_host, show_host

    with json_file(json) as write_json:
        with progress("measuring this host", 2 * (PAIRS + 1)) as advance:
            result = run_host(profile, advance)
        write_json(result)
    if json != "-":
        show_host(result, stdout())


app.command(epilog=bench_ipc.EPILOG)(bench_ipc.ipc)
