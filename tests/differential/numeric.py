"""Scenarios of x87 and SSE exceptions: flags, masks, and when a pending error is raised.

QEMU 7.2 raises a pending #MF at WAIT and FNOP only, so nothing else that waits stands behind an error.
"""

import random
import struct

from tests.differential import layout as at
from tests.differential.fragment import Fragment
from tests.differential.registry import SNAPSHOT, random_ring, scenario

RESULT = at.TEST_PAGES  # among the 64 bytes that the driver sums
CONTROL, STATUS = RESULT + 0x20, RESULT + 0x24
DATA = at.TEST_PAGES + 0x100
VALUES = {
    "float_denormal": struct.pack("<I", 0x00000123),
    "float_nan": struct.pack("<I", 0x7F900000),  # signalling
    "double_huge": struct.pack("<d", 1.5e300),
    "double_tiny": struct.pack("<d", 1.5e-300),
    "double_big": struct.pack("<d", 1.0e30),
    "double_third": struct.pack("<d", 1 / 3),
    "huge": struct.pack("<QH", 0xC000000000000000, 0x7FF0),
    "tiny": struct.pack("<QH", 0xC000000000000000, 0x0003),
    "infinity": struct.pack("<QH", 0x8000000000000000, 0x7FFF),
    "nan": struct.pack("<QH", 0xC000000000000000, 0x7FFF),
}
PLACES = {name: DATA + 16 * number for number, name in enumerate(VALUES)}


def _x(name: str) -> str:
    """FLD m80, which keystone can't write."""
    return f".byte 0xdb, 0x2d; .long {PLACES[name]:#x}"


def _d(name: str) -> str:
    return f"qword ptr [{PLACES[name]:#x}]"


def _s(name: str) -> str:
    return f"dword ptr [{PLACES[name]:#x}]"


FSTP_M80 = f".byte 0xdb, 0x3d; .long {RESULT:#x}"
# Each raises its exception, if any, in its last waiting instruction, and leaves one value on the stack.
X87 = (
    "fldz; fldz; fdivp st(1), st",  # I
    "fld1; fchs; fsqrt",
    f"{_x('infinity')}; fsub st, st(0)",
    f"{_x('infinity')}; fldz; fmulp st(1), st",
    f"{_x('nan')}; fcom st(0)",
    f"{_x('nan')}; fucom st(0)",  # no exception
    f"fld1; {_x('nan')}; fcomip st, st(1)",
    f"fld1; fld {_d('double_huge')}; fistp dword ptr [{RESULT + 12:#x}]",
    f"fld {_s('float_denormal')}",  # D, which QEMU doesn't note either
    "fld1; fldz; fdivp st(1), st",  # Z
    "fld1; fldz; fdivrp st(1), st",  # none
    f"{_x('huge')}; fmul st, st(0)",  # O, P
    f"fld1; fld {_d('double_huge')}; fstp dword ptr [{RESULT + 12:#x}]",
    f"fld {_d('double_big')}; fst dword ptr [{RESULT + 12:#x}]",  # P
    f"{_x('tiny')}; fmul st, st(0)",  # U, P
    f"fld1; fld {_d('double_tiny')}; fstp dword ptr [{RESULT + 12:#x}]",
    f"fld {_d('double_third')}; fmul st, st(0)",  # P
    f"fld1; fld {_d('double_third')}; fistp dword ptr [{RESULT + 12:#x}]",
    f"fld {_d('double_third')}; frndint",
    "fld1; fadd st, st(0)",  # none
)
LOAD_NAN = f"fld {_s('float_nan')}"  # I; the engine doesn't make it quiet
LOOKS = (
    "nop",
    f"fnstsw ax; mov [{STATUS:#x}], ax",
    f"fnstsw ax; mov [{STATUS:#x}], ax; fnstsw word ptr [{STATUS + 2:#x}]",
    f"fnstcw word ptr [{STATUS:#x}]",
    f"fxsave [{at.TEST_PAGES + 0x400:#x}]; mov eax, [{at.TEST_PAGES + 0x400:#x}]; mov [{STATUS:#x}], eax",
)
CLEARS = (
    "fnclex",
    "fninit",
    f"fnsave [{at.TEST_PAGES + 0x400:#x}]; mov ax, [{at.TEST_PAGES + 0x404:#x}]; mov [{STATUS:#x}], ax",
)
MASKS = (0x3F, 0x3F, 0, 0x3E, 0x3D, 0x3B, 0x37, 0x2F, 0x1F, 0x1E)


def _place_values(f: Fragment) -> None:
    for name, place in PLACES.items():
        f.poke(place, VALUES[name].ljust(16, b"\0"))
    f.poke(RESULT, bytes(64))


@scenario
def x87_errors(r: random.Random, f: Fragment) -> None:
    """Every exception, masked or not: flags, and #MF by the next waiting instruction if CR0.NE is set."""
    f.cr0 |= r.choice((0x20, 0x20, 0))
    f.cr4 |= 0x200
    f.enter(random_ring(r))
    _place_values(f)
    for _ in range(r.randrange(2, 5)):
        word = 0x300 | r.choice((0x40, 0x40, 0x440, 0x840, 0xC40)) | r.choice(MASKS)
        f.add("ring", f"fninit; mov word ptr [{CONTROL:#x}], {word:#x}; fldcw [{CONTROL:#x}]")
        f.add(
            "ring", r.choice((*X87, LOAD_NAN)), r.choice(LOOKS), r.choice(("wait", "fnop", "nop")), SNAPSHOT
        )
        f.add("ring", r.choice(LOOKS), r.choice(CLEARS), r.choice(LOOKS), r.choice(("wait", "fnop")))
        f.add("ring", "nop", SNAPSHOT)
    f.add("ring", "fninit")


@scenario
def x87_flags(r: random.Random, f: Fragment) -> None:
    """Masked exceptions gather in the status word until they are cleared, whatever saves and restores it."""
    f.cr4 |= 0x200
    f.enter(random_ring(r))
    _place_values(f)
    area = at.TEST_PAGES + 0x400
    f.add("ring", "fninit")
    for _ in range(r.randrange(2, 6)):
        f.add("ring", r.choice((*X87, f"{LOAD_NAN}; fstp st; fld1")), FSTP_M80, r.choice(LOOKS), SNAPSHOT)
        f.add(
            "ring",
            r.choice(
                (
                    "nop",
                    "fnclex",
                    f"fnsave [{area:#x}]; fld1; fldz; fdivp st(1), st; frstor [{area:#x}]",
                    f"fnstenv [{area:#x}]; fnclex; fldenv [{area:#x}]",
                    f"fnstenv [{area:#x}]; and byte ptr [{area + 4:#x}], 0xc0; fldenv [{area:#x}]",
                    f"fxsave [{area:#x}]; fninit; fxrstor [{area:#x}]",
                )
            ),
            r.choice(("fldz; fldz; fdivp st(1), st; fstp st", "nop")),
            r.choice(LOOKS),
            SNAPSHOT,
        )
    f.add("ring", "fninit")


SSE = (
    "divss xmm0, xmm1",  # by zero
    "divss xmm1, xmm1",  # 0 / 0
    "sqrtss xmm0, xmm2",  # of a negative number
    "mulss xmm3, xmm3",  # too large
    "mulss xmm4, xmm4",  # too small
    "divps xmm0, xmm5",  # inexact
    "addss xmm0, xmm0",
    "ucomiss xmm6, xmm0",
    "comiss xmm6, xmm0",
    "cvttss2si eax, xmm3",
    "cvtss2si eax, xmm5",
)
SSE_VALUES = (0x3F800000, 0, 0xC0000000, 0x7F000000, 0x00C00000, 0x40400000, 0x7FC00000, 0x00000123)


@scenario
def sse_flags(r: random.Random, f: Fragment) -> None:
    """MXCSR's flags, with all exceptions masked; rounding, and denormal results flushed to zero."""
    f.cr4 |= 0x600
    f.enter(random_ring(r))
    for number, value in enumerate(SSE_VALUES):
        f.poke(DATA + 16 * number, struct.pack("<4I", *([value] * 4)))
    f.poke(RESULT, bytes(64))
    for _ in range(r.randrange(2, 5)):
        word = 0x1F80 | r.choice((0, 0, 0x8000, 0x6000, 0x3F))
        f.add("ring", f"mov dword ptr [{CONTROL:#x}], {word:#x}; ldmxcsr [{CONTROL:#x}]")
        f.add("ring", "; ".join(f"movups xmm{n}, [{DATA + 16 * n:#x}]" for n in range(8)))
        f.add("ring", *(r.choice(SSE) for _ in range(r.randrange(1, 4))))
        f.add("ring", f"movss [{RESULT:#x}], xmm0; movss [{RESULT + 4:#x}], xmm4")
        f.add(
            "ring", f"stmxcsr [{STATUS:#x}]; mov eax, [{STATUS:#x}]; movss [{RESULT + 8:#x}], xmm3", SNAPSHOT
        )
