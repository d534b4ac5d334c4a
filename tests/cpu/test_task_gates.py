"""Task switches: through a task gate in the IDT, by JMP and CALL, and back by IRET.

SDM vol. 3A, chapter 6; a double fault with a task of its own: 5.15.
"""

import struct

import pytest

from tests.cpu.support import (
    CODE0,
    CODE3,
    DATA0,
    DATA3,
    DF,
    DUMP,
    GDT,
    GP,
    HANDLERS,
    HOLE,
    MAIN,
    NP,
    NT,
    PF,
    REPORT,
    RF,
    TABLES,
    TASK,
    TS,
    TSS,
    TSS_SELECTOR,
    USER,
    Guest,
    far_call,
    far_jump,
    gate,
    segment,
    stack_of,
)

TASK2, TASK2_SELECTOR, TASK2_CODE = 0x106000, 0x98, HANDLERS + 0x80  # replaces ABSENT_DATA3
TABLES2 = 0x190000
SECOND = (0xA0, 0xC1, 0xD2, 0xB3, stack_of(1), 0xE5, 0x56, 0x57)  # eax ecx edx ebx esp ebp esi edi


def tss32(**changes: int) -> bytes:
    fields = {"cr3": TABLES, "eip": TASK2_CODE, "eflags": 2, "ldt": 0, "trap": 0}
    fields |= {"es": DATA0, "cs": CODE0, "ss": DATA0, "ds": DATA0, "fs": 0, "gs": DATA0}
    fields |= (
        dict(zip(("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"), SECOND, strict=True)) | changes
    )
    names = [
        "cr3",
        "eip",
        "eflags",
        "eax",
        "ecx",
        "edx",
        "ebx",
        "esp",
        "ebp",
        "esi",
        "edi",
        "es",
        "cs",
        "ss",
        "ds",
        "fs",
        "gs",
        "ldt",
    ]
    return (
        bytes(28)
        + struct.pack("<18I", *(fields[n] for n in names))
        + struct.pack("<HH", fields["trap"], 0x68)
    )


def guest_with_task(
    main: str = "", *, vector: int = DF, user: str = "", paging: bool = False, **changes: int
) -> Guest:
    """A second task behind a task gate at `vector`; it dumps its registers."""
    guest = Guest(main, user=user, paging=paging)
    guest.gdt[TASK2_SELECTOR] = segment(TASK2, 0x67, 0x89, 0)
    guest.pieces[TASK2] = tss32(**changes)
    guest.idt[vector] = gate(TASK2_SELECTOR, 0, TASK, 3)
    guest.place(
        TASK2_CODE, f"mov ss:[{REPORT + 16:#x}], eax; mov dword ptr ss:[{REPORT:#x}], 200; jmp {DUMP:#x}"
    )
    return guest


def double_fault() -> Guest:
    guest = guest_with_task("nop; mov esp, 0x1234; mov eax, 7; mov ax, 0x1238; mov fs, ax")
    guest.gate(GP, present=False)
    return guest


def test_a_double_fault_through_a_task_gate_enters_the_new_task_with_its_registers() -> None:
    report = double_fault().report()
    assert report.vector == 200
    assert (report.cs, report.ss) == (CODE0, DATA0)
    assert report.registers == (*SECOND[:4], SECOND[4] - 4, *SECOND[5:])
    assert report.data == (DATA0, DATA0, 0, DATA0)
    assert report.stack[0] == 0  # the error code, on the new task's stack
    assert report.eflags & NT


def test_the_old_tss_keeps_the_faulting_state_and_the_new_one_links_back() -> None:
    ran = double_fault().run()
    ram = ran.machine.ram
    eip, eflags, eax, _, _, _, esp = struct.unpack("<7I", ram.read(TSS + 32, 28))
    assert (eip, eax & 0xFFFF, esp) == (MAIN + 1 + 5 + 5 + 4, 0x1238, 0x1234)
    assert eflags & NT == 0
    es, cs, ss, ds = struct.unpack("<4I", ram.read(TSS + 72, 16))
    assert (es, cs, ss, ds) == (DATA0, CODE0, DATA0, DATA0)
    assert struct.unpack("<H", ram.read(TASK2, 2))[0] == TSS_SELECTOR
    registers = ran.machine.processor.registers
    assert registers.control(0) & 8  # CR0.TS


def test_both_tasks_are_busy_after_an_exception_through_a_task_gate() -> None:
    ram = double_fault().run().machine.ram
    assert ram.read(GDT + TSS_SELECTOR + 5, 1)[0] & 0x1F == 0xB
    assert ram.read(GDT + TASK2_SELECTOR + 5, 1)[0] & 0x1F == 0xB


@pytest.mark.parametrize("paging", [False, True])
def test_iret_with_nt_goes_back_to_the_interrupted_task(paging: bool) -> None:
    load_cr3 = f"mov dword ptr [{TSS + 28:#x}], {TABLES:#x};" if paging else ""
    guest = guest_with_task(load_cr3 + "mov ebx, 5; int 0x31; inc ebx; int 0x30", vector=0x31, paging=paging)
    guest.place(0x128000, "add dword ptr [0x106048], 1; mov eax, 0x77; iretd; ")
    guest.pieces[TASK2] = tss32(eip=0x128000)
    guest.gate(0x30)
    report = guest.report()
    assert report.vector == 0x30
    assert report.registers[3] == 6
    assert report.eflags & NT == 0


def test_a_task_gate_is_left_and_entered_from_ring_3() -> None:
    guest = guest_with_task(user="mov ebx, 5; int 0x31; inc ebx; int 0x30", vector=0x31)
    guest.place(0x128000, "iretd")
    guest.pieces[TASK2] = tss32(eip=0x128000)
    guest.gate(0x30, dpl=3)
    report = guest.report()
    assert report.registers[3] == 6
    assert report.stack[1] == CODE3
    assert report.stack[3:5] == (stack_of(3), DATA3)


def test_a_task_switch_loads_cr3_and_the_model_sees_it() -> None:
    guest = guest_with_task(f"mov eax, [{HOLE:#x}]; int 0x31", vector=0x31, paging=True, cr3=TABLES2)
    # the second space maps HOLE to another frame
    guest.pieces[HOLE] = struct.pack("<I", 0x11111111)
    directory = bytearray(4096)
    struct.pack_into("<I", directory, 0, TABLES2 + 0x1000 | 7)
    table = b"".join(
        struct.pack("<I", (0x1A0000 if page == HOLE >> 12 else page << 12) | 7) for page in range(1024)
    )
    guest.pieces[TABLES2] = bytes(directory) + table
    guest.pieces[0x1A0000] = struct.pack("<I", 0x22222222)
    guest.place(TASK2_CODE, f"mov eax, [{HOLE:#x}]; int 0x30")
    guest.gate(0x30)
    report = guest.report()
    assert (report.vector, report.registers[0]) == (0x30, 0x22222222)


def test_a_page_fault_through_a_task_gate_pushes_its_error_code_and_keeps_cr2() -> None:
    guest = guest_with_task(f"nop; mov eax, [{HOLE:#x}]", vector=PF, paging=True)
    guest.map(HOLE, 0)
    report = guest.report()
    assert (report.vector, report.stack[0], report.cr2) == (200, 0, HOLE)


def test_the_saved_flags_of_a_fault_have_rf() -> None:
    guest = guest_with_task(f"nop; mov eax, [{HOLE:#x}]", vector=PF, paging=True)
    guest.map(HOLE, 0)
    eflags = struct.unpack("<I", guest.run().machine.ram.read(TSS + 36, 4))[0]
    assert eflags & RF


@pytest.mark.parametrize(
    ("access", "limit", "vector", "error"),
    [
        (0x8B, 0x67, GP, TASK2_SELECTOR),  # busy
        (0x09, 0x67, NP, TASK2_SELECTOR),
        (0x89, 0x66, TS, TASK2_SELECTOR),
        (0x92, 0x67, GP, TASK2_SELECTOR),
    ],
)
def test_a_bad_tss_behind_a_task_gate_faults_in_the_old_task(
    access: int, limit: int, vector: int, error: int
) -> None:
    guest = guest_with_task("nop; int 0x31", vector=0x31)
    guest.gdt[TASK2_SELECTOR] = segment(TASK2, limit, access, 0)
    report = guest.report()
    assert (report.vector, *report.stack[:2]) == (vector, error, MAIN + 1)


@pytest.mark.parametrize(
    ("changes", "vector", "error"),
    [
        ({"ldt": DATA0}, TS, DATA0),
        ({"cs": DATA0}, TS, DATA0),
        ({"cs": 0}, TS, 0),
        ({"ss": CODE0}, TS, CODE0),
        ({"ss": 0}, TS, 0),
        ({"ds": 0x38}, NP, 0x38),
        ({"es": TSS_SELECTOR}, TS, TSS_SELECTOR),
    ],
)
def test_a_bad_segment_in_the_new_tss_faults_in_the_new_task(
    changes: dict[str, int], vector: int, error: int
) -> None:
    guest = guest_with_task("nop; int 0x31", vector=0x31, **changes)
    guest.gdt[0x38] = segment(0, 0xFFFFFFFF, 0x13, 0xC)
    guest.idt[vector] = gate(0x90, 0, TASK)
    # a third task reports, since the second has no usable stack
    guest.gdt[0x90] = segment(0x106100, 0x67, 0x89, 0)
    guest.pieces[0x106100] = tss32(eip=0x128000)
    guest.place(
        0x128000, f"mov ss:[{REPORT + 16:#x}], eax; mov dword ptr ss:[{REPORT:#x}], {vector}; jmp {DUMP:#x}"
    )
    ran = guest.run()
    report = ran.report
    assert ran.outcome.status == 1, ran.outcome
    assert (report.vector, report.stack[0]) == (vector, error)
    assert struct.unpack("<H", ran.machine.ram.read(0x106100, 2))[0] == TASK2_SELECTOR
    assert struct.unpack("<I", ran.machine.ram.read(TASK2 + 32, 4))[0] == TASK2_CODE


@pytest.mark.parametrize("how", ["jump", "call"])
@pytest.mark.parametrize("user", [False, True], ids=["in ring 0", "in ring 3"])
@pytest.mark.parametrize("through", ["TSS", "task gate"])
def test_far_transfers_switch_tasks_natively(how: str, user: bool, through: str) -> None:
    selector = TASK2_SELECTOR if through == "TSS" else 0x68
    transfer = (far_jump if how == "jump" else far_call)(selector, 0)
    source = f"mov ebx, 0x1111; {transfer}"
    guest = guest_with_task("" if user else source, user=source if user else "", paging=True)
    guest.gdt[TASK2_SELECTOR] = segment(TASK2, 0x67, 0xE9, 0)
    guest.gdt[0x68] = gate(TASK2_SELECTOR, 0, TASK, 3)
    for address in range(0x100000, 0x110000, 0x1000):
        guest.map(address, address | 3)  # the tables are the supervisor's
    ran = guest.run()
    report = guest.report()
    assert report.vector == 200
    assert report.registers == SECOND
    assert bool(report.eflags & NT) is (how == "call")
    assert struct.unpack("<I", ran.machine.ram.read(TSS + 52, 4))[0] == 0x1111


def test_a_native_task_switch_to_another_cr3_is_seen_by_the_model() -> None:
    guest = guest_with_task(f"mov eax, [{HOLE:#x}]; {far_jump(TASK2_SELECTOR, 0)}", paging=True, cr3=TABLES2)
    directory = bytearray(4096)
    struct.pack_into("<I", directory, 0, TABLES2 + 0x1000 | 7)
    table = b"".join(
        struct.pack("<I", (0x1A0000 if page == HOLE >> 12 else page << 12) | 7) for page in range(1024)
    )
    guest.pieces[TABLES2] = bytes(directory) + table
    guest.pieces[0x1A0000] = struct.pack("<I", 0x22222222)
    guest.place(TASK2_CODE, f"mov eax, [{HOLE:#x}]; int 0x30")
    guest.gate(0x30)
    ran = guest.run()
    assert (ran.report.vector, ran.report.registers[0]) == (0x30, 0x22222222)
    assert ran.machine.statistics()["cr3_writes"] == 2
    assert guest.report().registers[0] == 0x22222222


def test_iret_after_a_native_call_of_a_task_goes_back_to_ring_3() -> None:
    main = f"mov dword ptr [{TSS + 28:#x}], {TABLES:#x};"
    user = f"mov ebx, 5; {far_call(TASK2_SELECTOR)}; inc ebx; int 0x30"
    guest = guest_with_task(main, user=user, paging=True)
    guest.gdt[TASK2_SELECTOR] = segment(TASK2, 0x67, 0xE9, 0)
    guest.place(0x128000, "iretd")
    guest.pieces[TASK2] = tss32(eip=0x128000)
    guest.gate(0x30, dpl=3)
    for address in range(0x100000, 0x110000, 0x1000):
        guest.map(address, address | 3)
    report = guest.report()
    assert (report.vector, report.registers[3], report.stack[1], report.stack[0]) == (
        0x30,
        6,
        CODE3,
        USER + 15,
    )
