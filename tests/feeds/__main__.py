"""`python -m tests.feeds IMAGE`: run an image in both feeds and report the first block that differs."""

import argparse
import sys
from pathlib import Path

from emulator.cli.options import parse_memory
from emulator.devices.ide import Disk
from emulator.machine import Feed, Machine
from emulator.timing.profile import load_profile
from loader import load_image
from tests.feeds.compare import compare
from tests.support import PENTIUM4


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", type=Path)
    parser.add_argument("--profile", default=PENTIUM4)
    parser.add_argument("--memory", type=parse_memory, default=64 << 20)
    parser.add_argument("--append", default="")
    parser.add_argument("--initrd", type=Path)
    parser.add_argument("--disk", type=Path)
    parser.add_argument("--window", type=float, default=1e6, help="modelled cycles between two comparisons")
    parser.add_argument("--limit", type=float, default=1e12, help="modelled cycles")
    options = parser.parse_args()
    data = options.image.read_bytes()

    def make(feed: Feed) -> Machine:
        disks = [Disk.open(options.disk)] if options.disk else ()
        machine = Machine(load_profile(options.profile), memory_bytes=options.memory, feed=feed, disks=disks)
        machine.load(
            load_image(
                data,
                name=options.image.name,
                memory_bytes=options.memory,
                append=options.append,
                initrd=options.initrd,
            )
        )
        return machine

    difference, outcome = compare(make, window=int(options.window), limit=int(options.limit))
    print(difference or f"equal; {outcome.message}")
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main())
