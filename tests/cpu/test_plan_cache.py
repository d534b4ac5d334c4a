"""Plans on disk: what comes back is what was planned, a bad file is none, and no run is different for it."""

import hashlib
import multiprocessing
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.cpu import plan_cache, plan_store
from emulator.cpu.plan_cache import MISSING, PLACE, PlanCache, plans_digest
from emulator.cpu.plan_file import FRESH, Plans, decode, empty, encode, join, limited, select
from emulator.machine import Machine
from emulator.timing.costs import Costs
from emulator.timing.state import BLOCK
from tests.feeds.compare import counts
from tests.support import PENTIUM3, PENTIUM4, Rig, profile

DIGEST = hashlib.sha256(b"this version").digest()
SOURCES = (
    b"\x8b\x44\x24\x04\x89\x01\x5d\xc3",  # mov eax, [esp + 4]; mov [ecx], eax; pop ebp; ret
    b"\x8b\x00\x8b\x10\xff\x32\xe8\0\0\0\0",  # mov eax, [eax]; mov edx, [eax]; push [edx]; call
    b"\xf7\xf1\x89\x04\x86\xf3\xa5",  # div ecx; mov [esi + 4 * eax], eax; rep movsd
    b"\x0f\x31\x50\xfa\x9c",  # rdtsc; push eax; cli; pushfd
    b"\x90",
    b"\xeb\xfe",
)
CODES = st.one_of(st.sampled_from(SOURCES), st.binary(min_size=1, max_size=24))
BLOCKS = st.lists(st.tuples(CODES, st.sampled_from((16, 32))), min_size=1, max_size=12, unique=True)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cache of the test's own, which is worth its while at once."""
    monkeypatch.setenv(PLACE, str(tmp_path / "plans"))
    monkeypatch.setattr(plan_store, "WORTH", 1)


@pytest.fixture(scope="module")
def planner() -> Machine:
    return Machine(profile(PENTIUM4), memory_bytes=4 << 20, feed="planned")


def _plan(machine: Machine, found: list[tuple[bytes, int]]) -> Plans:
    """The plans of these blocks, as a run would keep them."""
    blocks, plans = machine.processor.blocks, machine.processor.plans
    assert plans is not None
    numbers = []
    for key in found:
        numbers.append(blocks._new(*key))
        blocks._fill(numbers[-1], blocks.decode_code(*key), *key, 0)
    every = plans._plans()
    names = _codes(every)
    return select(every, np.array([names.index(key) for key in found], dtype="i8"))


def _codes(plans: Plans) -> list[tuple[bytes, int]]:
    code = plans.code.tobytes()
    return [(code[at : at + size], bits) for at, size, bits, _ in plans.keys.tolist()]


def _blocks(plans: Plans) -> dict[tuple[bytes, int], Any]:
    """What belongs to each block, by itself."""
    alone = [select(plans, np.array([number])) for number in range(len(plans.keys))]
    return {
        key: (int(p.keys["special"][0]), p.rows.tobytes(), p.sections.tobytes(), p.entries.tobytes())
        for key, p in zip(_codes(plans), alone, strict=True)
    }


@given(BLOCKS, BLOCKS)
@settings(deadline=None, max_examples=40)
def test_what_was_planned_comes_back(planner: Machine, first: Any, second: Any) -> None:
    one, other = _plan(planner, first), _plan(planner, [key for key in second if key not in first])
    kept = limited(join(one, other))
    back = decode(encode(kept, DIGEST), DIGEST)
    assert back is not None
    assert _blocks(back) == _blocks(one) | _blocks(other)


@given(BLOCKS, st.data())
@settings(deadline=None, max_examples=60)
def test_a_damaged_file_is_none(planner: Machine, found: Any, data: Any) -> None:
    content = bytearray(encode(limited(_plan(planner, found)), DIGEST))
    at = data.draw(st.integers(0, len(content) - 1))
    assert decode(bytes(content[:at]), DIGEST) is None
    content[at] ^= data.draw(st.integers(1, 255))
    assert decode(bytes(content), DIGEST) is None


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("keys", "at", 1 << 20),
        ("keys", "size", 1 << 31),
        ("rows", "section", -1),
        ("rows", "sections", 99),
        ("rows", "entry", 1 << 20),
        ("rows", "entries", 99),
        ("rows", "base", 16),
        ("rows", "segment", 6),
        ("sections", "first", -5),
        ("sections", "count", 1 << 30),
        ("entries", "kind", 99),
        ("entries", "first", 128),
        ("entries", "second", 200),
        ("entries", "segment", 6),
        ("entries", "stores", 65),
    ],
)
def test_a_file_that_points_outside_itself_is_none(
    planner: Machine, part: str, field: str, value: int
) -> None:
    plans = limited(_plan(planner, [(SOURCES[0], 32), (SOURCES[1], 32)]))
    assert decode(encode(plans, DIGEST), DIGEST) is not None
    getattr(plans, part)[field][-1] = value
    assert decode(encode(plans, DIGEST), DIGEST) is None


def test_what_a_run_changes_in_a_record_is_as_new(planner: Machine) -> None:
    plans = limited(_plan(planner, [(SOURCES[0], 32)]))
    for name in FRESH:
        plans.rows[name] = 77
    back = decode(encode(plans, DIGEST), DIGEST)
    assert back is not None
    assert all(np.all(back.rows[name] == value) for name, value in FRESH.items())


def test_arrays_of_another_form_are_none() -> None:
    plans = empty()
    other = plans._replace(rows=np.zeros(0, dtype=BLOCK.descr[:-1]))
    assert decode(encode(plans, DIGEST), DIGEST) is not None
    assert decode(encode(other, DIGEST), DIGEST) is None


def test_another_version_finds_nothing_and_leaves_the_file(planner: Machine, tmp_path: Path) -> None:
    cache = PlanCache(tmp_path, DIGEST)
    cache.save(_plan(planner, [(SOURCES[0], 32)]), [])
    cache.load()
    assert cache.find(SOURCES[0], 32) != MISSING
    assert cache.find(SOURCES[0], 16) == cache.find(SOURCES[0] + b"\x90", 32) == MISSING
    other = PlanCache(tmp_path, hashlib.sha256(b"another version").digest())
    assert cache.file is not None
    assert other.file is not None
    cache.file.rename(other.file)
    other.load()
    assert other.find(SOURCES[0], 32) == MISSING
    other.save(_plan(planner, [(SOURCES[1], 32)]), [])
    other.load()
    assert other.find(SOURCES[1], 32) != MISSING


def test_every_profile_and_every_cost_has_its_own_file() -> None:
    costs = Costs.from_profile(profile(PENTIUM4))
    mine = plans_digest(profile(PENTIUM4), costs)
    costs.classes["load"] = costs.classes["load"]._replace(base256=1)
    assert len({mine, plans_digest(profile(PENTIUM4), costs), plans_digest(profile(PENTIUM3), costs)}) == 3


def test_a_full_cache_keeps_what_is_new_and_what_was_used(planner: Machine, tmp_path: Path) -> None:
    old = [(b"\x8b\x00" * n, 32) for n in range(1, 9)]
    PlanCache(tmp_path, DIGEST).save(_plan(planner, old), [])
    size = next(tmp_path.iterdir()).stat().st_size
    cache = PlanCache(tmp_path, DIGEST, limit=size // 2 + 4096)
    cache.load()
    used = cache.find(*old[6])
    cache.save(_plan(planner, [(SOURCES[0], 32)]), [used])
    cache.load()
    kept = _codes(cache.plans)
    assert {old[6], (SOURCES[0], 32)} < set(kept)
    assert len(kept) < 9


def test_old_files_go_when_all_are_too_large(planner: Machine, tmp_path: Path) -> None:
    foreign = tmp_path / "old.plans"
    foreign.write_bytes(bytes(5000))
    os.utime(foreign, (1, 1))
    (tmp_path / "callback.o").write_bytes(bytes(5000))
    cache = PlanCache(tmp_path, DIGEST, limit=6000)
    cache.save(_plan(planner, [(SOURCES[0], 32)]), [])
    assert not foreign.exists()
    assert (tmp_path / "callback.o").exists()
    assert cache.file is not None
    assert cache.file.exists()


def test_a_folder_that_cannot_be_written_is_no_error(planner: Machine, tmp_path: Path) -> None:
    nowhere = tmp_path / "a file"
    nowhere.touch()
    for where in (None, nowhere, tmp_path / "absent"):
        cache = PlanCache(where, DIGEST)
        cache.load()
        cache.save(_plan(planner, [(SOURCES[0], 32)]), [])
        assert cache.find(SOURCES[0], 32) == MISSING


def test_what_cannot_be_put_in_place_leaves_nothing(planner: Machine, tmp_path: Path) -> None:
    cache = PlanCache(tmp_path, DIGEST)
    assert cache.file is not None
    cache.file.mkdir()
    cache.save(_plan(planner, [(SOURCES[0], 32)]), [])
    assert list(tmp_path.iterdir()) == [cache.file]


def test_the_environment_says_where_or_that_there_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert plan_cache.folder() == tmp_path / "plans"
    assert (tmp_path / "plans").stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv(PLACE, "")
    assert plan_cache.folder() is None
    monkeypatch.delenv(PLACE)
    assert plan_cache.folder() == plan_cache.cache_folder()


def _save_often(where: Path, found: list[tuple[bytes, int]]) -> None:
    plans = _plan(Machine(profile(PENTIUM4), memory_bytes=4 << 20, feed="planned"), found)
    for number in range(20):
        PlanCache(where, DIGEST).save(select(plans, np.array([number % len(found)])), [])


def test_two_processes_at_once_leave_a_whole_file(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    keys = [(SOURCES[n], 32) for n in range(4)]
    both = [context.Process(target=_save_often, args=(tmp_path, part)) for part in (keys[:2], keys[2:])]
    for process in both:
        process.start()
    for process in both:
        process.join()
        assert process.exitcode == 0
    cache = PlanCache(tmp_path, DIGEST)
    cache.load()
    assert len(cache.plans.keys) >= 2
    assert set(_codes(cache.plans)) <= set(keys)
    assert [path.suffix for path in tmp_path.iterdir()] == [".plans"]


# -- whole runs

PROGRAM = """
    mov ecx, 30; mov esi, 0x300000; mov edi, 0x302000
again:
    push ecx; mov eax, [esi]; lea edx, [eax + 4 * ecx]; and edx, 0xffc; mov [edi + edx], ecx; call one
    xor edx, edx; mov eax, ecx; mov ebx, 3; div ebx; mov [esi + 4 * eax], edx; rdtsc; cli; mov [edi], esi
    mov ebp, [edi]; mov dword ptr [ebp], 0x300100; mov ebp, [esi]; mov [ebp], edi; sti; pushfd; popfd
    pop ecx; cmp ecx, 5; jne over; int 0x30
over:
    dec ecx; jnz again; mov edi, end; mov eax, [0x900000]
end:
    mov ecx, 9; .byte 0xf3, 0xa5; int 0x31; mov al, 0; out 0xf4, al; hlt
one: push ebp; mov ebp, esp; mov eax, [ebp + 8]; leave; ret
"""
OTHER = (
    "mov ecx, 3; x: mov eax, [0x300000]; dec ecx; jnz x; call y; int 0x31; mov al, 0; out 0xf4, al; y: ret"
)


def _run(source: str = PROGRAM) -> tuple[Any, ...]:
    rig = Rig(PENTIUM4, feed="planned")
    rig.load(source)
    outcome = rig.machine.run(max_cycles=3_000_000)
    assert outcome.kind == "exit", outcome
    plans = rig.machine.processor.plans
    assert plans is not None
    memory = hashlib.sha256(rig.machine.ram.bytes.tobytes()).hexdigest()
    return (len(plans._rows), len(plans._taken)), counts(rig.machine), rig.machine.ledger.to_json(), memory


def test_a_run_is_the_same_cold_warm_without_and_with_a_foreign_or_damaged_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(PLACE, "")
    (planned, taken), *expected = _run()
    assert taken == 0
    for place in ("cold", "foreign", "damaged"):
        monkeypatch.setenv(PLACE, str(tmp_path / place))
        if place == "foreign":
            _run(OTHER)
        elif place == "damaged":
            _run()
            for path in (tmp_path / place).iterdir():
                path.write_bytes(path.read_bytes()[:-3])
        for warm in (False, True):
            (now, taken), *found = _run()
            assert found == expected, (place, warm)
            assert (now < planned / 4) == warm
            assert (taken > planned / 2) == warm


def test_a_run_that_stops_often_writes_seldom_but_all_in_the_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    written: list[int] = []
    monkeypatch.setattr(PlanCache, "save", lambda _self, new, _taken: written.append(len(new.keys)))
    rig = Rig(PENTIUM4, feed="planned")
    rig.load("; ".join(f"jmp b{n}; b{n}: mov eax, [{0x300000 + 4 * n}]" for n in range(100)) + "; h: jmp h")
    for cycles in range(1000, 40_000, 50):
        rig.machine.run(max_cycles=cycles)
    plans = rig.machine.processor.plans
    assert plans is not None
    stops = len(written)
    rig.machine.keep_plans()
    assert written == sorted(set(written))
    assert 1 < stops < 40
    assert written[-1] == len(plans._rows) > 100


def test_a_split_is_found_anew_by_each_run() -> None:
    """The cache holds what follows from the code alone, not that a block was split behind a store."""
    source = """
        mov ecx, 4; mov esi, 0x300000; mov dword ptr [0x300000], 0x300040
    again:
        mov edi, [esi]; mov dword ptr [edi - 0x40], 0x300040; mov eax, [esi]; mov [eax], ecx
        dec ecx; jnz again; int 0x31; mov al, 0; out 0xf4, al; hlt
    """
    splits = []
    for _ in range(2):
        rig = Rig(PENTIUM4, feed="planned")
        rig.load(source)
        rig.machine.run(max_cycles=3_000_000)
        splits.append(rig.machine.host_statistics()["section_splits"])
    assert splits[0] == splits[1] > 0
