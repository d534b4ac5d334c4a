"""CPU profiles: what a named CPU's caches, TLBs and instructions cost, with a source beside every number.

A profile is a TOML file (`profiles/*.toml`, or any path). Loading refuses unknown and missing keys, a number
without a source, an estimate without a range, and a geometry that the model cannot build.

A name or path may end in `+WHAT-IF`: the same CPU with one thing that it never had, for an experiment.
"""

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Final

import msgspec

from emulator.timing.classes import CLASS_CAUSE
from emulator.timing.profile_rules import broken_rules
from emulator.timing.schema import Choice, Number, Profile

__all__ = [
    "WHAT_IF",
    "Choice",
    "Number",
    "Profile",
    "ProfileError",
    "apply_what_if",
    "load_profile",
    "parse_profile",
    "profile_names",
    "unit_of",
]


class ProfileError(ValueError):
    """A profile that cannot be used: names the file, the key and the rule."""

    def __init__(self, file: str, key: str, rule: str) -> None:
        super().__init__(f"{file}: {key}: {rule}")
        self.file, self.key, self.rule = file, key, rule


WHAT_IF: Final = {"tagged-tlb": "no such CPU existed: a tagged TLB, for an experiment"}

_UNITS: Final = {
    "mhz": "MHz", "kb": "KB", "ways": "ways", "entries": "entries", "ras_entries": "entries", "line": "bytes",
    "uops": "uops", "uops_per_line": "uops", "code_bytes_per_line": "bytes", "store_exposed_percent": "%",
}  # fmt: skip


def unit_of(key: str) -> str:
    """The unit of the number with this key: core cycles unless the key says otherwise."""
    if key.startswith("cpuid."):
        return "hex"
    return _UNITS.get(key.rpartition(".")[2], "cycles")


def profile_names() -> list[str]:
    """The profiles in the package, sorted."""
    folder = resources.files("emulator.timing") / "profiles"
    return sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_profile(name_or_path: str | Path) -> Profile:
    """Load a profile of the package by name, or any TOML file by path; ProfileError if it breaks a rule.

    A string may end in `+tagged-tlb` (`WHAT_IF`); the name and the title of the profile then say so.
    """
    label = str(name_or_path)
    if isinstance(name_or_path, str) and "+" in name_or_path and not Path(name_or_path).exists():
        base, _, what_if = name_or_path.rpartition("+")
        return apply_what_if(load_profile(base), what_if, label)
    try:
        if isinstance(name_or_path, str) and name_or_path in profile_names():
            folder = resources.files("emulator.timing") / "profiles"
            text = (folder / f"{name_or_path}.toml").read_text(encoding="utf-8")
        elif isinstance(name_or_path, Path) or name_or_path.endswith(".toml"):
            text = Path(name_or_path).read_text(encoding="utf-8")
        else:
            known = ", ".join(profile_names())
            raise ProfileError(label, "name", f"no such profile; there are {known}, or give a .toml path")
    except OSError as error:
        raise ProfileError(label, "file", error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise ProfileError(label, "file", f"not UTF-8 text ({error.reason})") from error
    return parse_profile(text, label)


def apply_what_if(profile: Profile, what_if: str, label: str) -> Profile:
    """The profile with one thing changed that no such CPU had; ProfileError if there is no such what-if."""
    if what_if not in WHAT_IF:
        raise ProfileError(label, "what-if", f"no such what-if; there are {', '.join(WHAT_IF)}")
    tagged = Choice(True, f"definition: what-if {what_if}; {WHAT_IF[what_if]}")
    return msgspec.structs.replace(
        profile,
        name=f"{profile.name}+{what_if}",
        title=f"{profile.title} [what-if {what_if}: no such CPU existed]",
        tlb=msgspec.structs.replace(profile.tlb, tagged=tagged),
    )


def parse_profile(text: str, file: str) -> Profile:
    """Parse and check the text of a profile; `file` is only named in errors."""
    try:
        raw: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(file, "syntax", str(error)) from error
    if isinstance(classes := raw.get("class"), dict):
        for name, value in classes.items():  # apart, so that an error names the class
            _convert(value, Number, f"class.{name}", file)
    profile: Profile = _convert(raw, Profile, "", file)
    for key, rule in broken_rules(profile, CLASS_CAUSE):
        raise ProfileError(file, key, rule)
    return profile


def _convert(value: object, kind: type, prefix: str, file: str) -> Any:
    try:
        return msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as error:
        match = re.fullmatch(r"(?P<rule>.*?)(?: - at `\$\.?(?P<key>.*)`)?", str(error), re.DOTALL)
        assert match is not None
        key = ".".join(part for part in (prefix, match["key"]) if part) or "profile"
        raise ProfileError(file, key, match["rule"]) from error
