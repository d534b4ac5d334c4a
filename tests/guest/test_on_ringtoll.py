"""The guest's own tests on our machine, whole model on: what ULS promises, asserted inside the guest."""

from __future__ import annotations

import io
import re

import pytest
from elftools.elf.elffile import ELFFile

from emulator.bench.uls import MEMORY_BYTES, Options, compose
from emulator.bundle import KERNEL, RUNTIME, load_bundle
from emulator.machine import Machine, Outcome
from emulator.timing.profile import load_profile
from loader import Image, Module, load_image
from loader.sandbox import Extension, link_sandbox

pytestmark = pytest.mark.guest

PENTIUM4 = "pentium4-willamette-1400"
PENTIUM3 = "pentium3-katmai-550"
EXTENSION_TESTS = {
    "test_events": 86,
    "test_threaded": 89,
    "test_revoke": 251,
    "test_extension_ports": 33,
    "test_budget": 31,
    "isolation": 5,
}


def image(options: str, *programs: str) -> Image:
    bundle = load_bundle()
    extensions = [Extension(name, bundle[f"{name}.o"]) for name in bundle.extensions]
    modules = [Module("sandbox", link_sandbox(extensions, bundle[RUNTIME], bundle.libc).elf)]
    modules += [Module(program, bundle[f"{program.split()[0]}.elf"]) for program in programs]
    # exit=unwaited: tests kill their partner and collect its status, which must not become the machine's
    return load_image(
        bundle[KERNEL],
        name=KERNEL,
        memory_bytes=MEMORY_BYTES,
        append=f"{options} exit=unwaited",
        modules=modules,
    )


def boot(profile: str, guest: Image) -> tuple[Machine, Outcome, str]:
    said = bytearray()
    machine = Machine(load_profile(profile), memory_bytes=MEMORY_BYTES, serial_out=said.extend)
    machine.load(guest)
    outcome = machine.run(max_cycles=20_000_000_000)
    machine.ledger.check(machine.cycles)
    assert machine.state.unmapped_model == 0, "an access that the model could not translate"
    return machine, outcome, said.decode()


def judge(outcome: Outcome, said: str, at_least: int) -> None:
    assert re.findall(r"^FAIL .*$", said, re.M) == []
    assert len(re.findall(r"^PASS ", said, re.M)) >= at_least, said
    assert (outcome.kind, outcome.status) == ("exit", 0), outcome


@pytest.mark.parametrize("profile", [PENTIUM4, PENTIUM3])
def test_the_kernel_does_what_its_tests_ask(profile: str) -> None:
    _, outcome, said = boot(profile, image("", "test_kernel", "test_kernel spinner"))
    judge(outcome, said, 55)


@pytest.mark.parametrize("profile", [PENTIUM4, PENTIUM3])
def test_signals_keep_every_register(profile: str) -> None:
    _, outcome, said = boot(profile, image("", "test_signals", "test_signals partner"))
    judge(outcome, said, 27)


@pytest.mark.parametrize("profile", [PENTIUM4, PENTIUM3])
def test_descriptors_pipes_and_poll(profile: str) -> None:
    _, outcome, said = boot(profile, image("", "test_files"))
    judge(outcome, said, 49)


@pytest.mark.parametrize("profile", [PENTIUM4, PENTIUM3])
def test_processes_fork_wait_and_keep_to_their_limits(profile: str) -> None:
    _, outcome, said = boot(profile, image("", "test_fork"))
    judge(outcome, said, 50)


@pytest.mark.parametrize("profile", [PENTIUM4, PENTIUM3])
def test_threads_share_what_they_should(profile: str) -> None:
    _, outcome, said = boot(profile, image("", "test_threads"))
    judge(outcome, said, 19)


@pytest.mark.parametrize("profile", [PENTIUM4, PENTIUM3])
def test_shared_memory_reaches_the_sandbox_and_comes_back(profile: str) -> None:
    _, outcome, said = boot(profile, image("", "test_shm"))
    judge(outcome, said, 59)


@pytest.mark.parametrize("profile", [PENTIUM4, PENTIUM3])
def test_the_libc_keeps_the_same_promises_outside_and_inside_the_sandbox(profile: str) -> None:
    _, outcome, said = boot(profile, image("", "test_libc"))
    judge(outcome, said, 205)
    inside = re.findall(r"^PASS sandbox\.(malloc\.\w+)$", said, re.M)
    assert len(inside) == 2 * len(re.findall(r"^PASS malloc\.\w+$", said, re.M))


@pytest.mark.parametrize("profile", [PENTIUM4, PENTIUM3])
def test_ports_are_allowed_to_whom_they_are_given(profile: str) -> None:
    _, outcome, said = boot(profile, image("", "test_ports"))
    judge(outcome, said, 23)


@pytest.mark.parametrize("entry", ["sysexit", "iret"])
@pytest.mark.parametrize("flush", ["invlpg", "cr3"])
@pytest.mark.parametrize("profile", [PENTIUM4, PENTIUM3])
def test_the_sandbox_protects_and_upcalls_leave_no_trace(profile: str, flush: str, entry: str) -> None:
    _, outcome, said = boot(
        profile, image(f"flush={flush} entry={entry}", "test_sandbox a", "test_sandbox b")
    )
    judge(outcome, said, 78)


@pytest.mark.parametrize("test", EXTENSION_TESTS)
@pytest.mark.parametrize(
    ("profile", "flush", "entry"),
    [
        (PENTIUM4, "invlpg", "sysexit"),
        (PENTIUM4, "invlpg", "iret"),
        (PENTIUM4, "cr3", "sysexit"),
        (PENTIUM4, "cr3", "iret"),
        (PENTIUM3, "invlpg", "sysexit"),
    ],
)
def test_extensions_do_what_they_may_and_nothing_else(
    profile: str, flush: str, entry: str, test: str
) -> None:
    _, outcome, said = boot(profile, image(f"flush={flush} entry={entry}", test))
    judge(outcome, said, EXTENSION_TESTS[test])


@pytest.mark.parametrize("profile", [PENTIUM4, PENTIUM3])
def test_closing_without_invalidation_leaves_the_stale_entry_usable(profile: str) -> None:
    _, outcome, said = boot(profile, image("flush=none", "test_sandbox a", "test_sandbox b"))
    judge(outcome, said, 61)
    assert "STALE yes" in said


def small_image(options: str) -> Image:
    bundle = load_bundle()
    extensions = [Extension(name, bundle[f"{name}.o"]) for name in bundle.extensions]
    modules = [
        Module("sandbox", link_sandbox(extensions, bundle[RUNTIME], bundle.libc).elf),
        Module("test_small prio=50 small main limits", bundle["test_small_small.elf"]),
        Module("test_small small prio=50 peer", bundle["test_small_small.elf"]),
        Module("test_small prio=50 large limits", bundle["test_small.elf"]),
    ]
    append = f"small=on exit=unwaited {options}"
    return load_image(bundle[KERNEL], name=KERNEL, memory_bytes=MEMORY_BYTES, append=append, modules=modules)


def kernel_word(machine: Machine, symbol: str) -> int:
    """A 32-bit variable of the kernel."""
    table = ELFFile(io.BytesIO(load_bundle()[KERNEL])).get_section_by_name(".symtab")
    (found,) = table.get_symbol_by_name(symbol)
    return int.from_bytes(machine.ram.read(found["st_value"] - 0xC0000000, 4), "little")


@pytest.mark.parametrize(
    ("profile", "options"),
    [
        (PENTIUM4, ""),
        (PENTIUM3, "entry=iret"),
        (PENTIUM4, "flush=cr3"),
        (f"{PENTIUM4}+tagged-tlb", "tagged=on"),
    ],
)
def test_small_spaces_are_protected_by_segments_and_switch_without_cr3(profile: str, options: str) -> None:
    machine, outcome, said = boot(profile, small_image(options))
    judge(outcome, said, 71)
    assert kernel_word(machine, "trampoline_interrupted") > 0, "no tick fell into the trampoline"


def test_ordinary_programs_find_a_limit_below_the_windows_and_nothing_else_changed() -> None:
    """An access to the kernel's addresses is #GP by the limit, where it was #PF by U/S."""
    for programs, passes in (
        (("test_signals", "test_signals partner"), 24),
        (("test_sandbox a", "test_sandbox b"), 75),
    ):
        _, outcome, said = boot(PENTIUM4, image("small=on", *programs))
        failed = re.findall(r"^FAIL (.*)$", said, re.M)
        assert all("kernel" in line.split()[0] and " trap 13 error 0 " in line for line in failed), failed
        assert len(re.findall(r"^PASS ", said, re.M)) >= passes
        assert outcome.kind == "exit"


def test_a_small_space_needs_the_option() -> None:
    bundle = load_bundle()
    guest = load_image(
        bundle[KERNEL],
        name=KERNEL,
        memory_bytes=MEMORY_BYTES,
        append="",
        modules=[Module("hello small", bundle["hello_small.elf"])],
    )
    _, outcome, said = boot(PENTIUM4, guest)
    assert "module hello: no small address space: it needs small=on" in said
    assert outcome.status == 127


def test_there_are_sixteen_windows_and_a_new_directory_starts_without_old_entries() -> None:
    bundle = load_bundle()
    modules = [Module("hello small 0", bundle["hello_small.elf"])] * 17
    modules += [Module("hello 0", bundle["hello.elf"])] * 3
    guest = load_image(
        bundle[KERNEL],
        name=KERNEL,
        memory_bytes=MEMORY_BYTES,
        append="small=on tagged=on",
        modules=modules,
    )
    _, outcome, said = boot(f"{PENTIUM4}+tagged-tlb", guest)
    assert said.count("no small address space: all windows are taken") == 1
    assert sorted(int(n) for n in re.findall(r"hello from process (\d+)", said)) == list(range(1, 20))
    assert outcome.status == 127


@pytest.mark.parametrize(
    ("options", "programs", "passes"),
    [
        ("flush=cr3", ("test_kernel", "test_kernel spinner"), 55),
        ("flush=invlpg", ("test_sandbox a", "test_sandbox b"), 78),
    ],
)
def test_the_kernel_and_the_sandbox_work_with_a_tagged_tlb(
    options: str, programs: tuple[str, ...], passes: int
) -> None:
    _, outcome, said = boot(f"{PENTIUM4}+tagged-tlb", image(f"tagged=on {options}", *programs))
    judge(outcome, said, passes)


def test_two_runs_agree_bit_for_bit() -> None:
    guest = compose(load_bundle(), Options(runs=10))
    first, _, said = boot(PENTIUM4, guest)
    second, _, again = boot(PENTIUM4, guest)
    assert said == again
    assert first.cycles == second.cycles
    assert first.statistics() == second.statistics()
    assert first.ledger.to_json() == second.ledger.to_json()
    assert (first.ram.bytes == second.ram.bytes).all()


def test_one_image_runs_on_every_profile_and_tells_its_cpu() -> None:
    guest = image("", "hello 7")
    families = {}
    for profile in (PENTIUM4, PENTIUM3):
        _, outcome, said = boot(profile, guest)
        assert (outcome.kind, outcome.status) == ("exit", 7)
        families[profile] = re.search(r"^cpu: GenuineIntel family (\d+)", said, re.M).group(1)  # type: ignore[union-attr]
    assert families == {PENTIUM4: "15", PENTIUM3: "6"}
