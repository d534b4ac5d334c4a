"""Scenarios of modes: paging off and on."""

import random

from tests.differential import layout as at
from tests.differential.fragment import Fragment
from tests.differential.registry import SNAPSHOT, scenario


@scenario
def paging_off(r: random.Random, f: Fragment) -> None:
    """Paging goes off and on, in protected mode."""
    f.enter(0)
    for _ in range(r.randrange(1, 4)):
        f.add(
            "ring",
            "mov eax, cr0; and eax, 0x7fffffff; mov cr0, eax; nop",
            f"mov eax, [{at.TEST_PAGES + 0x3010:#x}]; mov dword ptr [{at.TEST_PAGES + 0x2000:#x}], eax",
            SNAPSHOT,
            r.choice(("ud2", "nop", "xor ecx, ecx; div ecx")),
            "mov eax, cr0; or eax, 0x80000000; mov cr0, eax; nop",
            f"mov eax, [{at.WINDOW + 0x2000:#x}]; mov ebx, [{at.WINDOW + 0x7000:#x}]",
            SNAPSHOT,
        )
