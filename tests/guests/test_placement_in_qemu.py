"""What our loaders place, with nothing else in memory and no BIOS, is what real kernels can start from."""

import re
from pathlib import Path

import pytest
from debian import Guests
from image_in_qemu import Console, command

from loader import load_image

pytestmark = [pytest.mark.guest, pytest.mark.usefixtures("qemu")]
MEMORY = 128 << 20
LINE = "console=ttyS0 nokaslr"


def test_debians_kernel_is_told_apart_and_fits_in_64_mb(guests: Guests) -> None:
    image = load_image(guests.kernel, memory_bytes=64 << 20, initrd=guests.initramfs)
    facts = dict(image.facts)
    assert re.match(r"6\.1\.\d+-\d+-686 ", facts["kernel version"])
    assert (facts["boot protocol"], facts["compression"]) == ("2.15", "xz")
    assert (image.entry.eip, image.entry.registers["esi"]) == (0x100000, 0x90000)


def test_linux_boots_to_a_shell_from_our_placement(guests: Guests, tmp_path: Path) -> None:
    image = load_image(guests.kernel, memory_bytes=MEMORY, append=LINE, initrd=guests.initramfs)
    disk = image.segments[-1]
    with Console(command(image, tmp_path, MEMORY, "-cpu", "pentium3")) as console:
        ready = console.expect("initramfs: ready")
        prompt = console.expect("\n# ", ready)
        console.type("cat /proc/cmdline; echo e'n'd\n")
        end = console.expect("\nend", prompt)
        answer = console.output[prompt:end].decode()
        log = console.output.decode(errors="replace")
    assert LINE in answer
    ranges = re.findall(r"e820: \[mem 0x0*(\w+)-0x0*(\w+)\] (\w+)", log)
    assert ranges == [
        ("0", "9fbff", "usable"),
        ("9fc00", "9ffff", "reserved"),
        ("e0000", "fffff", "reserved"),
        ("100000", f"{MEMORY - 1:x}", "usable"),
    ]
    last = (disk.end + 0xFFF & -0x1000) - 1
    assert f"RAMDISK: [mem 0x{disk.address:08x}-0x{last:08x}]" in log
    assert "Console: colour VGA+ 80x25" in log


def test_memtest86_starts_from_our_placement(guests: Guests, tmp_path: Path) -> None:
    image = load_image(guests.memtest, memory_bytes=MEMORY, append="console=ttyS0,115200")
    assert "Memtest86+" in dict(image.facts)["kernel version"]
    with Console(command(image, tmp_path, MEMORY)) as console:
        console.expect("Pass", console.expect("Memtest86+"))
