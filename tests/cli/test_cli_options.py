"""Values on the command line."""

import msgspec
import pytest
import typer

from emulator.cli.options import parse_count, parse_memory, parse_number, profile_label
from emulator.timing.profile import load_profile


@pytest.mark.parametrize(
    ("text", "size"),
    [("64M", 64 << 20), ("1g", 1 << 30), ("131072K", 128 << 20), ("8MiB", 8 << 20), ("1048576", 1 << 20)],
)
def test_memory_has_a_unit_or_is_in_bytes(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "64X", "-1M", "512K", "4G", "1048577", "1.5M"])
def test_memory_that_no_machine_could_have_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_memory(text)


@pytest.mark.parametrize(
    ("text", "count"), [("5e9", 5_000_000_000), ("1.5e3", 1500), ("2_000", 2000), ("0x10", 16)]
)
def test_a_count_may_be_written_short(text: str, count: int) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize("text", ["0", "-5", "many", "1e999", ""])
def test_a_count_is_a_number_above_zero(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_count(text)


def test_an_address_may_be_hexadecimal() -> None:
    assert parse_number("0x100000") == 1 << 20


def test_a_changed_profile_does_not_pass_for_the_one_it_was_copied_from() -> None:
    profile = load_profile("pentium4-willamette-1400")
    assert profile_label(profile) == "pentium4-willamette-1400"
    changed = msgspec.structs.replace(profile, mhz=msgspec.structs.replace(profile.mhz, value=1500))
    assert profile_label(changed) == "pentium4-willamette-1400 (changed)"
    assert profile_label(msgspec.structs.replace(changed, name="mine")) == "mine"
