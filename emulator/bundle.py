"""The guest images that Ringtoll carries: found beside the package, checked against their manifest.

`make guest` builds them in a source tree, a wheel has them inside.

::

    images/MANIFEST      one line per file: sha256, two spaces, name
    images/kernel.elf    the mini kernel, multiboot 1
    images/NAME.elf      programs
    images/NAME.o        extensions, linked into one sandbox image when they are needed
    images/runtime.o     what every sandbox image has: return stubs
    images/libc_sandbox.o    and the libc of extensions
    images/include/      headers, for `ringtoll ext build`
"""

import hashlib
from dataclasses import dataclass
from importlib import resources

from emulator.exitstatus import ExitStatus

MANIFEST = "MANIFEST"
KERNEL = "kernel.elf"
RUNTIME = "runtime.o"
LIBC = "libc_sandbox.o"


class BundleError(Exception):
    """The guest images are missing or damaged."""

    status = ExitStatus.IMAGE_REFUSED


@dataclass(frozen=True, slots=True)
class Bundle:
    """The images by file name."""

    files: dict[str, bytes]

    def __getitem__(self, name: str) -> bytes:
        try:
            return self.files[name]
        except KeyError:
            raise BundleError(f"there is no guest image {name}; there are {', '.join(self.files)}") from None

    @property
    def extensions(self) -> list[str]:
        """The names of all extensions, sorted; the runtime and the libc are none."""
        return sorted(n[:-2] for n in self.files if n.endswith(".o") and n not in (RUNTIME, LIBC))

    @property
    def libc(self) -> bytes | None:
        """The libc of extensions, if this build has one."""
        return self.files.get(LIBC)


def load_bundle() -> Bundle:
    """Read all images; a BundleError if one is missing or differs from the manifest."""
    folder = resources.files("emulator") / "images"
    if not (folder / MANIFEST).is_file():
        raise BundleError("the guest images have not been built; in a source tree say `make guest`")
    files: dict[str, bytes] = {}
    for line in (folder / MANIFEST).read_text(encoding="utf-8").splitlines():
        checksum, _, name = line.partition("  ")
        try:
            files[name] = (folder / name).read_bytes()
        except OSError as error:
            raise BundleError(f"guest image {name}: {error.strerror}; say `make guest`") from error
        if hashlib.sha256(files[name]).hexdigest() != checksum:
            raise BundleError(f"guest image {name} is damaged (its SHA-256 is not the manifest's)")
    return Bundle(files)
