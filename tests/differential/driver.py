"""The generated guests' driver: puts everything back, runs a fragment, and logs how it ended.

The S record: CR0 CR2 CR3 CR4 DR6 DR7 TR:LDTR GDTR IDTR, sums of the eight test pages, of GDT, LDT, IDT and
TSSs, and the low 12 bits of the entries of the test window's page table, and of the page directory.
"""

from tests.differential import layout as at
from tests.differential.fragment import assemble
from tests.differential.handlers import FINISH, NEXT, REAL_FINISH, RECORD

START, SUM, SECOND, PREPARE = NEXT + 0x600, NEXT + 0x700, NEXT + 0x800, NEXT + 0x200
POINTER = at.VARIABLES + 0x80  # LGDT, LIDT operands: limit, base
SCRATCH = at.VARIABLES + 0xA0

# EAX = sum of ECX dwords at ESI
SUM_SOURCE = """
    xor eax, eax
again:
    rol eax, 5; add eax, [esi]; add esi, 4
    dec ecx; jnz again
    ret
"""


def _sum(address: int, dwords: int) -> str:
    return f"mov esi, {address:#x}; mov ecx, {dwords}; call {SUM:#x}; stosd;"


def _page_sum(page: int) -> str:
    start = at.TEST_PAGES + 4096 * page
    second = f"mov esi, {start + 0xFC0:#x}; mov ecx, 16; call {SUM:#x}; add eax, ebx; stosd;"
    return f"mov esi, {start:#x}; mov ecx, 16; call {SUM:#x}; mov ebx, eax;" + second


def _entries(table: int, count: int) -> str:
    """Pairs of page-table entries' low 12 bits."""
    return "".join(
        f"mov eax, [{table + 4 * i:#x}]; and eax, 0xfff; mov ebx, [{table + 4 * i + 4:#x}]; shl ebx, 16;"
        f" and ebx, 0xfff0000; or eax, ebx; stosd;"
        for i in range(0, count, 2)
    )


FINISH_SOURCE = f"""
    mov ax, {at.DATA0}; mov ds, ax; mov es, ax; mov fs, ax; mov gs, ax; mov ss, ax
    mov esp, {at.STACK_MAIN:#x}
    cld
    sgdt [{SCRATCH:#x}]; sidt [{SCRATCH + 8:#x}]
    mov edi, [{at.LOG_POINTER}]
    mov eax, [{at.INDEX}]; or eax, 0x53000000; stosd
    mov eax, cr0; stosd
    mov eax, cr2; stosd
    mov eax, cr3; stosd
    mov eax, cr4; stosd
    mov eax, dr6; stosd
    mov eax, dr7; stosd
    xor eax, eax; mov dr7, eax
    str ax; shl eax, 16; sldt ax; stosd
    movzx eax, word ptr [{SCRATCH:#x}]; stosd
    mov eax, [{SCRATCH + 2:#x}]; stosd
    movzx eax, word ptr [{SCRATCH + 8:#x}]; stosd
    mov eax, [{SCRATCH + 10:#x}]; stosd
    jmp {SECOND:#x}
"""
SECOND_SOURCE = f"""
    {"".join(_page_sum(page) for page in range(at.PAGES))}
    {_sum(at.GDT, (at.GDT_LIMIT + 1) // 4)}
    {_sum(at.LDT, (at.LDT_LIMIT + 1) // 4)}
    {_sum(at.IDT, 2 * (at.LAST_VECTOR + 1))}
    {_sum(at.TSS, 0x1000 // 4)}
    {_entries(at.TABLE_TEST, at.PAGES)}
    {_entries(at.DIRECTORY, 4)}
    add edi, 8
    mov esi, {at.REAL_LOG + 2}
real:
    movzx ebx, word ptr [{at.REAL_LOG}]
    cmp esi, ebx; jae over
    mov eax, [{at.INDEX}]; or eax, 0x52000000; stosd
    mov ecx, 16
words:
    movzx eax, word ptr [esi]; stosd; add esi, 2; dec ecx; jnz words
    add edi, {4 * (RECORD - 17)}
    jmp real
over:
    mov [{at.LOG_POINTER}], edi
    inc dword ptr [{at.INDEX}]
    cmp dword ptr [{at.IN_QEMU}], 0; je next
    mov esi, [{at.FLUSHED}]; mov ecx, edi; sub ecx, esi; mov dx, 0xe9; rep outsb
    mov [{at.FLUSHED}], edi
next:
    jmp {NEXT:#x}
"""
REAL_FINISH_SOURCE = f"mov ax, {at.DATA0}; mov ds, ax; jmp {FINISH:#x}"

# the only difference between the two machines: one has a debug console at 0xe9, which reads as 0xe9
START_SOURCE = f"""
    cli
    mov al, 0xff; out 0x21, al; out 0xa1, al
    mov edx, 0xe9; in al, dx; cmp al, 0xe9; sete al; movzx eax, al; mov [{at.IN_QEMU}], eax
    jmp {NEXT:#x}
"""

NEXT_SOURCE = f"""
    mov eax, 0x11; mov cr0, eax
    mov ebp, [{at.INDEX}]; cmp ebp, [{at.TOTAL}]; jae end
    mov esi, {at.PRISTINE:#x}; mov edi, {at.LIVE:#x}; mov ecx, {at.LIVE_SIZE // 4}; .byte 0xf3, 0xa5
    xor eax, eax; mov edi, {at.STACKS:#x}; mov ecx, 0x2000; rep stosd
    mov edi, {at.REAL_STACK - 0x100}; mov ecx, 0x48; rep stosd
    mov word ptr [{at.REAL_LOG}], {at.REAL_LOG + 2}
    mov edi, {at.TEST_PAGES:#x}
fill:
    lea eax, [edi + edi*2 + 0x5a5a0000]; mov [edi], eax; mov [edi + 0xfc0], eax
    add edi, 4
    test edi, 0x3f; jnz fill
    add edi, 0xfc0
    cmp edi, {at.TEST_PAGES + 4096 * at.PAGES:#x}; jb fill
    lgdt [{POINTER:#x}]; lidt [{POINTER + 8:#x}]
    .byte 0xea; .long {PREPARE:#x}; .short {at.CODE0}
end:
    mov al, 0x31; out 0xf4, al
    cli; hlt
"""
PREPARE_SOURCE = f"""
    mov ax, {at.DATA0}; mov ds, ax; mov es, ax; mov fs, ax; mov gs, ax; mov ss, ax
    mov esp, {at.STACK_MAIN:#x}
    push 2; popfd
    mov ax, {at.LDT_SELECTOR}; lldt ax
    mov ax, {at.TSS_SELECTOR}; ltr ax
    mov eax, 0xffff0ff0; mov dr6, eax; mov eax, 0x400; mov dr7, eax
    xor eax, eax; mov cr2, eax
    mov dr0, eax; mov dr1, eax; mov dr2, eax; mov dr3, eax
    mov [{at.COUNT}], eax
    xor edx, edx; mov ecx, 0x174; wrmsr
    mov esi, [ebp*4 + {at.FRAGMENT_TABLE:#x}]
    lodsd; mov [{at.POINTERS}], eax
    lodsd; mov [{at.POINTERS + 4}], eax
    lodsd; mov [{at.POINTERS + 8}], eax
    lodsd; mov cr4, eax
    lodsd; mov [{at.NO_RESUME}], eax
    mov edi, {at.POINTERS + 12}; mov ecx, 8; .byte 0xf3, 0xa5
    lodsd; mov ecx, eax; test ecx, ecx; jz poked
poke:
    mov edi, [esi]; mov eax, [esi + 4]; mov [edi], eax
    add esi, 8; dec ecx; jnz poke
poked:
    mov [{at.STEPS}], esi
    mov eax, {at.DIRECTORY:#x}; mov cr3, eax
    mov eax, [{at.POINTERS + 8}]; mov cr0, eax
    jmp flush
flush:
    mov edi, [{at.POINTERS + 12}]; mov esi, [{at.POINTERS + 16}]; mov ebp, [{at.POINTERS + 20}]
    mov ebx, [{at.POINTERS + 28}]; mov edx, [{at.POINTERS + 32}]; mov ecx, [{at.POINTERS + 36}]
    push dword ptr [{at.POINTERS + 4}]
    mov eax, [{at.POINTERS + 40}]
    popfd
    jmp dword ptr [{at.POINTERS}]
"""


def pieces() -> dict[int, bytes]:
    """The driver by address."""
    sources = {
        START: START_SOURCE,
        NEXT: NEXT_SOURCE,
        PREPARE: PREPARE_SOURCE,
        SUM: SUM_SOURCE,
        FINISH: FINISH_SOURCE,
        SECOND: SECOND_SOURCE,
        REAL_FINISH: REAL_FINISH_SOURCE,
    }
    return {address: assemble(source, address) for address, source in sources.items()}
