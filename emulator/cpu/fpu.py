"""x87 and SSE instructions by what they do to the status and control words (SDM vol. 1, 8.3.11, 8.6)."""

from typing import Final

from emulator.cpu.kinds import INTERCEPT_FPU_ENVIRONMENT, INTERCEPT_FPU_LOAD, INTERCEPT_FPU_STORE

STATUS: Final = dict.fromkeys(["fnstsw", "fxsave", "stmxcsr"], INTERCEPT_FPU_STORE) | dict.fromkeys(
    ["fnclex", "fninit", "fnsave", "fldenv", "frstor", "fxrstor", "ldmxcsr"], INTERCEPT_FPU_LOAD
)
STATUS["fnstenv"] = INTERCEPT_FPU_ENVIRONMENT
LOADS: Final = frozenset(name for name, kind in STATUS.items() if kind != INTERCEPT_FPU_STORE) | {"fldcw"}
# fmt: off
CLASSES: Final = frozenset([
    "fxsave", "fxrstor", "fnsave", "frstor", "fninit", "fnclex", "fldenv", "fnstenv", "fldcw", "fnstcw",
    "fnstsw", "fwait", "fld", "fst", "fxch", "fadd", "fmul", "fdiv", "fsqrt", "fsin", "fild", "fist", "fcom",
    "other_fpu", "emms", "sse", "mmx",
])
# fmt: on
"""Instruction classes whose instructions compute with, or look at, what these words control."""

# fmt: off
_NO_WAIT: Final = frozenset([
    "fninit", "fnclex", "fnstsw", "fnstcw", "fnstenv", "fnsave", "fxsave", "fxrstor",
    "fdisi8087_nop", "feni8087_nop", "fsetpm", "femms",
])
# fmt: on


def waits(name: str, operands: str) -> bool:
    """Does a pending x87 error come before this instruction? MMX instructions wait too (vol. 3A 12.5.1)."""
    if name[0] == "f":
        return name not in _NO_WAIT
    return name in ("wait", "emms") or ("mm" in operands.replace("xmm", ""))
