"""From a manifest to the words that `init` gets (guest/programs/init.c): at most 32, of 63 characters."""

from emulator.manifest import ExtensionEntry, Manifest

HZ = 100  # ABI_HZ
LONGEST_WORD, MOST_WORDS = 63, 32
MODES = {"direct": 0, "threaded": 1}


def init_words(manifest: Manifest) -> list[str] | None:
    """The module's string for init, as words; None if there is nothing for it to do."""
    owned = [e for e in manifest.extension if e.owner == "init"]
    if not owned:
        return None
    words = ["init", "prio=99"]
    if manifest.program:
        words.append(f"processes={len(manifest.program)}")
    if manifest.init.seconds is not None:
        words.append(f"ticks={max(1, round(manifest.init.seconds * HZ))}")
    for extension in owned:
        words += _pack([extension.name, *_settings(extension)])
    return words


def _settings(extension: ExtensionEntry) -> list[str]:
    found = []
    if extension.mode is not None:
        found.append(f"mode={MODES[extension.mode]}")
    if extension.priority is not None:
        found.append(f"priority={extension.priority}")
    if extension.budget is not None:
        found.append(f"budget={extension.budget}")
    found += [f"ports={p.first:#x}+{p.count}" for p in extension.ports]
    found += [b.source if b.period is None else f"{b.source}={b.period}" for b in extension.bind]
    return found


def _pack(parts: list[str]) -> list[str]:
    """Joined by commas, into words that are short enough; those that go on begin with one."""
    words = [parts[0]]
    for part in parts[1:]:
        if len(words[-1]) + 1 + len(part) > LONGEST_WORD:
            words.append("")
        words[-1] += f",{part}"
    return words
