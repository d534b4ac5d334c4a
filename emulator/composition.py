"""From a manifest and the files that it names to an image that a machine can start.

manifest -> extensions, each authorised -> sandbox image, sealed     --+
-> programs, and init with its instructions                 --+-> modules  -> Image
-> kernel options, uls_key=, uls_trust=                     ----> command line
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emulator.bundle import KERNEL, RUNTIME, Bundle, load_bundle
from emulator.instructions import MOST_WORDS, init_words
from emulator.manifest import ExtensionEntry, Manifest, ManifestError, load_manifest
from loader import Image, Module, load_image, read_file
from loader.authorisation import Authority, Candidate, authorise, policy
from loader.elf import parse_elf
from loader.sandbox import Extension, SandboxImage, link_sandbox
from loader.sandbox_seal import Sealer
from loader.signature import LONGEST, SUFFIX, load_public, load_seed

LONGEST_COMMAND_LINE = 1023  # boot_info.cmdline
MOST_MODULES = 32  # MAX_MODULES


@dataclass(frozen=True, slots=True)
class Composed:
    """An image and what went into it."""

    image: Image
    sandbox: SandboxImage | None
    files: dict[str, str]
    """The file of each extension by its name, and its SHA-256."""
    modules: tuple[Module, ...]
    command_line: str


class Composer:
    """Finds files: relative to the manifest, or among the images that Ringtoll carries."""

    def __init__(self, path: str, trust: Sequence[str] = (), unsigned: Sequence[str] = ()) -> None:
        self.file = Path(path).name
        self.folder = Path(path).parent
        self.manifest: Manifest = load_manifest(path)
        self.bundle: Bundle = load_bundle()
        self.trust = [Path(key) for key in trust]
        self.unsigned = list(unsigned)

    def compose(self, memory_bytes: int, append: str = "") -> Composed:
        """Read, judge, link; errors name the file and the rule."""
        manifest = self.manifest
        sandbox, files = self._sandbox()
        modules = [] if sandbox is None else [Module("sandbox", sandbox.elf)]
        words = self.words()
        if words:
            modules.append(Module(" ".join(words), self.bundle["init.elf"]))
        for program in manifest.program:
            priority = [f"prio={program.priority}"] if program.priority else []
            string = " ".join([program.name, *priority, *program.arguments])
            data = self._read(program.file, f"{program.name}.elf")
            parse_elf(data, program.file or program.name)  # refused here, not by the guest
            modules.append(Module(string, data))
        if len(modules) > MOST_MODULES:
            raise self._refused(
                "program", f"the kernel takes {MOST_MODULES} modules, these are {len(modules)}"
            )
        parts = [manifest.kernel.command_line, sandbox.options if sandbox is not None else "", append]
        line = " ".join(p for p in parts if p)
        if len(line) > LONGEST_COMMAND_LINE:
            rule = f"the kernel's command line has at most {LONGEST_COMMAND_LINE} characters"
            raise self._refused("kernel", f"{rule}, this has {len(line)}")
        name = Path(manifest.kernel.image).name or KERNEL
        kernel = self._read(manifest.kernel.image, KERNEL)
        image = load_image(kernel, name=name, memory_bytes=memory_bytes, append=line, modules=modules)
        return Composed(image, sandbox, files, tuple(modules), line)

    def words(self) -> list[str]:
        """Init's name and instructions; none if it has nothing to do."""
        words = init_words(self.manifest) or []
        if len(words) > MOST_WORDS:
            raise self._refused("extension", f"init takes {MOST_WORDS} words, these are {len(words)}")
        return words

    def _refused(self, key: str, rule: str) -> ManifestError:
        return ManifestError(f"{self.file}: {rule} - at `$.{key}`")

    def _read(self, file: str, otherwise: str) -> bytes:
        return read_file(self.folder / file, file) if file else self.bundle[otherwise]

    def _sandbox(self) -> tuple[SandboxImage | None, dict[str, str]]:
        manifest = self.manifest
        if not manifest.extension:
            return None, {}
        options = manifest.authorisation
        keys = [self.folder / key for key in options.trust] + self.trust
        known = {load_public(path.name, _small(path)): path.name for path in keys}
        names = [e.name for e in manifest.extension]
        for name in [*options.unsigned, *self.unsigned]:
            if name not in names:
                raise ManifestError(
                    f"{self.file}: there is no extension {name!r} to be trusted - at `$.authorisation`"
                )
        authorities = policy(known, [*options.unsigned, *self.unsigned])
        extensions = [self._extension(e, authorities) for e in manifest.extension]
        sealer = None
        if options.seal:
            sealer = Sealer(load_seed(options.seal, _small(self.folder / options.seal)))
        sandbox = link_sandbox(extensions, self.bundle[RUNTIME], self.bundle.libc, sealer)
        return sandbox, {e.name: hashlib.sha256(e.object).hexdigest() for e in extensions}

    def _extension(self, entry: ExtensionEntry, authorities: Sequence[Authority]) -> Extension:
        data = self._read(entry.file, f"{entry.name}.o")
        signature: bytes | None = None
        where = self.folder / (entry.signature or entry.file + SUFFIX)
        if entry.signature or (entry.file and where.exists()):
            signature = _small(where)
        file = entry.file or f"{entry.name}.o"
        by = authorise(Candidate(entry.name, file, data, signature), authorities)
        return Extension(
            entry.name, data, stack_size=entry.stack, handler=entry.handler, file=file, authorisation=by
        )


def _small(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LONGEST + 1)
