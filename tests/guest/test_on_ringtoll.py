"""The guest's own tests on our machine, whole model on: what ULS promises, asserted inside the guest."""

from __future__ import annotations

import re

import pytest

from emulator.bench.uls import MEMORY_BYTES, Options, compose
from emulator.bundle import KERNEL, RUNTIME, load_bundle
from emulator.machine import Machine, Outcome
from emulator.timing.profile import load_profile
from loader import Image, Module, load_image
from loader.sandbox import Extension, link_sandbox

pytestmark = pytest.mark.guest

PENTIUM4 = "pentium4-willamette-1400"
PENTIUM3 = "pentium3-katmai-550"


def image(options: str, *programs: str) -> Image:
    bundle = load_bundle()
    extensions = [Extension(name, bundle[f"{name}.o"]) for name in bundle.extensions]
    modules = [Module("sandbox", link_sandbox(extensions, bundle[RUNTIME]).elf)]
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
    judge(outcome, said, 48)


@pytest.mark.parametrize("profile", [PENTIUM4, PENTIUM3])
def test_threads_share_what_they_should(profile: str) -> None:
    _, outcome, said = boot(profile, image("", "test_threads"))
    judge(outcome, said, 19)


@pytest.mark.parametrize("profile", [PENTIUM4, PENTIUM3])
def test_shared_memory_reaches_the_sandbox_and_comes_back(profile: str) -> None:
    _, outcome, said = boot(profile, image("", "test_shm"))
    judge(outcome, said, 59)


@pytest.mark.parametrize("entry", ["sysexit", "iret"])
@pytest.mark.parametrize("flush", ["invlpg", "cr3"])
@pytest.mark.parametrize("profile", [PENTIUM4, PENTIUM3])
def test_the_sandbox_protects_and_upcalls_leave_no_trace(profile: str, flush: str, entry: str) -> None:
    _, outcome, said = boot(
        profile, image(f"flush={flush} entry={entry}", "test_sandbox a", "test_sandbox b")
    )
    judge(outcome, said, 78)


@pytest.mark.parametrize("profile", [PENTIUM4, PENTIUM3])
def test_closing_without_invalidation_leaves_the_stale_entry_usable(profile: str) -> None:
    _, outcome, said = boot(profile, image("flush=none", "test_sandbox a", "test_sandbox b"))
    judge(outcome, said, 61)
    assert "STALE yes" in said


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
