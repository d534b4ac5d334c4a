"""Where Unicorn's private layout isn't found, its public API gives the same machine, more slowly."""

import hashlib
from collections.abc import Callable

import pytest
from keystone import KS_ARCH_X86, KS_MODE_16, Ks

from emulator.bench.host_events import EVENTS
from emulator.bench.host_workloads import WORKLOADS
from emulator.bench.micro_guest import FRAME, PAGE, TABLE, MicroGuest, gate
from emulator.bench.uls import MEMORY_BYTES, Options, compose
from emulator.bundle import load_bundle
from emulator.cpu import layout, public_state
from emulator.cpu.layout import LayoutError
from emulator.machine import Machine, MachineError
from emulator.timing.profile import load_profile
from loader import Image, load_image

PENTIUM4 = "pentium4-willamette-1400"
FEW = {"chase": 500, "memcpy": 1, "memset": 1, "calls": 8, "interpreter": 1, "walks": 1500}
REAL_MODE = """
    mov ax, cs; mov ds, ax; mov word ptr [0x180], 0x7c40; mov [0x182], ax; mov sp, 0x7000
    mov eax, cr0; mov [0x600], eax; sgdt [0x610]; sidt [0x620]; int 0x60
    mov al, 0; out 0xf4, al; hlt
"""


def boot_sector() -> Image:
    """In real mode, CR0, GDTR and IDTR to memory, and an INT to an IRET at 0x7c40."""
    code = bytes(Ks(KS_ARCH_X86, KS_MODE_16).asm(REAL_MODE, 0x7C00, as_bytes=True)[0])
    assert len(code) < 0x40
    return load_image(
        code.ljust(0x40, b"\0") + b"\xcf".ljust(446, b"\0") + b"\x55\xaa", memory_bytes=16 << 20
    )


GUESTS: dict[str, Callable[[], Image]] = {
    **{event.name: lambda event=event: event.guest.image(event.name, 10) for event in EVENTS},
    **{work.name: lambda work=work: work.guest(FEW[work.name]).image for work in WORKLOADS},
    "boot_sector": boot_sector,
    "uls": lambda: compose(load_bundle(), Options(runs=1)),
}
SEEN = 0x3000  # where the handler below keeps CR2


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "choose", lambda: (None, "for a test"))


def ran(image: Image, memory: int = 16 << 20) -> Machine:
    machine = Machine(load_profile(PENTIUM4), memory_bytes=memory)
    machine.load(image)
    outcome = machine.run(max_cycles=2_000_000_000)
    assert (outcome.kind, outcome.status) == ("exit", 0), outcome.message
    return machine


def result(image: Image, memory: int) -> tuple[object, ...]:
    machine = ran(image, memory)
    contents = hashlib.sha256(machine.ram.bytes.tobytes()).hexdigest()
    return machine.cycles, machine.statistics(), machine.ledger.to_json(), contents


@pytest.mark.parametrize("name", GUESTS)
def test_cycles_statistics_and_memory_are_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = MEMORY_BYTES if name == "uls" else 16 << 20
    private = result(GUESTS[name](), memory)
    monkeypatch.setattr(layout, "choose", lambda: (None, "for a test"))
    assert result(GUESTS[name](), memory) == private


@pytest.mark.parametrize(
    ("access", "fault"),
    [
        (f"mov eax, [{PAGE}]", PAGE),
        (f"mov al, [{PAGE + 0x7FF}]", PAGE + 0x7FF),
        (f"mov [{PAGE + 0xFFF}], al", PAGE + 0xFFF),
        (f"mov eax, [{PAGE + 0x345}]", PAGE + 0x345),
        (f"mov eax, [{PAGE - 2}]", PAGE),  # over the boundary: its second part faults
    ],
)
@pytest.mark.usefixtures("public")
def test_a_fault_s_address_is_exact(access: str, fault: int) -> None:
    body = f"mov dword ptr [{TABLE}], 0; invlpg [{PAGE}]; {access};"
    handler = (
        f"fault: mov ebx, cr2; mov [{SEEN}], ebx; mov dword ptr [{TABLE}], {FRAME | 7}; add esp, 4; iretd"
    )
    machine = ran(MicroGuest(body, gate(14, "fault"), handler).image("fault", 3))
    assert machine.statistics()["page_faults"] == 3
    assert int.from_bytes(machine.ram.read(SEEN, 4), "little") == fault


def test_the_private_layout_is_preferred_unless_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    offsets, why = layout.choose.__wrapped__()
    assert (offsets, why) == (layout.discover(), "")
    monkeypatch.setenv(layout.CHOICE, layout.PUBLIC)
    assert layout.choose.__wrapped__() == (None, "RINGTOLL_LAYOUT=public is set")


@pytest.mark.parametrize("error", [LayoutError("eip expected elsewhere"), OSError("no /proc/self/mem")])
def test_what_is_not_found_is_done_without(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise error

    monkeypatch.setattr(layout, "discover", refuse)
    assert layout.choose.__wrapped__() == (None, str(error))


@pytest.mark.parametrize("name", ["GDT", "EIP", "ERROR_CODE", "OLD_EXCEPTION"])
def test_a_context_of_another_form_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, name, getattr(layout, name) + 8)
    with pytest.raises(LayoutError):
        public_state.check.__wrapped__()


def test_a_context_without_the_register_file_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> int:
        raise LayoutError("register file not found")

    monkeypatch.setattr(layout, "choose", lambda: (None, "for a test"))
    monkeypatch.setattr(public_state, "find_registers", refuse)
    public_state.check.cache_clear()
    with pytest.raises(MachineError, match="this Unicorn can't be used: register file not found"):
        Machine(load_profile(PENTIUM4), memory_bytes=16 << 20)
