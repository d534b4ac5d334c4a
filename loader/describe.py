"""An image as tables of text, for `ringtoll images` and for reports."""

from dataclasses import dataclass

from loader.image import EntryState, Image


@dataclass(frozen=True, slots=True)
class Table:
    """A title, the names of the columns, and rows of text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def describe(image: Image) -> tuple[Table, ...]:
    """Four tables: the image, its segments by address, its symbol files, its notes."""
    facts = (
        ("name", image.name),
        ("format", image.format),
        ("sha256", image.sha256),
        ("entry", describe_entry(image.entry)),
        ("memory needed", f"{image.memory_needed:#x}"),
        *image.facts,
    )
    by_address = sorted(image.segments, key=lambda s: s.address)
    segments = tuple(
        (s.name, f"{s.address:#010x}", f"{s.end:#010x}", str(len(s.data)), str(s.memory_size))
        for s in by_address
    )
    symbols = tuple((s.name, str(len(s.symbols)), str(sum(len(c) for _, c in s.code))) for s in image.symbols)
    return (
        Table("image", ("what", "value"), facts),
        Table("segments", ("name", "start", "end", "bytes in file", "bytes in memory"), segments),
        Table("symbols", ("file", "symbols", "bytes of code"), symbols),
        Table("notes", ("note",), tuple((note,) for note in image.notes)),
    )


def describe_entry(entry: EntryState) -> str:
    """The entry state on one line."""
    where = f"{entry.eip:#x}" if entry.cs is None else f"{entry.cs:04x}:{entry.eip:04x}"
    where += "" if entry.ds is None else f" ds={entry.ds:#x}"
    registers = "".join(f" {name}={value:#x}" for name, value in entry.registers.items())
    return f"{entry.mode} {where}{registers}"
