"""Build the guest and put its images where the emulator finds them: `emulator/images/`, with a MANIFEST.

    python guest/collect.py

Needs make, and the packages ziglang and pyelftools; the rest is the standard library, since the wheel's build
runs this as well (`hatch_build.py`).
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

TOOLS = ("ziglang==0.17.1", "pyelftools>=0.31")
"""What must be installed besides make."""

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "guest" / "build"
IMAGES = ROOT / "emulator" / "images"
HEADERS = (ROOT / "guest" / "include", ROOT / "guest" / "libc" / "include")
"""What `ringtoll ext build` compiles with."""


def build() -> None:
    """Run the guest's own Makefile with this Python's compiler package."""
    make = shutil.which("make")
    if make is None:
        sys.exit("guest: make is not installed, and the guest images have to be built")
    jobs = f"-j{os.cpu_count() or 1}"
    command = [
        make,
        "-s",
        "--no-print-directory",
        jobs,
        "-C",
        str(ROOT / "guest"),
        f"PYTHON={sys.executable}",
    ]
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS")}
    done = subprocess.run(command, env=environment, check=False)
    if done.returncode:
        sys.exit(f"guest: the build failed (make ended with status {done.returncode})")


def collect() -> list[str]:
    """Copy the images and write the manifest; gives the names."""
    images = sorted([*BUILD.glob("*.elf"), *BUILD.glob("*.o")], key=lambda path: path.name)
    if not any(path.name == "kernel.elf" for path in images):
        sys.exit("guest: the build made no kernel.elf")
    shutil.rmtree(IMAGES, ignore_errors=True)
    IMAGES.mkdir(parents=True)
    lines = []
    for path in images:
        shutil.copyfile(path, IMAGES / path.name)
        lines.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    for headers in HEADERS:
        shutil.copytree(headers, IMAGES / "include", dirs_exist_ok=True)
    (IMAGES / "MANIFEST").write_text("".join(lines), encoding="utf-8")
    return [path.name for path in images]


def main() -> None:
    """Build and collect."""
    build()
    print(f"guest: {len(collect())} images in {IMAGES.relative_to(ROOT)}/")


if __name__ == "__main__":
    main()
