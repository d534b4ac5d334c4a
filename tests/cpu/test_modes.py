"""Real mode, protected mode and back, 16-bit segments (SDM vol. 3A, 9.9 and chapter 16)."""

import struct

import pytest

from emulator.machine import Machine, Outcome
from loader import load_image
from tests.cpu.support import P4, RAM, assemble, profile

SECTOR = 0x7C00
LOG = 0x500  # results, as dwords
END = "xor al, al; out 0xf4, al; hlt"

# GDT at 0x7d80: null, code32, data32, code16, data16 (64 KB), code32 with base 0x7000
TABLE = 0x7D80
DESCRIPTORS = (
    0,
    0x00CF9B000000FFFF,
    0x00CF93000000FFFF,
    0x00009B000000FFFF,
    0x000093000000FFFF,
    0x00CF9B007000FFFF,
)
CODE32, DATA32, CODE16, DATA16, BASED = 8, 16, 24, 32, 40


def boot(pieces: dict[int, tuple[str, int]], **options: bool) -> Machine:
    """A boot sector: (source, bits) by address in it."""
    sector = bytearray(510) + b"\x55\xaa"
    for address, (source, bits) in pieces.items():
        code = assemble(source, address, bits)
        at = address - SECTOR
        assert not any(sector[at : at + len(code)])
        sector[at : at + len(code)] = code
    struct.pack_into("<6Q", sector, TABLE - SECTOR, *DESCRIPTORS)
    struct.pack_into("<HI", sector, TABLE - 8 - SECTOR, 47, TABLE)
    machine = Machine(profile(P4), memory_bytes=RAM, **options)
    machine.load(load_image(bytes(sector), memory_bytes=RAM))
    return machine


def run(machine: Machine) -> Outcome:
    outcome = machine.run(max_cycles=5_000_000)
    if machine.state.accounting:
        machine.ledger.check(machine.cycles)
    return outcome


def log(machine: Machine, count: int = 1) -> tuple[int, ...]:
    return struct.unpack(f"<{count}I", machine.ram.read(LOG, 4 * count))


def far16(selector: int, offset: int) -> str:
    return f".byte 0xea; .short {offset:#x}, {selector:#x}"


def far32_from_16(selector: int, offset: int) -> str:
    return f".byte 0x66, 0xea; .long {offset:#x}; .short {selector:#x}"


def far32(selector: int, offset: int) -> str:
    return f".byte 0xea; .long {offset:#x}; .short {selector:#x}"


TO_PROTECTED = f"cli; lgdt [{TABLE - 8:#x}]; mov eax, cr0; or al, 1; mov cr0, eax; " + far32_from_16(
    CODE32, 0x7C40
)
LOAD_DATA = f"mov ax, {DATA32}; mov ds, ax; mov es, ax; mov ss, ax; mov esp, 0x7000; "


def test_a_boot_sector_starts_in_real_mode_at_7c00_with_the_disk_in_dl() -> None:
    machine = boot(
        {
            SECTOR: (
                (
                    f"mov [{LOG:#x}], dl; call next; next: pop bx; mov [{LOG + 4:#x}], bx; "
                    f"mov [{LOG + 8:#x}], cs; smsw ax; mov [{LOG + 12:#x}], ax; mov sp, 0x7000; {END}"
                ),
                16,
            )
        }
    )
    # SP is 0: CALL pushes at FFFE
    assert run(machine).status == 0
    words = log(machine, 4)
    assert words[0] & 0xFF == 0x80
    assert SECTOR < words[1] & 0xFFFF < SECTOR + 16
    assert words[2] & 0xFFFF == 0
    assert words[3] & 1 == 0


@pytest.mark.parametrize("accounting", [True, False])
def test_protected_mode_is_entered_by_a_far_jump(accounting: bool) -> None:
    store = (
        f"mov dword ptr [{LOG:#x}], 0x12345678; mov eax, cs; mov [{LOG + 4:#x}], eax; "
        f"mov [{LOG + 8:#x}], esp; "
    )
    machine = boot({SECTOR: (TO_PROTECTED, 16), 0x7C40: (LOAD_DATA + store + END, 32)}, accounting=accounting)
    assert run(machine).status == 0
    assert log(machine, 3) == (0x12345678, CODE32, 0x7000)


def test_addresses_above_1_mb_are_not_folded_onto_low_memory() -> None:
    store = "mov dword ptr [0x100500], 0x11111111; mov dword ptr [0x500], 0x22222222; "
    machine = boot({SECTOR: (TO_PROTECTED, 16), 0x7C40: (LOAD_DATA + store + END, 32)})
    assert run(machine).status == 0
    assert machine.ram.read(0x100500, 4) == b"\x11" * 4
    assert machine.ram.read(0x500, 4) == b"\x22" * 4


def test_real_mode_reaches_the_64_kb_above_1_mb() -> None:
    machine = boot({SECTOR: ("mov ax, 0xffff; mov ds, ax; mov byte ptr [0x510], 0x5a; " + END, 16)})
    assert run(machine).status == 0
    assert machine.ram.read(0x100500, 1) == b"\x5a"


def test_16_bit_code_runs_in_protected_mode() -> None:
    sixteen = (
        f"mov ax, {DATA32}; mov ds, ax; mov ax, 0xffff; inc ax; mov [{LOG:#x}], ax; "
        f"mov eax, 0xffff; inc eax; mov [{LOG + 4:#x}], eax; "
    )
    machine = boot(
        {
            SECTOR: (TO_PROTECTED, 16),
            0x7C40: (LOAD_DATA + far32(CODE16, 0x7C80), 32),
            0x7C80: (sixteen + far32_from_16(CODE32, 0x7CE0), 16),
            0x7CE0: (END, 32),
        }
    )
    assert run(machine).status == 0
    words = log(machine, 2)
    assert (words[0] & 0xFFFF, words[1]) == (0, 0x10000)


def test_a_code_segment_with_a_base_runs_at_base_plus_eip() -> None:
    machine = boot(
        {
            SECTOR: (TO_PROTECTED, 16),
            0x7C40: (LOAD_DATA + far32(BASED, 0xC80), 32),
            0x7C80: (f"call next; next: pop eax; mov [{LOG:#x}], eax; " + END, 32),
        }
    )
    assert run(machine).status == 0
    assert log(machine) == (0xC85,)


BACK_TO_REAL = "mov eax, cr0; and al, 0xfe; mov cr0, eax; " + far16(0, 0x7CC0)


def test_real_mode_is_entered_again_through_16_bit_code() -> None:
    real = (
        "xor ax, ax; mov ds, ax; mov ss, ax; mov sp, 0x7000; mov ax, 0x1000; mov es, ax; "
        f"mov byte ptr es:[0x10], 0x5a; smsw ax; mov [{LOG:#x}], ax; "
    )
    machine = boot(
        {
            SECTOR: (TO_PROTECTED, 16),
            0x7C40: (LOAD_DATA + far32(CODE16, 0x7C80), 32),
            0x7C80: (f"mov ax, {DATA16}; mov ds, ax; mov es, ax; mov ss, ax; " + BACK_TO_REAL, 16),
            0x7CC0: (real + END, 16),
        }
    )
    assert run(machine).status == 0
    assert machine.ram.read(0x10010, 1) == b"\x5a"
    assert log(machine)[0] & 1 == 0


def test_unreal_mode_keeps_the_4_gb_limit_and_the_real_mode_base() -> None:
    """A segment loaded in protected mode keeps its limit; loading it in real mode sets the base."""
    enter = (
        f"cli; lgdt [{TABLE - 8:#x}]; mov eax, cr0; or al, 1; mov cr0, eax; mov bx, {DATA32}; "
        "mov ds, bx; and al, 0xfe; mov cr0, eax; "
    )
    body = "mov ebx, 0x200000; mov byte ptr [ebx], 0x5a; xor ax, ax; mov ds, ax; mov byte ptr [ebx+1], 0x5b; "
    machine = boot({SECTOR: (enter + body + END, 16)})
    assert run(machine).status == 0
    assert machine.ram.read(0x200000, 2) == b"\x5a\x5b"


# -- interrupts by the vector table


def vectors(*pairs: tuple[int, int]) -> str:
    return "".join(
        f"mov word ptr [{4 * v:#x}], {ip:#x}; mov word ptr [{4 * v + 2:#x}], 0; " for v, ip in pairs
    )


STACK = "xor ax, ax; mov ss, ax; mov sp, 0x7000; mov ds, ax; "


def test_int_in_real_mode_pushes_flags_cs_and_ip_and_iret_takes_them_back() -> None:
    handler = (
        f"mov bp, sp; mov eax, [bp]; mov [{LOG:#x}], eax; mov ax, [bp+4]; "
        f"mov [{LOG + 4:#x}], ax; mov [{LOG + 6:#x}], sp; pushf; pop ax; "
        f"mov [{LOG + 8:#x}], ax; iret"
    )
    main = (
        STACK
        + vectors((0x40, 0x7CC0))
        + f"sti; int 0x40; pushf; pop ax; mov [{LOG + 10:#x}], ax; mov [{LOG + 12:#x}], sp; "
    )
    machine = boot({SECTOR: (main + END, 16), 0x7CC0: (handler, 16)})
    assert run(machine).status == 0
    ip, cs, flags, sp, inside, after, sp_after = struct.unpack("<7H", machine.ram.read(LOG, 14))
    at = SECTOR + len(assemble(STACK + vectors((0x40, 0x7CC0)) + "sti; int 0x40", SECTOR, 16))
    assert (ip, cs, sp, sp_after) == (at, 0, 0x7000 - 6, 0x7000)
    assert flags & 0x200
    assert not inside & 0x200
    assert after & 0x200


def test_a_fault_in_real_mode_has_no_error_code_and_points_at_the_instruction() -> None:
    main = STACK + vectors((0, 0x7CC0)) + "xor bx, bx; div bx; "
    machine = boot(
        {
            SECTOR: (main + END, 16),
            0x7CC0: (f"pop bx; mov [{LOG:#x}], bx; mov [{LOG + 2:#x}], sp; " + END, 16),
        }
    )
    assert run(machine).status == 0
    ip, sp = struct.unpack("<2H", machine.ram.read(LOG, 4))
    assert ip == SECTOR + len(assemble(STACK + vectors((0, 0x7CC0)) + "xor bx, bx", SECTOR, 16))
    assert sp == 0x7000 - 4


def test_a_timer_interrupt_reaches_real_mode() -> None:
    pic = "".join(
        f"mov al, {v:#x}; out {p:#x}, al; "
        for p, v in (
            (0x20, 0x11),
            (0x21, 8),
            (0x21, 4),
            (0x21, 1),
            (0x21, 0xFE),
            (0x43, 0x34),
            (0x40, 0),
            (0x40, 1),
        )
    )
    main = STACK + vectors((8, 0x7CC0)) + pic + "sti; again: hlt; jmp again"
    machine = boot(
        {
            SECTOR: (main, 16),
            0x7CC0: (
                (
                    f"inc word ptr [{LOG:#x}]; mov al, 0x20; out 0x20, al; cmp word ptr [{LOG:#x}], 3; "
                    "je done; iret; done: "
                )
                + END,
                16,
            ),
        }
    )
    assert run(machine).status == 0
    assert machine.ram.read(LOG, 2) == b"\3\0"


def test_an_interrupt_beyond_the_vector_tables_limit_is_a_fault_in_real_mode() -> None:
    main = STACK + vectors((13, 0x7CC0)) + "lidt [0x7d00]; nop; int 0x40; "
    machine = boot(
        {
            SECTOR: (main + END, 16),
            0x7D00: (".short 0xff; .long 0", 16),
            0x7CC0: (f"pop bx; mov [{LOG:#x}], bx; " + END, 16),
        }
    )
    assert run(machine).status == 0
    at = SECTOR + len(assemble(STACK + vectors((13, 0x7CC0)) + "lidt [0x7d00]; nop", SECTOR, 16))
    assert log(machine)[0] & 0xFFFF == at


def test_faults_without_end_in_real_mode_are_a_triple_fault() -> None:
    machine = boot({SECTOR: ("lidt [0x7d00]; ud2", 16), 0x7D00: (".short 0; .long 0", 16)})
    outcome = run(machine)
    assert (outcome.kind, outcome.status) == ("error", 121)


def test_the_stack_pointer_wraps_within_64_kb_in_real_mode() -> None:
    main = "xor ax, ax; mov ds, ax; mov ss, ax; xor sp, sp; " + vectors((0x40, 0x7CC0)) + "int 0x40"
    machine = boot({SECTOR: (main, 16), 0x7CC0: (f"mov [{LOG:#x}], sp; mov sp, 0x7000; " + END, 16)})
    assert run(machine).status == 0
    assert log(machine)[0] & 0xFFFF == 0xFFFA


@pytest.mark.parametrize("accounting", [True, False])
def test_rf_that_iret_sets_is_gone_behind_the_next_instruction(accounting: bool) -> None:
    """SDM vol. 3B 15.3.1.1; PUSHF never shows it (vol. 2B, PUSHF)."""
    flags = 0x10002
    iret = f"push dword ptr {flags:#x}; .byte 0x66, 0x6a, 0; .byte 0x66, 0x68; .long 0x7c40; .byte 0x66, 0xcf"
    show = f"pushfd; pop dword ptr [{LOG:#x}]; pushfd; pop dword ptr [{LOG + 4:#x}]; jmp on; on: pushfd; "
    machine = boot(
        {
            0x7C00: (f"mov sp, 0x7c00; {iret}", 16),
            0x7C40: (show + f"pop dword ptr [{LOG + 8:#x}]; {END}", 16),
        },
        accounting=accounting,
    )
    assert machine.run(max_cycles=100_000) == Outcome("exit", 0, "the guest ended with status 0")
    assert struct.unpack("<3I", machine.ram.read(LOG, 12)) == (2, 2, 2)
