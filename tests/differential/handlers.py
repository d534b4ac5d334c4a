"""The generated guests' exception handlers: each appends a record to the log, and goes on.

A record is 32 dwords, the first its kind (a letter in the top byte) and the number of its fragment::

    E  an exception: what the handler found on its stack, SS, CS, CR2, DR6, CR0, TR, LDTR
    D  a double fault, taken by a task: its error code and the TSS of the interrupted task
    R  a real-mode interrupt: 16 words of its stack
    S  the end of a fragment: `driver`
"""

from tests.differential import layout as at
from tests.differential.fragment import assemble

RECORD = 32
WITH_ERROR = (8, 10, 11, 12, 13, 14, 17)
STUB = 16
COMMON = at.HANDLERS + STUB * (at.LAST_VECTOR + 1)
DF_ENTRY, TASK_B, FINISH, REAL_FINISH = (at.HANDLERS + 0x1000 + 0x200 * i for i in range(4))
NEXT = at.HANDLERS + 0x2000
TASK_16 = 0x1900  # 32-bit code that a 16-bit TSS can name
REAL_STUBS, REAL_COMMON, REAL_GDT, REAL_IDT = 0x600, 0xE00, 0x17F0, 0x17F8
REAL_RECORDS = 8

_SAVED = 26  # dwords of the stack in an E record: EFLAGS GS FS ES DS, PUSHAD, vector, error and the frame

_COMMON = f"""
    pushad
    .byte 0x1e, 0x06; push fs; push gs; pushfd
    cld
    mov ax, {at.DATA3}; mov ds, ax; mov es, ax
    mov ebx, esp
    mov eax, ss; lar eax, eax; test eax, 0x400000; jnz wide
    movzx ebx, bx
wide:
    mov edi, [{at.LOG_POINTER}]
    mov eax, [{at.INDEX}]; or eax, 0x45000000; mov [edi], eax
    xor ecx, ecx
copy:
    mov eax, ss:[ebx + ecx*4]; mov [edi + ecx*4 + 4], eax
    inc ecx; cmp ecx, {_SAVED}; jb copy
    mov eax, ss; mov [edi + 4*27], eax
    mov eax, cs; mov [edi + 4*28], eax
    test al, 3; jnz outer
    mov eax, cr2; mov [edi + 4*29], eax
    mov eax, dr6; mov [edi + 4*30], eax
outer:
    str ax; shl eax, 16; sldt ax; mov [edi + 4*31], eax
    add edi, {4 * RECORD}; mov [{at.LOG_POINTER}], edi
    inc dword ptr [{at.COUNT}]
    cmp dword ptr [{at.COUNT}], 24; ja stop
    cmp dword ptr [{at.NO_RESUME}], 0; jnz stop
    mov eax, ss:[ebx + 52]
    cmp eax, 1; je debug
    cmp eax, 3; je resume
    cmp eax, 4; je resume
    cmp eax, 0x20; jae resume
    mov ecx, ss:[ebx + 60]
    mov edi, [{at.STEPS}]
    mov edx, [edi]
    cmp ecx, [edi + 4]; jb stop
look:
    add edi, 4
    cmp [edi], ecx; ja found
    dec edx; jnz look
stop:
    mov eax, cs; test al, 3; jz finish
    int {at.FINISH_VECTOR}
finish:
    jmp {FINISH:#x}
found:
    mov eax, [edi]; mov ss:[ebx + 60], eax
    jmp resume
debug:
    or dword ptr ss:[ebx + 68], 0x10000
resume:
    popfd; pop gs; pop fs; .byte 0x07, 0x1f; popad
    add esp, 8
    iretd
"""

_DOUBLE_FAULT = f"""
    cld
    mov edi, [{at.LOG_POINTER}]
    mov eax, [{at.INDEX}]; or eax, 0x44000000; stosd
    mov eax, [esp]; stosd
    mov esi, {at.TSS}; mov ecx, 26; .byte 0xf3, 0xa5
    movzx eax, word ptr [{at.TSS_DF}]; stosd
    mov eax, cr2; stosd
    add edi, 8
    mov [{at.LOG_POINTER}], edi
    jmp {FINISH:#x}
"""

_TASK_B = f"""
again:
    int {at.SNAPSHOT_VECTOR}
    mov eax, 0x5a5a; mov ecx, cr0
    iretd
    mov eax, 0xa5a5
    jmp again
"""

# 16-bit: FLAGS ES DS DI SI BP SP BX DX CX AX vector IP CS FLAGS
_REAL_COMMON = f"""
    pusha; .byte 0x1e, 0x06; pushf
    cld
    xor ax, ax; mov ds, ax; mov es, ax
    mov di, [{at.REAL_LOG}]
    mov bp, sp; mov cx, 15
copy:
    mov ax, [bp]; stosw; add bp, 2; loop copy
    mov ax, ss; stosw
    mov [{at.REAL_LOG}], di
    mov bp, sp
    cmp di, {at.REAL_LOG + 2 + 32 * REAL_RECORDS}; jae finish
    mov al, [bp + 22]
    cmp al, 0x7e; je finish
    cmp al, 1; je resume
    cmp al, 3; je resume
    cmp al, 4; je resume
    cmp al, 0x20; jae resume
    mov ax, [bp + 24]
    mov si, {at.REAL_STARTS + 2}; mov cx, [{at.REAL_STARTS}]
look:
    cmp [si], ax; ja found
    add si, 2; loop look
finish:
    .byte 0x66, 0x0f, 0x01, 0x16; .short {REAL_GDT}
    mov eax, cr0; or al, 1; mov cr0, eax
    .byte 0x66, 0xea; .long {REAL_FINISH}; .short {at.CODE0}
found:
    mov ax, [si]; mov [bp + 24], ax
resume:
    popf; .byte 0x07, 0x1f; popa
    add sp, 2
    iret
"""


def handler_of(vector: int) -> int:
    return at.HANDLERS + STUB * vector


def protected() -> dict[int, bytes]:
    """The handlers of protected mode by address."""
    pieces = {}
    for vector in range(at.LAST_VECTOR + 1):
        if vector == at.FINISH_VECTOR:
            source = f"jmp {FINISH:#x}"
        else:
            source = ("" if vector in WITH_ERROR else "push 0;") + f"push {vector}; jmp {COMMON:#x}"
        pieces[handler_of(vector)] = assemble(source, handler_of(vector))
    pieces[COMMON] = assemble(_COMMON, COMMON)
    pieces[DF_ENTRY] = assemble(_DOUBLE_FAULT, DF_ENTRY)
    pieces[TASK_B] = assemble(_TASK_B, TASK_B)
    return pieces


def real() -> dict[int, bytes]:
    """The handlers of real mode, their vector table and the table pointers of the way back."""
    pieces = {}
    for vector in range(at.LAST_VECTOR + 1):
        stub = REAL_STUBS + STUB * vector
        pieces[4 * vector] = stub.to_bytes(4, "little")
        pieces[stub] = assemble(f".byte 0x6a, {vector}; jmp {REAL_COMMON:#x}", stub, 16)
    pieces[REAL_COMMON] = assemble(_REAL_COMMON, REAL_COMMON, 16)
    pieces[TASK_16] = assemble(_TASK_B, TASK_16)
    pieces[REAL_GDT] = at.GDT_LIMIT.to_bytes(2, "little") + at.GDT.to_bytes(4, "little")
    pieces[REAL_IDT] = (0x3FF).to_bytes(2, "little") + bytes(4)
    return pieces
