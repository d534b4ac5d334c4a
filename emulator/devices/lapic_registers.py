"""The register map of a local APIC (SDM vol. 3A, "Local APIC register address map").

Each register is the first dword of a 16-byte line in a page of 4 KB:

    020 ID     080 TPR   0D0 LDR   100-170 ISR   280 ESR   320 LVT timer    360 LVT LINT1   390 TCCR
    030 VER    090 APR   0E0 DFR   180-1F0 TMR   300 ICR   330 LVT thermal  370 LVT error   3E0 TDCR
               0A0 PPR   0F0 SVR   200-270 IRR   310 ICR   340 LVT perf.    380 TICR
               0B0 EOI                           high      350 LVT LINT0
"""

from typing import Final

PAGE: Final = 0x1000
BASE: Final = 0xFEE00000

ID: Final = 0x020
VERSION: Final = 0x030
TPR: Final = 0x080
APR: Final = 0x090
PPR: Final = 0x0A0
EOI: Final = 0x0B0
LDR: Final = 0x0D0
DFR: Final = 0x0E0
SVR: Final = 0x0F0
ISR: Final = 0x100
TMR: Final = 0x180
IRR: Final = 0x200
ESR: Final = 0x280
ICR_LOW: Final = 0x300
ICR_HIGH: Final = 0x310
LVT_TIMER: Final = 0x320
LVT_THERMAL: Final = 0x330
LVT_PERF: Final = 0x340
LVT_LINT0: Final = 0x350
LVT_LINT1: Final = 0x360
LVT_ERROR: Final = 0x370
TICR: Final = 0x380
TCCR: Final = 0x390
TDCR: Final = 0x3E0
REGISTERS_END: Final = 0x400

SVR_ENABLE: Final = 1 << 8
LVT_MODE: Final = 7 << 8
LVT_REMOTE_IRR: Final = 1 << 14
LVT_LEVEL: Final = 1 << 15
LVT_MASKED: Final = 1 << 16
LVT_PERIODIC: Final = 1 << 17

FIXED, LOWEST, SMI, NMI, INIT, SIPI, EXTINT = 0, 1, 2, 4, 5, 6, 7
"""Delivery modes, of LVT, ICR and the I/O APIC's redirection table."""

ESR_SEND_ACCEPT: Final = 1 << 2
ESR_SEND_ILLEGAL: Final = 1 << 5
ESR_RECEIVE_ILLEGAL: Final = 1 << 6
ESR_ILLEGAL_ADDRESS: Final = 1 << 7

BASE_BSP: Final = 1 << 8
BASE_ENABLE: Final = 1 << 11
BASE_ADDRESS: Final = 0xFFFFF000

LVT_BITS: Final = {
    LVT_TIMER: 0x300FF,
    LVT_THERMAL: 0x107FF,
    LVT_PERF: 0x107FF,
    LVT_LINT0: 0x1A7FF,
    LVT_LINT1: 0x1A7FF,
    LVT_ERROR: 0x100FF,
}
"""What software can write of each LVT entry."""

IMPLEMENTED: Final = frozenset(
    {
        *(ID, VERSION, TPR, APR, PPR, EOI, LDR, DFR, SVR, ESR, ICR_LOW, ICR_HIGH, TICR, TCCR, TDCR),
        *LVT_BITS,
        *range(ISR, ESR, 0x10),
    }
)

STABLE: Final = frozenset({ID, TPR, TICR})
"""Offsets that a guest can read straight from `Lapic.page`: only a write changes them."""

VOLATILE: Final = frozenset(range(0, PAGE, 4)) - STABLE
"""Offsets of dwords that are right in `Lapic.page` only after `Lapic.refresh(offset)`."""
