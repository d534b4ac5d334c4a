"""Instructions that Unicorn executes but the profile's processor lacks: #UD, by CPUID features; LOCK."""

from typing import Any, Final

import capstone
from capstone import x86_const as x86

CR0_EM, CR4_OSFXSR = 1 << 2, 1 << 9
CMOV, MMX, CLFLUSH, SSE, SSE2 = 1 << 15, 1 << 23, 1 << 19, 1 << 25, 1 << 26
_EDX: Final = {
    x86.X86_GRP_CMOV: CMOV,
    x86.X86_GRP_MMX: MMX,
    x86.X86_GRP_SSE1: SSE,
    x86.X86_GRP_SSE2: SSE2,
}
_ECX: Final = {
    x86.X86_GRP_SSE3: 1 << 0,
    x86.X86_GRP_SSSE3: 1 << 9,
    x86.X86_GRP_SSE41: 1 << 19,
    x86.X86_GRP_SSE42: 1 << 20,
}
_SSE2_NAMES: Final = "movnti mfence lfence paddq psubq pmuludq movdq2q movq2dq cvtpi2pd cvtpd2pi cvttpd2pi"
_NAMES_EDX: Final = {"clflush": CLFLUSH} | dict.fromkeys(_SSE2_NAMES.split(), SSE2)
_NAMES_ECX: Final = {"fisttp": 1, "lddqu": 1, "monitor": 8, "mwait": 8, "popcnt": 1 << 23, "movbe": 1 << 22}
LOCK: Final = 0xF0
_PREFIXES: Final = b"\x26\x2e\x36\x3e\x64\x65\x66\x67\xf2\xf3\xf0"
# LZCNT and TZCNT are BSR and BSF with a prefix that processors without them ignore: never #UD
_NONE: Final = frozenset(["rdtscp", "syscall", "sysret", "xgetbv", "xsetbv", "swapgs"])


def _decoder(mode: int) -> Any:
    decoder = capstone.Cs(capstone.CS_ARCH_X86, mode)
    decoder.detail = True
    return decoder


_DECODERS: Final = {16: _decoder(capstone.CS_MODE_16), 32: _decoder(capstone.CS_MODE_32)}


# CR4's bits by the feature of CPUID leaf 1, EDX, that brings them: VME PVI TSD DE PSE - MCE PGE - OSFXSR
# OSXMMEXCPT. PCE is every P6's; PAE has a message of its own (`guest_error.no_pae`).
_CR4_FEATURES: Final = (1, 1, 4, 2, 3, None, 7, 13, None, 24, 25)


def reserved_cr4(edx: int) -> int:
    """The bits of CR4 that a processor with these features of CPUID leaf 1 refuses (SDM vol. 3A 2.5)."""
    known = sum(1 << bit for bit, by in enumerate(_CR4_FEATURES) if by is None or edx >> by & 1)
    return ~known & 0xFFFFFFFF


def undefined(code: bytes, bits: int, cr0: int, cr4: int) -> bool:
    """Does EM or a clear OSFXSR make the SIMD instruction at the start of `code` undefined, whatever TS is?

    SDM vol. 3A, tables 12-1 (MMX: EM only) and 13-1 (SSE: both).
    """
    instruction = next(_DECODERS[bits].disasm(code, 0, 1), None)
    if instruction is None:
        return False
    if "xmm" in instruction.op_str or instruction.mnemonic in ("ldmxcsr", "stmxcsr"):
        return bool(cr0 & CR0_EM or not cr4 & CR4_OSFXSR)
    return bool(cr0 & CR0_EM) and (instruction.mnemonic == "emms" or "mm" in instruction.op_str)


def locked(code: bytes) -> bool:
    """Do the prefixes at the start of `code` contain LOCK?

    Capstone knows which instructions can have it. With another, a processor raises #UD (SDM vol. 2A, LOCK),
    and Unicorn executes it.
    """
    length = len(code) - len(code.lstrip(_PREFIXES))
    return LOCK in code[:length]


def lacks(code: bytes, bits: int, edx: int, ecx: int) -> bool:
    """Is the instruction at the start of `code` undefined with these features of CPUID leaf 1?"""
    instruction = next(_DECODERS[bits].disasm(code, 0, 1), None)
    if instruction is None:
        return locked(code)
    name = instruction.mnemonic
    if name in _NONE:
        return True
    wanted_edx, wanted_ecx = _NAMES_EDX.get(name, 0), _NAMES_ECX.get(name, 0)
    for group in instruction.groups:
        wanted_edx |= _EDX.get(group, 0)
        wanted_ecx |= _ECX.get(group, 0)
    return bool(wanted_edx & ~edx or wanted_ecx & ~ecx)
