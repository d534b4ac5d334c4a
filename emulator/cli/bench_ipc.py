"""`ringtoll bench ipc`: round trips between protection domains, by mechanism and working set."""

import contextlib
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emulator.cli.bench_output import JsonOption, ProfileOption, json_file, stdout
from emulator.cli.interrupt import stopping
from emulator.cli.options import DEFAULT_PROFILE, examples, profile_label
from emulator.cli.progress import progress

if TYPE_CHECKING:
    from emulator.bench.ipc.points import Task

EPILOG = examples(
    "ringtoll bench ipc",
    "ringtoll bench ipc --quick --json -",
    "ringtoll bench ipc --mechanisms pipe,yield,uls-sysexit-invlpg,small-yield --plot ipc.svg",
    "ringtoll bench ipc --cluster tcp://192.0.2.1:8786",
)
WIDE = 160  # columns of its tables, which have one a size


class Syscall(StrEnum):
    """How client and server enter the kernel."""

    int80 = "int80"
    sysenter = "sysenter"


def _pages(text: str, most: int) -> list[int]:
    try:
        sizes = [int(word, 0) for word in text.split(",") if word.strip()]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of numbers (0,16,64)") from None
    if not all(0 <= size <= most for size in sizes):
        raise typer.BadParameter(f"a working set has 0 to {most} pages")
    return sizes


def ipc(
    profile: ProfileOption = DEFAULT_PROFILE,
    mechanisms: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="Which ones, with commas between; all of them if not given."),
    ] = None,
    pages: Annotated[
        str | None, typer.Option(metavar="LIST", help="Sizes of the working set in data pages, up to 512.")
    ] = None,
    code_pages: Annotated[
        str | None, typer.Option(metavar="LIST", help="Sizes of the working set in code pages, up to 256.")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, max=2000, help="Round trips measured at each point.")] = 10,
    syscall: Annotated[Syscall, typer.Option(help="How client and server enter the kernel.")] = Syscall.int80,
    quick: Annotated[
        bool, typer.Option("--quick", help="Three sizes only: empty, within and beyond the TLBs.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes; as many as processors if not given.")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Run on the workers of this Dask scheduler instead.")
    ] = None,
    json: JsonOption = None,
    plot: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Draw the curves: .png or .svg; may be repeated."),
    ] = None,
) -> None:
    """A 4-byte message to another protection domain and back, by mechanism and working set."""
    from emulator.bench.ipc import run
    from emulator.bench.ipc.mechanisms import MECHANISMS
    from emulator.bench.ipc.plot import check_plot
    from emulator.bench.ipc.plot import plot as draw
    from emulator.bench.ipc.points import MOST_CODE_PAGES, MOST_DATA_PAGES
    from emulator.bench.pool import cluster_pool, local_pool
    from emulator.timing.profile import load_profile

    plan = run.Plan(
        list(MECHANISMS) if mechanisms is None else [name.strip() for name in mechanisms.split(",")],
        _pages(pages, MOST_DATA_PAGES) if pages is not None else run.QUICK if quick else run.DATA_PAGES,
        _pages(code_pages, MOST_CODE_PAGES)
        if code_pages is not None
        else run.QUICK
        if quick
        else run.CODE_PAGES,
        runs,
        syscall.value,
    )
    total = len(plan.tasks())
    for path in plot or []:
        check_plot(path)
    with json_file(json) as write_json, contextlib.ExitStack() as stack:
        cpu = load_profile(profile)
        asked: list[bool] = []
        stack.enter_context(stopping(lambda: asked.append(True)))
        advance = stack.enter_context(progress("measuring round trips", total))
        workers = min(jobs or os.cpu_count() or 1, max(1, total))
        executor = stack.enter_context(cluster_pool(cluster) if cluster else local_pool(workers))

        def on_done(task: "Task", done: int) -> None:
            advance(done, f"{done}/{total} {task.mechanism}")

        result = run.run_ipc(
            cpu, profile_label(cpu), plan, executor, on_done=on_done, stopped=lambda: bool(asked)
        )
        write_json(result)
        for path in plot or []:
            draw(result, path)
    if json != "-":
        from emulator.bench.ipc.report import show

        show(result, stdout(WIDE))
