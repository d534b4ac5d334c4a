"""The causes that the cycle ledger knows: every modelled cycle belongs to exactly one of them.

The order is the order of the columns of the ledger array and of every report. The compiled
model imports the numbers, reports import `CAUSES`.
"""

from typing import Final

CAUSES: Final = (
    "instruction",  # issue cost of ordinary instructions
    "branch",  # taken branches and mispredictions
    "dtlb_cold",  # data page walks, by the reason the entry was not there
    "dtlb_capacity",
    "dtlb_flush_cr3",
    "dtlb_flush_invlpg",
    "dtlb_flush_other",  # CR0.PG, CR4.PGE/PSE/PAE
    "itlb_cold",
    "itlb_capacity",
    "itlb_flush_cr3",
    "itlb_flush_invlpg",
    "itlb_flush_other",
    "l1d_miss",  # served by L2
    "l1i_miss",  # instruction cache or trace cache, served by L2
    "memory_data",  # L2 misses
    "memory_fetch",
    "mov_cr3",
    "mov_cr",  # other control and debug register moves
    "invlpg",
    "sysenter",
    "sysexit",
    "interrupt",  # INT n, exception and IRQ entry
    "iret",
    "far_transfer",  # call gates, far jumps and returns
    "segment_load",
    "system",  # LGDT, LTR, RDMSR, CLI, STI, PUSHF, RDTSC, CPUID, serialising instructions
    "lock",  # LOCK prefix, XCHG with memory
    "fpu_state",  # FXSAVE, FXRSTOR, FNSAVE, FRSTOR, FNINIT
    "device",  # IN, OUT and accesses to device memory
    "halt",  # idle until the next event
)
(
    INSTRUCTION, BRANCH,
    DTLB_COLD, DTLB_CAPACITY, DTLB_FLUSH_CR3, DTLB_FLUSH_INVLPG, DTLB_FLUSH_OTHER,
    ITLB_COLD, ITLB_CAPACITY, ITLB_FLUSH_CR3, ITLB_FLUSH_INVLPG, ITLB_FLUSH_OTHER,
    L1D_MISS, L1I_MISS, MEMORY_DATA, MEMORY_FETCH,
    MOV_CR3, MOV_CR, INVLPG, SYSENTER, SYSEXIT, INTERRUPT, IRET, FAR_TRANSFER, SEGMENT_LOAD,
    SYSTEM, LOCK, FPU_STATE, DEVICE, HALT,
) = range(30)  # fmt: skip
COUNT: Final = 32  # columns of the ledger array: the causes, rounded up to a power of two
assert len(CAUSES) == HALT + 1 <= COUNT
