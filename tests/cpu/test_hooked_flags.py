"""An instruction with an address hook that faults leaves the condition codes of the one before it."""

import pytest

from emulator.machine import Feed
from tests.support import EXIT, PGE, PSE, Rig

OSFXSR = 1 << 9
ABSENT = 0x800000
CARRY, BELOW, EQUAL, OVERFLOW = 0x01, 0x95, 0x44, 0x885
SETTINGS = {
    "mov eax, 1; cmp eax, 2": BELOW,
    "mov eax, 1; cmp eax, 1": EQUAL,
    "mov eax, 0x7fffffff; cmp eax, 0x80000000": OVERFLOW,
    "xor eax, eax; stc": CARRY | EQUAL,
}
HOOKED = {
    "an aligned operand": f"movaps xmm0, [{ABSENT}]",
    "an address that no plan tells": f"setc cl; movzx ecx, cl; mov eax, [ecx + {ABSENT}]",
}


@pytest.mark.parametrize("feed", ["hooks", "planned"])
@pytest.mark.parametrize("hooked", HOOKED)
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_fault_of_a_hooked_instruction_keeps_the_condition_codes(
    setting: str, hooked: str, feed: Feed
) -> None:
    rig = Rig(cr4=PSE | PGE | OSFXSR, feed=feed)
    log = rig.run(
        f"mov edi, over; xor ebx, ebx; {setting}; {HOOKED[hooked]}; over: pushfd; pop eax; int 0x30; {EXIT}"
    )
    (page_fault, flags) = log
    assert page_fault[0] == 14
    assert flags[1] & 0x8D5 == SETTINGS[setting]
