import shutil
import subprocess
from pathlib import Path

import pytest
from firmware_memory import MEMORY, P3, P4, Memory

IASL = shutil.which("iasl")
ACPIEXEC = shutil.which("acpiexec")


def word(data: bytes, offset: int, size: int) -> int:
    return int.from_bytes(data[offset : offset + size], "little")


@pytest.mark.parametrize("cpu", [P3, P4])
def test_the_root_pointer_leads_to_all_tables(cpu: tuple[int, int]) -> None:
    assert sorted(Memory(*cpu).acpi()) == ["APIC", "DSDT", "FACP", "FACS", "RSDT"]


def test_the_fixed_table_is_of_revision_1_and_names_the_ports() -> None:
    _, fadt = Memory().acpi()["FACP"]
    assert (len(fadt), fadt[8]) == (116, 1)
    assert word(fadt, 46, 2) == 9
    assert (word(fadt, 48, 4), fadt[52], fadt[53]) == (0xB2, 0xF1, 0xF0)
    assert [word(fadt, offset, 4) for offset in (56, 60, 64, 68, 72, 76, 80)] == [
        0x600,
        0,
        0x604,
        0,
        0,
        0x608,
        0,
    ]
    assert list(fadt[88:94]) == [4, 2, 0, 4, 0, 0]


def test_the_firmware_control_structure_is_aligned() -> None:
    address, facs = Memory().acpi()["FACS"]
    assert address % 64 == 0
    assert facs == b"FACS\x40".ljust(64, b"\0")


def test_the_madt_lists_one_processor_one_io_apic_and_where_irq0_goes() -> None:
    _, madt = Memory().acpi()["APIC"]
    assert (word(madt, 36, 4), word(madt, 40, 4)) == (0xFEE00000, 1)
    found, at = [], 44
    while at < len(madt):
        found.append(madt[at : at + madt[at + 1]])
        at += madt[at + 1]
    assert at == len(madt)
    assert found == [
        bytes.fromhex("0008 00 00 01000000"),
        bytes.fromhex("010c 01 00 0000c0fe 00000000"),
        bytes.fromhex("020a 00 00 02000000 0000"),
        bytes.fromhex("020a 00 09 09000000 0d00"),
        bytes.fromhex("0406 ff 0000 01"),
    ]


def disassemble(folder: Path, signature: str, data: bytes) -> str:
    """What iasl makes of a table; it must find nothing wrong."""
    file = folder / f"{signature}.dat"
    file.write_bytes(data)
    assert IASL is not None
    result = subprocess.run([IASL, "-d", file.name], cwd=folder, capture_output=True, text=True, check=True)
    said = result.stdout + result.stderr
    assert not [
        line for line in said.splitlines() if "rror" in line or "nvalid" in line or "ncorrect" in line
    ], said
    return file.with_suffix(".dsl").read_text()


@pytest.mark.skipif(IASL is None, reason="needs iasl, of Debian's package acpica-tools")
@pytest.mark.parametrize("pci", [False, True])
def test_iasl_accepts_every_table(tmp_path: Path, pci: bool) -> None:
    text = {
        signature: disassemble(tmp_path, signature, data)
        for signature, (_, data) in Memory(*P4, MEMORY, pci).acpi().items()
    }
    assert "Local Apic Address : FEE00000" in text["APIC"]
    assert "PM Timer Block Address : 00000608" in text["FACP"]
    assert ("_SB" in text["DSDT"]) is pci
    result = subprocess.run(
        [str(IASL), "DSDT.dsl"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "0 Errors" in result.stdout, result.stdout
    compiled = (tmp_path / "DSDT.aml").read_bytes()
    assert compiled[36:] == (tmp_path / "DSDT.dat").read_bytes()[36:], "and compiles to the same bytes"


@pytest.mark.skipif(ACPIEXEC is None, reason="needs acpiexec, of Debian's package acpica-tools")
@pytest.mark.parametrize(
    ("path", "value"),
    [("\\_S5", "[Package] Contains 4 Elements"), ("\\_SB.PCI0._HID", "[Integer] = 00000000030AD041")],
)
def test_an_interpreter_evaluates_the_names(tmp_path: Path, path: str, value: str) -> None:
    (tmp_path / "DSDT.aml").write_bytes(Memory().acpi()["DSDT"][1])
    result = subprocess.run(
        [str(ACPIEXEC), "-b", f"evaluate {path}", "DSDT.aml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert value in result.stdout, result.stdout
    assert "AE_" not in result.stdout.replace("AE_OK", ""), result.stdout
