"""The rules that a profile must keep beyond its types: sources, ranges, geometry, and no class left out."""

import math
import re
from collections.abc import Container, Iterable, Iterator
from typing import Final

from emulator.timing.schema import MARKS, Choice, Number, Profile, TlbArray

# "notes" are the project's microarchitecture notes, for a number that they give without naming a document.
# Every source that is not an estimate or a definition names at least one of these documents.
DOCUMENTS: Final = (
    "ILx AF4 AF3 SDM3A SDM2A IO-P4 IO-P3 HT LK-LT1 LK-RBJ LK-TLB LK-BCRL LK-PC LK-MAU LK-CR2 LK-PCID LK-INV "
    "notes PTI X86LOL PISTA MAME PALL L4P5"
)
_DOCUMENT: Final = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, DOCUMENTS.split()))})(?![\w-])")
_WORD: Final = re.compile(r"[a-z]+")

Broken = Iterator[tuple[str, str]]


def broken_rules(profile: Profile, classes: Iterable[str]) -> Broken:
    """Yield (key, rule) for everything wrong with the profile."""
    for key, item in profile.settings():
        yield from _source(key, item.source, item.is_estimate)
        yield from _number(key, item) if isinstance(item, Number) else _choice(key, item)
    if not profile.name:
        yield "name", "must not be empty"
    if profile.mhz.value <= 0:
        yield "mhz", "must be above 0"
    wanted = set(classes)
    for name in sorted(wanted - profile.classes.keys()):
        yield f"class.{name}", "missing: a profile prices every instruction class"
    for name in sorted(profile.classes.keys() - wanted):
        yield f"class.{name}", "no such instruction class"
    yield from _cpuid(profile)
    yield from _tlb(profile)
    yield from _cache(profile)


def _source(key: str, source: str, estimate: bool) -> Broken:
    mark = _WORD.match(source)
    if mark is None or mark[0] not in MARKS:
        yield f"{key}.source", f"must begin with one of {', '.join(MARKS)}"
    elif not estimate and mark[0] != "definition" and not _DOCUMENT.search(source):
        yield f"{key}.source", "must name a document by its short id, such as ILx or SDM2A"
    elif estimate and len(source) < len("estimate: not found"):
        yield f"{key}.source", "an estimate must say why"


def _number(key: str, number: Number) -> Broken:
    if not math.isfinite(number.value) or not 0 <= number.value < 2**32:
        yield f"{key}.value", "must be finite, not negative and below 2^32"
    if number.range is None:
        if number.is_estimate:
            yield f"{key}.range", "an estimate needs a range"
        return
    low, high = number.range
    if not (math.isfinite(low) and math.isfinite(high) and 0 <= low <= number.value <= high):
        yield f"{key}.range", f"must be [low, high] around the value {number.value}"
    if number.is_estimate and low == high:
        yield f"{key}.range", "an estimate's range must not be a single point"


def _choice(key: str, choice: Choice) -> Broken:
    if choice.alternatives and choice.value not in choice.alternatives:
        yield f"{key}.alternatives", "must contain the value"
    if choice.is_estimate and len(choice.alternatives) < 2:
        yield f"{key}.alternatives", "an estimate needs the alternatives to try"


def _cpuid(profile: Profile) -> Broken:
    if len(str(profile.cpuid.vendor.value)) != 12:
        yield "cpuid.vendor.value", "must have 12 characters"
    if len(str(profile.cpuid.brand.value)) > 48:
        yield "cpuid.brand.value", "must have at most 48 characters"


def _power_of_two(key: str, number: Number) -> Broken:
    value = number.value
    if not isinstance(value, int) or value < 1 or value & (value - 1):
        yield f"{key}.value", f"must be a power of two, not {value}"


def _tlb(profile: Profile) -> Broken:
    if not isinstance(profile.tlb.tagged.value, bool):
        yield "tlb.tagged.value", "must be true or false"
    names = ("dtlb_4k", "dtlb_4m", "itlb_4k", "itlb_4m")
    for name in names:
        array: TlbArray = getattr(profile.tlb, name)
        own = (array.entries, array.ways, array.replacement)
        key = f"tlb.{name}"
        if array.shared_with is not None:
            target = str(array.shared_with.value)
            if target not in names or target == name or getattr(profile.tlb, target).shared_with is not None:
                yield f"{key}.shared_with", "must name another TLB with a geometry of its own"
            if own != (None, None, None):
                yield key, "shared_with excludes entries, ways and replacement"
        elif array.entries is None or array.ways is None or array.replacement is None:
            yield key, "needs entries, ways and replacement, or shared_with"
        else:
            yield from _power_of_two(f"{key}.entries", array.entries)
            yield from _power_of_two(f"{key}.ways", array.ways)
            if array.ways.value > array.entries.value:
                yield f"{key}.ways", "must not exceed entries"
            yield from _one_of(f"{key}.replacement", array.replacement, ("lru", "fifo"))


def _one_of(key: str, choice: Choice, allowed: Container[bool | str]) -> Broken:
    for value in (choice.value, *choice.alternatives):
        if value not in allowed:
            yield key, f"must be one of {allowed}, not {value!r}"


def _sets(key: str, lines: int, ways: Number) -> Broken:
    yield from _power_of_two(f"{key}.ways", ways)
    sets, rest = divmod(lines, int(ways.value) or 1)
    if rest or sets < 1 or sets & (sets - 1):
        yield key, f"{lines} lines in {ways.value} ways are not a power of two of sets"


def _cache(profile: Profile) -> Broken:
    cache = profile.cache
    for name, part in (("l1d", cache.l1d), ("l2", cache.l2)):
        key = f"cache.{name}"
        broken = [*_power_of_two(f"{key}.kb", part.kb), *_power_of_two(f"{key}.line", part.line)]
        yield from broken or _sets(key, int(part.kb.value) * 1024 // int(part.line.value), part.ways)
    for setting in ("write_allocate", "write_back"):
        yield from _one_of(f"cache.l1d.{setting}", getattr(cache.l1d, setting), (True, False))
    yield from _code_cache(profile)
    if cache.page_miss.value < cache.page_hit.value:
        yield "cache.page_miss", "must not be below page_hit"
    if not cache.l1d.latency.value <= cache.l2.latency.value <= cache.memory_latency.value:
        yield "cache.memory_latency", "latencies must not fall from l1d to l2 to memory"
    if cache.store_exposed_percent.value > 100:
        yield "cache.store_exposed_percent", "must be 0 to 100"


def _code_cache(profile: Profile) -> Broken:
    code = profile.cache.l1i
    fields = {
        "cache": {"kb": code.kb, "line": code.line},
        "trace": {
            "uops": code.uops,
            "uops_per_line": code.uops_per_line,
            "code_bytes_per_line": code.code_bytes_per_line,
        },
    }
    missing = [name for name, number in fields[code.kind].items() if number is None]
    other = "trace" if code.kind == "cache" else "cache"
    extra = [name for name, number in fields[other].items() if number is not None]
    for name in missing:
        yield f"cache.l1i.{name}", f'missing: needed by kind = "{code.kind}"'
    for name in extra:
        yield f"cache.l1i.{name}", f'not allowed with kind = "{code.kind}"'
    if missing:
        return
    line = code.line if code.kind == "cache" else code.code_bytes_per_line
    assert line is not None
    broken = list(_power_of_two("cache.l1i.line", line))
    if code.uops_per_line is not None and code.uops_per_line.value < 1:
        broken.append(("cache.l1i.uops_per_line.value", "must be at least 1"))
    yield from broken or _sets("cache.l1i", code.lines, code.ways)
