"""Options and values that several commands share."""

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import typer

import emulator

if TYPE_CHECKING:
    from emulator.timing.profile import Profile

DEFAULT_PROFILE = "pentium4-willamette-1400"
LEAST_MEMORY, MOST_MEMORY = 1 << 20, 3 << 30
PAGE = 4096

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class Flush(StrEnum):
    """How the kernel invalidates when it opens and closes the sandbox."""

    invlpg = "invlpg"
    cr3 = "cr3"


class Entry(StrEnum):
    """How an upcall enters ring 3."""

    sysexit = "sysexit"
    iret = "iret"


class ImageFormat(StrEnum):
    """The formats of guest images."""

    auto = "auto"
    elf = "elf"
    multiboot = "multiboot"
    multiboot2 = "multiboot2"
    bzimage = "bzimage"
    linux = "linux"
    flat = "flat"


def parse_number(text: str) -> int:
    """A whole number: decimal, or hexadecimal with 0x."""
    try:
        return int(text, 0)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a number (123 or 0x7b)") from None


def parse_count(text: str) -> int:
    """A positive number; 1e9 and 2_000_000 are fine."""
    try:
        value = int(float(text)) if re.fullmatch(r"\d+(\.\d+)?[eE]\d{1,2}", text) else int(text, 0)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a number (5000000, 5e6)") from None
    if value <= 0:
        raise typer.BadParameter("must be more than 0")
    return value


def parse_memory(text: str) -> int:
    """A size of memory: 64M, 1G, 131072K, or bytes."""
    match = re.fullmatch(r"(\d+)\s*([KMG]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a size of memory (64M, 1G, 131072K)")
    value = int(match[1]) * UNITS[match[2].upper()]
    if not LEAST_MEMORY <= value <= MOST_MEMORY or value % PAGE:
        raise typer.BadParameter("memory is a multiple of 4K from 1M to 3G")
    return value


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ringtoll {emulator.__version__}")
        raise typer.Exit


version_option: Any = typer.Option(
    False, "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
)


def examples(*lines: str) -> str:
    """The examples under a command's help, one to a line."""
    return "Examples:\n\n" + "\n\n".join(f"  {line}" for line in lines)


def profile_label(profile: "Profile") -> str:
    """The profile's name for a report; a changed copy must not pass for the profile it was copied from."""
    from emulator.timing.profile import load_profile, profile_names

    if profile.name in profile_names() and profile != load_profile(profile.name):
        return f"{profile.name} (changed)"
    return profile.name
