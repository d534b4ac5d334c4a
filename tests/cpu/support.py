"""Small protected-mode guests, one exception or interrupt each, that run here and under QEMU alike.

0x100000  multiboot header   0x102000  IDT       0x108000  report       0x130000  main (ring 0)
0x101000  GDT                0x104000  TSS       0x110000  handlers     0x140000  user code
0x160000  stack tops: ring 0, 1, 2, 3 and main, 0x2000 each             0x180000  page tables

A handler's default body writes everything it can see into the report: `Report`.
"""

import os
import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keystone

from emulator.machine import Machine, Outcome
from emulator.timing.profile import Profile, load_profile
from loader import load_image

MEGABYTE = 1 << 20
RAM = 16 * MEGABYTE
P4 = "pentium4-willamette-1400"
P3 = "pentium3-katmai-550"

HEADER, GDT, IDT, TSS, TSS16, REPORT = 0x100000, 0x101000, 0x102000, 0x104000, 0x107000, 0x108000
HANDLERS, MAIN, USER, STACKS, TABLES = 0x110000, 0x130000, 0x140000, 0x160000, 0x180000
HANDLER_BASE, HANDLER_STRIDE = HANDLERS, 0x100

CODE0, DATA0, CODE3, DATA3, TSS_SELECTOR = 0x08, 0x10, 0x1B, 0x23, 0x28
CONFORMING, ABSENT_CODE, ABSENT_DATA, NEAR_CODE, DATA16 = 0x30, 0x38, 0x40, 0x48, 0x50
CODE1, DATA1, GATE, READ_ONLY, TSS16_SELECTOR, CODE2, DATA2 = 0x59, 0x61, 0x68, 0x70, 0x78, 0x82, 0x8A
DATA_SHIFTED, ABSENT_DATA3 = 0x90, 0x9B
GDT_LIMIT = 0x9F

INTERRUPT32, TRAP32, INTERRUPT16, TRAP16, TASK = 14, 15, 6, 7, 5
TF, IF, NT, RF, VM = 0x100, 0x200, 0x4000, 0x10000, 0x20000
IOPL3 = 0x3000
SYSTEM_FLAGS = TF | IF | NT | RF | VM | IOPL3
DE, DB, BP, OF, BR, UD, NM, DF, TS, NP, SS, GP, PF, MF = 0, 1, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 16
HOLE = 0x200000  # guests with paging leave it unmapped

_PROFILES: dict[str, Profile] = {}


def profile(name: str = P4) -> Profile:
    if name not in _PROFILES:
        _PROFILES[name] = load_profile(name)
    return _PROFILES[name]


def assemble(source: str, address: int, bits: int = 32) -> bytes:
    mode = {16: keystone.KS_MODE_16, 32: keystone.KS_MODE_32}[bits]
    try:
        code, _ = keystone.Ks(keystone.KS_ARCH_X86, mode).asm(source, address)
    except keystone.KsError as error:
        raise AssertionError(f"{error}: {source}") from error
    return bytes(code or b"")


def segment(base: int, limit: int, access: int, flags: int) -> int:
    """A descriptor: `access` is byte 5, `flags` the high nibble of byte 6 (G D L AVL)."""
    if flags & 8:
        limit >>= 12
    low = (limit & 0xFFFF) | (base & 0xFFFF) << 16
    high = (base >> 16 & 0xFF) | access << 8 | (limit & 0xF0000) | flags << 20 | (base & 0xFF000000)
    return high << 32 | low


def gate(selector: int, offset: int, kind: int, dpl: int = 0, present: bool = True, words: int = 0) -> int:
    high = (offset & 0xFFFF0000) | int(present) << 15 | dpl << 13 | kind << 8 | words
    return high << 32 | selector << 16 | (offset & 0xFFFF)


def stack_of(ring: int) -> int:
    """Top of the stack that the TSS gives to a ring; 3 is the user's own, 4 main's."""
    return STACKS + 0x2000 * (ring + 1)


def handler_of(vector: int) -> int:
    return HANDLER_BASE + HANDLER_STRIDE * vector


def far_jump(selector: int, offset: int) -> str:
    """JMP ptr16:32, which keystone can't write."""
    return f".byte 0xea; .long {offset:#x}; .short {selector:#x}"


def far_call(selector: int, offset: int = 0) -> str:
    """CALL ptr16:32."""
    return f".byte 0x9a; .long {offset:#x}; .short {selector:#x}"


DUMP = HANDLER_BASE + HANDLER_STRIDE * 0x100
FINISH = DUMP + 0x200
WORDS = 32
RAN_ON = 99  # exit status of a guest whose main ends without an exception
ALL = 0xFFFFFFFF
FLAT = segment(0, ALL, 0x9B, 0xC)

_DUMP_SOURCE = f"""
    mov ss:[{REPORT + 20:#x}], ecx
    mov ss:[{REPORT + 24:#x}], edx
    mov ss:[{REPORT + 28:#x}], ebx
    mov ss:[{REPORT + 32:#x}], esp
    mov ss:[{REPORT + 36:#x}], ebp
    mov ss:[{REPORT + 40:#x}], esi
    mov ss:[{REPORT + 44:#x}], edi
    pushfd
    pop eax
    mov ss:[{REPORT + 4:#x}], eax
    mov eax, cs
    mov ss:[{REPORT + 8:#x}], eax
    mov eax, ss
    mov ss:[{REPORT + 12:#x}], eax
    mov eax, ds
    mov ss:[{REPORT + 48:#x}], eax
    mov eax, es
    mov ss:[{REPORT + 52:#x}], eax
    mov eax, fs
    mov ss:[{REPORT + 56:#x}], eax
    mov eax, gs
    mov ss:[{REPORT + 60:#x}], eax
    mov ebx, ss:[{REPORT + 32:#x}]
    xor ecx, ecx
copy:
    mov eax, ss:[ebx + ecx*4]
    mov ss:[ecx*4 + {REPORT + 128:#x}], eax
    inc ecx
    cmp ecx, 12
    jb copy
    mov ax, cs
    test al, 3
    jnz done
    mov eax, cr2
    mov ss:[{REPORT + 64:#x}], eax
done:
    mov bl, 1
    jmp {FINISH:#x}
"""
# Both machines end the same way; only QEMU listens at port 0xe9. Outer rings get here with IOPL 3.
_FINISH_SOURCE = f"""
    mov ax, ss
    mov ds, ax
    mov esi, {REPORT:#x}
    mov ecx, {16 * WORDS}
    mov dx, 0xe9
    cld
    rep outsb
    mov al, bl
    out 0xf4, al
    cli
    hlt
"""


@dataclass(frozen=True)
class Report:
    """What a handler saw; `stack` is the 12 dwords from its ESP on."""

    vector: int
    eflags: int
    cs: int
    ss: int
    registers: tuple[int, ...]  # eax ecx edx ebx esp ebp esi edi
    data: tuple[int, ...]  # ds es fs gs
    cr2: int
    stack: tuple[int, ...]
    words: tuple[int, ...]  # the whole report, for guests that write their own

    @property
    def esp(self) -> int:
        return self.registers[4]

    def halfwords(self, count: int) -> tuple[int, ...]:
        """The stack as words, for frames of 16-bit gates."""
        return struct.unpack_from(f"<{count}H", struct.pack("<12I", *self.stack))


def parse(data: bytes) -> Report:
    w = struct.unpack(f"<{4 * WORDS}I", data)
    return Report(w[0], w[1], w[2], w[3], w[4:12], w[12:16], w[16], w[32:44], w)


class Guest:
    """Memory contents by address. `main` runs in ring 0 with the tables loaded, interrupts off."""

    def __init__(self, main: str = "", *, user: str = "", paging: bool = False) -> None:
        self.pieces: dict[int, bytes] = {}
        self.gdt: dict[int, int] = {
            CODE0: FLAT,
            DATA0: segment(0, ALL, 0x93, 0xC),
            CODE3: segment(0, ALL, 0xFB, 0xC),
            DATA3: segment(0, ALL, 0xF3, 0xC),
            TSS_SELECTOR: segment(TSS, 0x67, 0x89, 0),
            CONFORMING: segment(0, ALL, 0x9F, 0xC),
            ABSENT_CODE: segment(0, ALL, 0x1B, 0xC),
            ABSENT_DATA: segment(0, ALL, 0x13, 0xC),
            NEAR_CODE: segment(HANDLERS, ALL, 0x9B, 0xC),
            DATA16: segment(0, ALL, 0x93, 0x8),
            CODE1: segment(0, ALL, 0xBB, 0xC),
            DATA1: segment(0, ALL, 0xB3, 0xC),
            READ_ONLY: segment(0, ALL, 0x91, 0xC),
            TSS16_SELECTOR: segment(TSS16, 0x2B, 0x81, 0),
            CODE2: segment(0, ALL, 0xDB, 0xC),
            DATA2: segment(0, ALL, 0xD3, 0xC),
            ABSENT_DATA3: segment(0, ALL, 0x73, 0xC),
            DATA_SHIFTED: segment(0x1000, ALL, 0x93, 0xC),
        }
        self.idt: dict[int, int] = {}
        self.idt_limit = 0x7FF
        self.task = TSS_SELECTOR
        self.tss: dict[int, tuple[int, int]] = {r: (stack_of(r), (DATA0, DATA1, DATA2)[r]) for r in range(3)}
        self.tss_tail = b""
        self.tables: dict[int, bytes] = {}
        self.paging = paging
        self.main_source, self.user_source = main, user
        self.user_flags = 2
        self.user_segments = True
        for vector in range(0x30):
            self.gate(vector)
        self.place(DUMP, _DUMP_SOURCE)
        self.place(FINISH, _FINISH_SOURCE)

    def place(self, address: int, source: str, bits: int = 32) -> None:
        self.pieces[address] = assemble(source, address, bits)

    def gate(
        self, vector: int, kind: int = INTERRUPT32, dpl: int = 0, selector: int = CODE0, present: bool = True
    ) -> None:
        """A gate to the default handler of `vector`. `NEAR_CODE` makes its offset fit 16 bits."""
        at = handler_of(vector)
        self.place(
            at,
            f"mov ss:[{REPORT + 16:#x}], eax; mov dword ptr ss:[{REPORT:#x}], {vector}; jmp {DUMP:#x}",
        )
        offset = at - HANDLERS if selector == NEAR_CODE else at
        self.idt[vector] = gate(selector, offset, kind, dpl, present)

    def handler(self, vector: int, source: str) -> None:
        self.place(handler_of(vector), source)

    def map(self, linear: int, entry: int) -> None:
        """With paging: a page-table entry instead of the identity map (linear below 4 MB)."""
        self.tables[linear >> 12] = struct.pack("<I", entry)

    def _page_tables(self) -> bytes:
        directory = bytearray(4096)
        struct.pack_into("<I", directory, 0, TABLES + 0x1000 | 7)
        table = bytearray()
        for page in range(1024):
            table += self.tables.get(page, struct.pack("<I", page << 12 | 7))
        return bytes(directory) + bytes(table)

    def contents(self) -> dict[int, bytes]:
        pieces = dict(self.pieces)
        gdt = bytearray(GDT_LIMIT + 1)
        for selector, value in self.gdt.items():
            struct.pack_into("<Q", gdt, selector & ~7, value)
        idt = bytearray(0x800)
        for vector, value in self.idt.items():
            struct.pack_into("<Q", idt, 8 * vector, value)
        tss = bytearray(0x68)
        tss16 = bytearray(0x2C)
        for ring, (esp, ss) in self.tss.items():
            struct.pack_into("<II", tss, 4 + 8 * ring, esp & ALL, ss)
            struct.pack_into("<HH", tss16, 2 + 4 * ring, esp & 0xFFFF, ss)
        struct.pack_into("<H", tss, 102, 0x68)
        pieces |= {GDT: bytes(gdt), IDT: bytes(idt), TSS: bytes(tss) + self.tss_tail, TSS16: bytes(tss16)}
        pieces[GDT + 0x800] = struct.pack("<HIHHI", GDT_LIMIT, GDT, 0, self.idt_limit, IDT)
        pieces[REPORT] = bytes(16 * WORDS)
        if self.paging:
            pieces[TABLES] = self._page_tables()
        # IRET makes ring 0's segments null, and then no access is allowed
        load = f"mov ax, {DATA3}; mov ds, ax; mov es, ax; mov fs, ax; mov gs, ax; mov eax, 0"
        enter_user = f"""
            {load if self.user_segments else ""}
            push {DATA3}; push {stack_of(3):#x}; push {self.user_flags:#x}
            push {CODE3}; push {USER:#x}; iretd
        """
        paging = f"mov eax, {TABLES:#x}; mov cr3, eax; mov eax, cr0; or eax, 0x80000000; mov cr0, eax"
        prelude = f"""
            cli
            mov al, 0xff; out 0x21, al; out 0xa1, al
            lgdt [{GDT + 0x800:#x}]
            lidt [{GDT + 0x808:#x}]
            {far_jump(CODE0, MAIN - 0x80)}
        """
        second = f"""
            mov ax, {DATA0}; mov ds, ax; mov es, ax; mov fs, ax; mov gs, ax; mov ss, ax
            mov esp, {stack_of(4):#x}
            mov ax, {self.task}; ltr ax
            {paging if self.paging else ""}
            xor eax, eax; xor ebx, ebx; xor ecx, ecx; xor edx, edx; xor esi, esi; xor edi, edi; xor ebp, ebp
            push 2; popfd
            jmp {MAIN:#x}
        """
        pieces[MAIN - 0x100] = assemble(prelude, MAIN - 0x100)
        pieces[MAIN - 0x80] = assemble(second, MAIN - 0x80)
        end = f"; mov bl, {RAN_ON}; jmp {FINISH:#x}"
        pieces[MAIN] = assemble(self.main_source + (enter_user if self.user_source else end), MAIN)
        if self.user_source:
            pieces[USER] = assemble(self.user_source, USER)
        return pieces

    def image(self) -> bytes:
        """One multiboot file (a.out kludge) loaded at `HEADER`."""
        pieces = self.contents()
        end = max(a + len(b) for a, b in pieces.items())
        data = bytearray(end - HEADER)
        header = (0x1BADB002, 0x10000, (-0x1BADB002 - 0x10000) & ALL, HEADER, HEADER, 0, 0, MAIN - 0x100)
        struct.pack_into("<8I", data, 0, *header)
        for address, piece in pieces.items():
            at = address - HEADER
            assert not any(data[at : at + len(piece)]), f"pieces overlap at {address:#x}"
            data[at : at + len(piece)] = piece
        return bytes(data)

    def machine(self, *, name: str = P4, **options: Any) -> Machine:
        machine = Machine(profile(name), memory_bytes=RAM, **options)
        machine.load(load_image(self.image(), memory_bytes=RAM, format="multiboot"))
        return machine

    def run(self, max_cycles: int = 20_000_000, **options: Any) -> "Ran":
        machine = self.machine(**options)
        outcome = machine.run(max_cycles=max_cycles)
        if machine.state.accounting:
            machine.ledger.check(machine.cycles)
        return Ran(machine, outcome)

    def report(self, *, qemu: bool = True, **options: Any) -> Report:
        """Run until a handler reports; compare with QEMU if asked to and it is known to be right."""
        ran = self.run(**options)
        assert (ran.outcome.kind, ran.outcome.status) == ("exit", 1), ran.outcome
        if qemu and have_qemu():
            for index, (ours, theirs) in enumerate(zip(ran.words, self.qemu().words, strict=True)):
                # QEMU 7.2 sets neither RF in the frame of a fault nor the EXT bit of an error code
                known = (0, RF, 1) if index >= 32 else (0,)
                assert ours ^ theirs in known, f"QEMU differs in word {index}: {ours:#x}, {theirs:#x}"
        return ran.report

    def qemu(self) -> Report:
        """The same image under QEMU."""
        with tempfile.TemporaryDirectory() as folder:
            image, out = Path(folder, "image"), Path(folder, "out")
            image.write_bytes(self.image())
            command = "qemu-system-i386 -accel tcg -display none -no-reboot -m 16 -serial none -monitor none"
            command += f" -net none -kernel {image} -chardev file,id=c,path={out} -device isa-debugcon"
            command += ",iobase=0xe9,chardev=c -device isa-debug-exit,iobase=0xf4"
            subprocess.run(command.split(), timeout=20, check=False, capture_output=True)
            return parse(out.read_bytes())


@dataclass(frozen=True)
class Ran:
    machine: Machine
    outcome: Outcome

    @property
    def report(self) -> Report:
        return parse(self.machine.ram.read(REPORT, 16 * WORDS))

    @property
    def words(self) -> tuple[int, ...]:
        return self.report.words


def flat(
    source: str, *, address: int = MEGABYTE, name: str = P4, memory: int = RAM, **options: Any
) -> Machine:
    """A machine with 32-bit code at `address`: flat segments, no tables."""
    return flat_bytes(assemble(source, address), address=address, name=name, memory=memory, **options)


def flat_bytes(
    code: bytes, *, address: int = MEGABYTE, name: str = P4, memory: int = RAM, **options: Any
) -> Machine:
    machine = Machine(profile(name), memory_bytes=memory, **options)
    machine.load(load_image(code, memory_bytes=memory, format="flat", address=address))
    return machine


def have_qemu() -> bool:
    """QEMU takes half a second a guest, so it is asked for: RINGTOLL_QEMU=1."""
    return bool(os.environ.get("RINGTOLL_QEMU")) and shutil.which("qemu-system-i386") is not None
