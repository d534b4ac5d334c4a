"""`ringtoll boot IMAGE`: run a guest until it ends, is stopped, or can't go on."""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer
from rich.console import Console

from emulator.cli.console import SerialOut, keyboard, open_serial
from emulator.cli.disks import open_disks
from emulator.cli.errors import CliError, say
from emulator.cli.interrupt import StopRequest, stopping
from emulator.cli.options import (
    DEFAULT_PROFILE,
    ImageFormat,
    examples,
    parse_count,
    parse_memory,
    parse_number,
    profile_label,
)
from emulator.cli.pace import Pace
from emulator.cli.progress import progress
from emulator.cli.screen import open_screenshot, show_screen, write_screenshot
from emulator.cli.summary import show_summary, statistics_json
from emulator.exitstatus import MEANING, ExitStatus

if TYPE_CHECKING:
    from emulator.cpu.verify import Verification
    from emulator.machine import Machine, Outcome
    from emulator.timing.profile import Profile
    from loader import Image

EPILOG = examples(
    "ringtoll boot kernel.elf",
    "ringtoll boot kernel.elf --append 'flush=cr3' --module 'sandbox.elf' --module 'hello.elf one two'",
    "ringtoll boot kernel.elf --serial console.log --stats stats.json --max-cycles 5e9",
    "ringtoll boot vmlinuz --initrd initramfs.cpio --append 'console=ttyS0' --memory 128M",
    "ringtoll boot vmlinuz --initrd initramfs.cpio --symbols System.map --serial console.log --summary",
    "ringtoll boot --manifest system.toml --trust developer.key.pub --trust-unsigned counter",
    "ringtoll boot code.bin --format flat --address 0x100000 --profile pentium3-katmai-550",
) + (
    "\n\nThe exit status is the guest's own (debug exit port 0xf4), or: "
    + "; ".join(f"{int(status)} {text}" for status, text in MEANING.items() if status >= 2)
    + "."
)


class FeedName(Enum):
    """The feeds of `Machine`."""

    planned = "planned"
    hooks = "hooks"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a guest, from the loaded image to its last word."""

    machine: "Machine"
    profile: "Profile"
    image: "Image"
    memory: int
    serial: str

    def go(self, out: SerialOut, max_cycles: int | None) -> "tuple[Outcome, StopRequest]":
        """Run to the end, with the keyboard or with progress, whichever the terminal is free for."""
        machine = self.machine
        out.on_error = machine.request_stop
        with contextlib.ExitStack() as stack:
            request = stack.enter_context(stopping(machine.request_stop))
            keys = stack.enter_context(keyboard(machine.serial_input)) if self.serial == "stdio" else None
            pace: Pace | None = None
            if self.serial != "stdio" or not sys.stdout.isatty():
                advance = stack.enter_context(progress(f"running {self.image.name}", max_cycles))
                pace = Pace(machine, float(self.profile.mhz.value), advance)

            def poll() -> bool:
                if keys is not None:
                    keys.poll()
                if pace is not None:
                    pace.poll()
                machine.interactive = keys is not None and keys.open
                return False

            outcome = machine.run(max_cycles=max_cycles, stop=poll)
        machine.keep_plans()
        return outcome, request

    def report(self, status: int, outcome: "Outcome", stats: TextIO | None, summary: bool) -> None:
        """Write the statistics file and the summary."""
        name, mhz = profile_label(self.profile), float(self.profile.mhz.value)
        if stats is not None:
            image = {"name": self.image.name, "sha256": self.image.sha256, "memory": self.memory}
            end = {"kind": outcome.kind, "status": status, "message": outcome.message}
            stats.write(statistics_json(self.machine, name, mhz, image, end))
            stats.flush()
        if summary:
            show_summary(self.machine, name, mhz, Console(stderr=True))


@contextlib.contextmanager
def _open_stats(where: str | None) -> Iterator[TextIO | None]:
    """Opened before the run: that it can't be written must not be found out at the end."""
    if where is None:
        yield None
    elif where == "-":
        yield sys.stdout
    else:
        with Path(where).open("w", encoding="utf-8") as file:
            yield file


def boot(
    image: Annotated[
        str | None,
        typer.Argument(
            metavar="IMAGE", help="The guest: ELF or multiboot kernel, Linux bzImage, or flat binary."
        ),
    ] = None,
    manifest: Annotated[
        str | None,
        typer.Option(metavar="FILE.toml", help="In place of an image: programs and extensions to compose."),
    ] = None,
    trust: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY.pub", help="With --manifest: trust what this key signed; repeatable."),
    ] = None,
    trust_unsigned: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="With --manifest: load this extension unsigned; repeatable."),
    ] = None,
    profile: Annotated[
        str, typer.Option(help="CPU profile: a name of `ringtoll profiles`, or a TOML file.")
    ] = DEFAULT_PROFILE,
    memory: Annotated[
        int, typer.Option(parser=parse_memory, metavar="SIZE", help="Guest memory, as in 64M.")
    ] = "64M",  # type: ignore[assignment]
    append: Annotated[str, typer.Option(metavar="TEXT", help="The kernel's command line.")] = "",
    module: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'FILE ARGS'", help="A multiboot module and the string that goes with it; repeatable."
        ),
    ] = None,
    initrd: Annotated[
        str | None, typer.Option(metavar="FILE", help="A Linux kernel's initial RAM disk or initramfs.")
    ] = None,
    serial: Annotated[
        str, typer.Option(metavar="stdio|FILE", help="Where COM1 goes; stdio also takes input.")
    ] = "stdio",
    disk: Annotated[
        list[str] | None,
        typer.Option(
            metavar="IMG[,rw][,index=N]",
            help="A disk image, as primary master, primary slave, and so on; repeatable. "
            "What the guest writes is dropped at the end, unless rw writes it through.",
        ),
    ] = None,
    symbols: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Symbols for a kernel that carries none: System.map, a copy of /proc/kallsyms, "
            "or an ELF file; repeatable.",
        ),
    ] = None,
    screenshot: Annotated[
        str | None, typer.Option(metavar="FILE.png", help="Write a picture of the VGA's screen at the end.")
    ] = None,
    stats: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write statistics and ledger as JSON (- is stdout).")
    ] = None,
    max_cycles: Annotated[
        int | None, typer.Option(parser=parse_count, metavar="N", help="Stop after N modelled cycles (5e9).")
    ] = None,
    format: Annotated[
        ImageFormat, typer.Option(help="The image's format, if it shall not be found out.")
    ] = ImageFormat.auto,
    address: Annotated[
        int | None, typer.Option(parser=parse_number, metavar="N", help="Load address of a flat binary.")
    ] = None,
    verify: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Self-check: compare every N-th access with the instruction that makes it.",
        ),
    ] = 0,
    feed: Annotated[
        FeedName | None,
        typer.Option(
            help="What tells the model of data accesses: access plans, made when a block is decoded, or "
            "memory hooks, the slower reference; the counts are the same. [default: planned]"
        ),
    ] = None,
    summary: Annotated[
        bool | None,
        typer.Option(
            "--summary/--no-summary",
            help="Say on stderr what the run cost (default: unless the guest ended it).",
        ),
    ] = None,
) -> None:
    """Run a guest image; its serial line is this terminal. Ctrl-C stops it and says what the run cost."""
    from emulator.machine import Machine
    from emulator.timing.profile import load_profile
    from loader import load_symbols

    if stats == "-" and serial == "stdio":
        raise typer.BadParameter(
            "it would be mixed with the guest's output; say --serial FILE", param_hint="--stats -"
        )
    cpu = load_profile(profile)
    if manifest is not None:
        others = [image, module, initrd, address, format.value if format.value != "auto" else None]
        if any(value not in (None, []) for value in others):
            rule = "it says what is booted: no IMAGE, --module, --initrd, --format or --address with it"
            raise typer.BadParameter(rule, param_hint="--manifest")
        loaded = _composed(manifest, trust or [], trust_unsigned or [], memory, append)
    elif image is None:
        raise typer.BadParameter("Missing argument: an image, or --manifest", param_hint="IMAGE")
    elif trust or trust_unsigned:
        raise typer.BadParameter("they go with --manifest", param_hint="--trust, --trust-unsigned")
    else:
        loaded = _loaded(image, module or [], initrd, memory, append, format, address)
    extra = [load_symbols(path, loaded.name) for path in symbols or []]
    for note in loaded.notes:
        say(note)
    with (
        open_disks(disk or []) as disks,
        open_serial(serial) as out,
        _open_stats(stats) as stats_file,
        open_screenshot(screenshot) as picture,
    ):
        machine = Machine(
            cpu,
            memory_bytes=memory,
            serial_out=out.write,
            disks=disks,
            verify=verify,
            feed=None if feed is None else feed.value,
        )
        machine.load(loaded)
        machine.symbols.add(extra)
        run = Run(machine, cpu, loaded, memory, serial)
        outcome, request = run.go(out, max_cycles)
        status = int(request.status) if outcome.kind == "interrupted" else outcome.status
        if out.error is not None:
            status = ExitStatus.ERROR
        write_screenshot(machine, picture)
        if machine.verifier is not None and not _say_verification(machine.verifier.result):
            status = ExitStatus.ERROR
        if out.silent and stats != "-":
            show_screen(machine)
        if outcome.kind != "exit" and out.error is None:
            say(outcome.message or MEANING[request.status])
        run.report(status, outcome, stats_file, summary if summary is not None else outcome.kind != "exit")
        out.check()
    raise typer.Exit(status)


def _loaded(
    image: str,
    module: list[str],
    initrd: str | None,
    memory: int,
    append: str,
    format: ImageFormat,
    address: int | None,
) -> "Image":
    from loader import load_image, load_module

    return load_image(
        image,
        memory_bytes=memory,
        append=append,
        modules=[load_module(*_split(text)) for text in module],
        initrd=initrd,
        format=format.value,
        address=address,
    )


def _composed(manifest: str, trust: list[str], unsigned: list[str], memory: int, append: str) -> "Image":
    """Compose, and show who answers for each extension."""
    from emulator.composition import Composer

    composed = Composer(manifest, trust, unsigned).compose(memory, append)
    for extension in composed.sandbox.extensions if composed.sandbox is not None else ():
        say(f"extension {extension.name}: {extension.authorisation.by}")
    return composed.image


def _say_verification(result: "Verification") -> bool:
    """Tell what the self-check found; True if it found nothing wrong."""
    say(f"self-check: {result.checked:,} accesses compared, {result.wrong:,} differ")
    for example in result.examples:
        say(f"  {example}")
    return not result.wrong


def _split(text: str) -> tuple[str, str]:
    """FILE and the module's string: the file's name without folders, then the arguments."""
    words = text.split(maxsplit=1)
    if not words:
        raise CliError("--module needs a file", ExitStatus.USAGE)
    name = Path(words[0]).name
    return words[0], " ".join([name.removesuffix(".elf"), *words[1:]])
