"""Where things are in the generated guests, and the selectors of their descriptor tables.

::

    0x000000  real mode: vector table; 0x600 its handlers; 0x1000 its log; 0x7000 its stack; 0x8000 code
    0x100000  multiboot header
    0x101000  LIVE     GDT, LDT, IDT, TSSs, page directory, two page tables    } put back from the copy
    0x111000  PRISTINE the same, never changed                                 } before each fragment
    0x120000  handlers and driver (ring 0)      0x12f000  their variables
    0x160000  stacks, 0x1000 each               0x180000  eight test pages
    0x1a0000  fragments: code, tables           0x300000  log

The test window at linear 0x400000 maps the eight test pages with different rights.
"""

from typing import Final

from tests.cpu.support import segment

RAM: Final = 16 << 20
HEADER, LIVE, PRISTINE, LIVE_SIZE = 0x100000, 0x101000, 0x111000, 0x6000
GDT, LDT, IDT = LIVE, LIVE + 0x400, LIVE + 0x800
TSS, TSS_DF, TSS_B, TSS16 = LIVE + 0x1000, LIVE + 0x1400, LIVE + 0x1800, LIVE + 0x1C00
DIRECTORY, TABLE_LOW, TABLE_TEST = LIVE + 0x2000, LIVE + 0x3000, LIVE + 0x4000
HANDLERS, VARIABLES = 0x120000, 0x12F000
STACKS, TEST_PAGES, FRAGMENTS, LOG, LOG_END = 0x160000, 0x180000, 0x1A0000, 0x300000, 0x400000
WINDOW, BIG_PAGE, HOLE = 0x400000, 0x800000, 0xC00000
PAGES: Final = 8
REAL_LOG, REAL_CODE, REAL_STACK, REAL_STARTS = 0x1000, 0x8000, 0x7000, 0x1800

# variables of the driver
LOG_POINTER, COUNT, NO_RESUME, STEPS, INDEX, TOTAL, IN_QEMU, FLUSHED, POINTERS = (
    VARIABLES + 4 * i for i in range(9)
)
FRAGMENT_TABLE: Final = VARIABLES + 0x100
MOST_FRAGMENTS: Final = 800

STACK_MAIN, STACK0, STACK1, STACK2, STACK3, STACK_DF, STACK_B, STACK16 = (
    STACKS + 0x1000 * i + 0xF00 for i in range(8)
)

CODE0, DATA0, CODE3, DATA3, TSS_SELECTOR = 0x08, 0x10, 0x1B, 0x23, 0x28
CODE1, DATA1, CODE2, DATA2 = 0x31, 0x39, 0x42, 0x4A
CONFORMING, CODE16, DATA16, CODE16_3, EXPAND_DOWN = 0x50, 0x58, 0x60, 0x6B, 0x70
ABSENT_DATA, ABSENT_CODE, READ_ONLY, EXECUTE_ONLY = 0x78, 0x80, 0x88, 0x90
GATE32, GATE16, GATE_TO_1, GATE_ABSENT = 0x98, 0xA0, 0xA8, 0xB0
TSS_B_SELECTOR, TSS_DF_SELECTOR, TASK_GATE, LDT_SELECTOR, BAD_SYSTEM = 0xB8, 0xC0, 0xC8, 0xD0, 0xD8
GATE_CONFORMING, GATE_DPL0, TSS16_SELECTOR, LDT_ABSENT, SHIFTED = 0xE0, 0xE8, 0xF0, 0xF8, 0x100
CODE_SMALL, CONFORMING3, GATE_BAD, DATA16_3 = 0x108, 0x110, 0x118, 0x123
GDT_LIMIT: Final = 0x127
LDT_DATA3, LDT_CODE3, LDT_DATA0, LDT_ABSENT_DATA = 0x07, 0x0F, 0x14, 0x1C
LDT_LIMIT: Final = 0x1F

FINISH_VECTOR, SNAPSHOT_VECTOR, LAST_VECTOR = 0x7E, 0x7F, 0x7F

ALL: Final = 0xFFFFFFFF
SEGMENTS: Final = {
    CODE0: segment(0, ALL, 0x9B, 0xC),
    DATA0: segment(0, ALL, 0x93, 0xC),
    CODE3: segment(0, ALL, 0xFB, 0xC),
    DATA3: segment(0, ALL, 0xF3, 0xC),
    TSS_SELECTOR: segment(TSS, 0x8F, 0x89, 0),
    CODE1: segment(0, ALL, 0xBB, 0xC),
    DATA1: segment(0, ALL, 0xB3, 0xC),
    CODE2: segment(0, ALL, 0xDB, 0xC),
    DATA2: segment(0, ALL, 0xD3, 0xC),
    CONFORMING: segment(0, ALL, 0x9F, 0xC),
    CODE16: segment(0, 0xFFFF, 0x9B, 0),
    DATA16: segment(STACKS, 0xFFFF, 0x93, 0),
    CODE16_3: segment(0, 0xFFFF, 0xFB, 0),
    EXPAND_DOWN: segment(0, 0xFFF, 0x96, 0xC),
    ABSENT_DATA: segment(0, ALL, 0x73, 0xC),
    ABSENT_CODE: segment(0, ALL, 0x7B, 0xC),
    READ_ONLY: segment(0, ALL, 0xF0, 0xC),
    EXECUTE_ONLY: segment(0, ALL, 0xF8, 0xC),
    TSS_B_SELECTOR: segment(TSS_B, 0x67, 0x89, 0),
    TSS_DF_SELECTOR: segment(TSS_DF, 0x67, 0x89, 0),
    LDT_SELECTOR: segment(LDT, LDT_LIMIT, 0x82, 0),
    BAD_SYSTEM: segment(0, ALL, 0x88, 0xC),
    TSS16_SELECTOR: segment(TSS16, 0x2B, 0x81, 0),
    LDT_ABSENT: segment(LDT, LDT_LIMIT, 0x02, 0),
    SHIFTED: segment(0x1000, ALL, 0x92, 0xC),
    CODE_SMALL: segment(0, 0xFFF, 0x9B, 4),
    CONFORMING3: segment(0, ALL, 0xFE, 0xC),
    DATA16_3: segment(STACKS, 0xFFFF, 0xF3, 0),
}
LDT_SEGMENTS: Final = {
    LDT_DATA3: segment(0, ALL, 0xF2, 0xC),
    LDT_CODE3: segment(0, ALL, 0xFA, 0xC),
    LDT_DATA0: segment(0, ALL, 0x92, 0xC),
    LDT_ABSENT_DATA: segment(0, ALL, 0x72, 0xC),
}
SELECTORS: Final = (*range(0, GDT_LIMIT + 8, 8), *range(4, LDT_LIMIT + 8, 8))

# rights of the eight pages of the test window: P=1, R/W=2, U/S=4
WINDOW_RIGHTS: Final = (7, 7, 5, 3, 1, 6, 7, 0)


def stack_of(ring: int) -> int:
    """Where the stack begins on which a ring's fragment runs (not the one in the TSS)."""
    return (STACK_MAIN, STACK1 - 0x100, STACK2 - 0x100, STACK3)[ring]


CODE_OF: Final = (CODE0, CODE1, CODE2, CODE3)
DATA_OF: Final = (DATA0, DATA1, DATA2, DATA3)
