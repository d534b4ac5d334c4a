"""The numbers that a decoded block speaks in: kinds of branch, after-effects, intercepted instructions.

The compiled block hook and the core share them, so they are plain integers.
"""

from typing import Final

# The control transfer at the end of a block.
BRANCH_NONE: Final = 0  # falls through
BRANCH_COND: Final = 1  # Jcc, LOOPcc, JECXZ
BRANCH_JUMP: Final = 2  # near direct JMP
BRANCH_CALL: Final = 3  # near direct CALL
BRANCH_RETURN: Final = 4  # near RET
BRANCH_JUMP_INDIRECT: Final = 5
BRANCH_CALL_INDIRECT: Final = 6
BRANCH_FAR: Final = 7  # far JMP/CALL/RET, IRET, INT n/INT3/INTO/INT1, SYSENTER, SYSEXIT, SYSCALL, SYSRET

# What the last instruction of a block leaves to do before the next block. Unicorn 2.1.4 ends a translation
# block after each of these (but not after MOV or POP to FS and GS, so an AFTER_SEGMENT may be missing). It
# does not after LGDT, LIDT, LLDT, LTR, RDMSR, WRMSR, WBINVD, CLI, IN or OUT: see the INTERCEPT_* below.
AFTER_NONE: Final = 0
AFTER_MOV_CR3: Final = 1  # non-global TLB entries go
AFTER_INVLPG: Final = 2  # one page goes: see `DecodedBlock.operand`
AFTER_MOV_CR: Final = 3  # MOV CR0, MOV CR4, LMSW, CLTS: compare with the old value, maybe flush
AFTER_RING: Final = 4  # IRET, far JMP/CALL/RET, SYSENTER, SYSEXIT: CS, and so the ring, may have changed
AFTER_MOV_DR: Final = 5  # MOV to DRn
AFTER_SEGMENT: Final = 6  # MOV/POP to a segment register, LDS ...: bases and, for SS, the interrupt shadow
AFTER_FLAGS: Final = 7  # STI, POPF: IF may be set now
AFTER_HALT: Final = 8  # HLT: idle until the next event
AFTER_INTERRUPT: Final = 9  # INT n, INT3, INTO, INT1: the core delivers and charges the entry

# Instructions that the core must check or execute itself, because Unicorn does not (enough).
INTERCEPT_NONE: Final = 0
INTERCEPT_RDMSR: Final = 1
INTERCEPT_WRMSR: Final = 2
INTERCEPT_IN: Final = 3  # IOPL and the TSS's bitmap are not checked by Unicorn
INTERCEPT_OUT: Final = 4
INTERCEPT_INS: Final = 5
INTERCEPT_OUTS: Final = 6
INTERCEPT_RDPMC: Final = 7  # #UD in Unicorn
INTERCEPT_MOV_TO_DR: Final = 8
INTERCEPT_MOV_FROM_DR: Final = 9
INTERCEPT_INT1: Final = 10  # an invalid instruction in Unicorn
INTERCEPT_SYSENTER: Final = 11  # Unicorn doesn't refuse it when SYSENTER_CS is null

INTERCEPT_FAR: Final = 12  # far JMP and CALL, which may switch tasks
INTERCEPT_SEGMENT: Final = 13  # behind a segment load in mid-block: not an instruction's own kind
INTERCEPT_SIMD: Final = 14  # maybe an instruction that the profile's processor lacks
INTERCEPT_ALIGNED: Final = 15  # a 16-byte operand in memory that Unicorn takes at any address

INTERCEPT_MOV_TO_CR: Final = 16  # CR0 and CR4: Unicorn takes any value

INTERCEPT_FPU_STORE: Final = 17  # stores the x87 status or MXCSR: flags that Unicorn forgets are collected
INTERCEPT_FPU_LOAD: Final = 18  # loads or clears it
INTERCEPT_FPU_ENVIRONMENT: Final = 19  # FNSTENV, which masks all exceptions besides
INTERCEPT_FPU_BEHIND: Final = 20  # behind a load of status or control word: not an instruction's own kind

INTERCEPT_ENTER: Final = 21  # Unicorn loads EBP by the width of the stack
INTERCEPT_ENTERED: Final = 22  # behind it

# Segments of a memory operand, in the order of their encoding.
SEGMENTS: Final = {"es": 0, "cs": 1, "ss": 2, "ds": 3, "fs": 4, "gs": 5}
REGISTERS: Final = {"eax": 0, "ecx": 1, "edx": 2, "ebx": 3, "esp": 4, "ebp": 5, "esi": 6, "edi": 7}
# A base or index of 16-bit addressing has this bit set: take the low half of the register, and mask the
# whole offset to 16 bits.
REGISTER_16: Final = 8
NO_OPERAND: Final = (-1, -1, 1, 0, SEGMENTS["ds"])
