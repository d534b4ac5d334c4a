"""The instruction classes that a CPU profile prices, and the ledger cause of each.

A profile gives one number of core cycles for every name below, no more and no fewer. The decoder
(`emulator/cpu/classify.py`) maps each instruction to one of these names.
"""

from typing import Final

from emulator.timing import causes

# Ordinary instructions: issue cost in fractions of a cycle, cause "instruction".
_ORDINARY: Final = (
    "nop mov mov_imm lea alu adc_sbb shift_imm shift_cl shift_double rotate_carry load alu_load store "
    "alu_store push push_mem pop pop_mem pusha popa leave enter jcc jmp call ret jmp_indirect call_indirect "
    "loop jecxz imul mul div idiv movs stos lods scas cmps xlat bcd bound bit_scan bit_test bit_test_mem "
    "setcc cmov xchg_rr xadd cmpxchg cmpxchg8b bswap cld std lahf_sahf push_sreg mov_from_sreg "
    "fldcw fnstcw fnstsw fld fst fxch fadd fmul fdiv fsqrt fsin fild fist fcom fwait other_fpu mmx sse emms "
    "pause ud unknown"
)

# The rest: whole cycles with a cause of their own.
BY_CAUSE: Final = {
    causes.MOV_CR3: "mov_cr3",
    causes.MOV_CR: "mov_cr0 mov_cr2 mov_cr4 mov_from_cr mov_dr clts lmsw",
    causes.INVLPG: "invlpg",
    causes.SYSENTER: "sysenter",
    causes.SYSEXIT: "sysexit",
    causes.INTERRUPT: "int exception irq",
    causes.IRET: "iret",
    causes.FAR_TRANSFER: "jmp_far call_far ret_far call_gate ret_far_outer",
    causes.SEGMENT_LOAD: "mov_sreg mov_sreg_mem pop_sreg lds",
    causes.SYSTEM: (
        "pushf popf cli sti rdtsc cpuid rdpmc rdmsr wrmsr wbinvd clflush lgdt lidt lldt ltr sgdt str lar "
        "sfence mfence lfence"
    ),
    causes.LOCK: "xchg_mem lock_rmw lock_cmpxchg8b",
    causes.FPU_STATE: "fxsave fxrstor fnsave frstor fninit fnclex fldenv fnstenv",
    causes.DEVICE: "in out ins outs",
    causes.HALT: "hlt",
}

CLASS_CAUSE: Final[dict[str, int]] = {name: causes.INSTRUCTION for name in _ORDINARY.split()} | {
    name: cause for cause, names in BY_CAUSE.items() for name in names.split()
}

# Priced by the profile but charged by the core when it delivers, never inside a decoded block.
CHARGED_BY_CORE: Final = frozenset({"int", "exception", "irq", "call_gate", "ret_far_outer"})

REP_OPERATIONS: Final = ("movs", "stos", "lods", "scas", "cmps")
REP_WIDTHS: Final = {"b": "byte", "w": "word", "d": "dword"}
