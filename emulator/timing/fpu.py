"""What the engine leaves out of the x87 status word and of MXCSR (SDM vol. 1, 8.1.3, 8.6, 8.7, 10.2.3, 11.5).

    softfloat's flags, sticky  --collect-->  status word: IE ZE OE UE PE, and by the masks ES and B
                                             MXCSR: the same flags

The engine computes with softfloat, whose flags it forgets to look at. They are collected before every
instruction that stores, clears or loads a status: address hooks on those alone, so that other x87 code is
as fast as ever. The control word behind a load of it says whether an exception is unmasked. Then blocks with
x87 instructions are executed checked (`modes.py`), and a waiting one meets the pending error.

A divisor of zero makes the engine set ZE even when the dividend makes it IE; softfloat knows better, so
`fp_flags` has the flags as they were when last collected, and ZE is taken from there.
"""

from typing import Any, Final

from emulator.compiled import Word, call3, compiled, load_u8, load_u32, store_u8, store_u32
from emulator.mmu.walk import control

FLAGS: Final = 0x3F  # IE DE ZE OE UE PE: bits of the status word, and with it of MXCSR and of the masks
SOFTFLOAT: Final = 0x3D  # softfloat's have the same places; its "denormal" means another thing than DE
FLUSHED: Final = 0x80  # softfloat: a denormal result became zero
UNDERFLOW_INEXACT: Final = 0x30
SUMMARY: Final = 0x8080  # ES and B
FLUSH_TO_ZERO: Final = 2  # its place in softfloat's status, from the flags on
MASKS: Final = FLAGS << 16  # of the control word, which lies behind the status word
MXCSR_FZ: Final = 1 << 15
UNKNOWN: Final = -1
CR0_EM_TS: Final = 1 << 2 | 1 << 3
CR0_NE: Final = 1 << 5
MF: Final = 16


@compiled
def collect(s: Any) -> Word:
    """Bring the status word and MXCSR up to date; the status word."""
    both = load_u32(s.at_fpus)  # the control word is its upper half
    flags = s.fp_flags
    if flags < 0:
        flags = both & FLAGS
    new = load_u8(s.at_fp_flags)
    if new:
        store_u8(s.at_fp_flags, 0)
        flags |= new & SOFTFLOAT
    s.fp_flags = flags
    status = (both & 0xFFFF & ~(FLAGS | SUMMARY)) | flags
    if flags & ~(both >> 16) & FLAGS:
        status |= SUMMARY
    else:
        s.ignne = 0  # the processor takes FERR# back, and the chipset IGNNE#
    store_u32(s.at_fpus, (both & 0xFFFF0000) | status)
    new = load_u8(s.at_sse_flags)
    if new:
        store_u8(s.at_sse_flags, 0)
        new = (new & SOFTFLOAT) | (UNDERFLOW_INEXACT if new & FLUSHED else 0)
        store_u32(s.at_mxcsr, load_u32(s.at_mxcsr) | new)
    return status


@compiled
def settle(s: Any) -> None:
    """Behind an instruction that may have loaded the status: what is in there now is right.

    FNSTENV masks all exceptions, which the engine doesn't. MXCSR.FZ is SSE's; the engine flushes x87 results.
    """
    if s.masking >= 0:
        s.masking = -1
        store_u32(s.at_fpus, load_u32(s.at_fpus) | MASKS)
    collect(s)
    store_u8(s.at_fp_flags + FLUSH_TO_ZERO, 0)
    store_u8(s.at_sse_flags + FLUSH_TO_ZERO, 1 if load_u32(s.at_mxcsr) & MXCSR_FZ else 0)


@compiled
def unmasked(s: Any) -> Any:
    """May an x87 instruction run, and raise an exception?"""
    return ~load_u32(s.at_fpus) & MASKS and not control(s, 0) & CR0_EM_TS


@compiled
def numeric_error(s: Any, address: Word) -> Any:
    """A waiting x87 or MMX instruction: True if a pending error comes before it (SDM vol. 1, 8.6).

    With CR0.NE clear that is FERR#, which is for the chipset: `ferr_function` says whether it interrupts now.
    """
    cr0 = control(s, 0)
    if s.fp_flags < 0:
        settle(s)
    if not collect(s) & SUMMARY or cr0 & CR0_EM_TS:  # #NM comes first
        return False
    if cr0 & CR0_NE:
        call3(s.check_function, address, MF, 0)
        return True
    if s.ignne:
        return False
    return call3(s.ferr_function, address, 0, 0) != 0
