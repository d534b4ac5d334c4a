"""CPUID as the profile's processor answers it (SDM vol. 2A, CPUID)."""

from emulator.timing.schema import Number, Profile

PAE, PSE36 = 1 << 6, 1 << 17
NOT_MODELLED = PAE | PSE36  # the profile's CPU has them; a kernel that is told so uses them
CR4_BITS = {  # the bits of CR4 that come with a feature (SDM vol. 3A 2.5, vol. 2A CPUID)
    1 << 1: 0b11, 1 << 4: 1 << 2, 1 << 2: 1 << 3, 1 << 3: 1 << 4, PAE: 1 << 5, 1 << 7: 1 << 6,
    1 << 13: 1 << 7, 1 << 24: 1 << 9, 1 << 25: 1 << 10,
}  # fmt: skip
CR4_PCE = 1 << 8  # in every CPU with RDPMC, which has no bit
_EXTENDED = 0x80000000


def features(profile: Profile) -> int:
    """CPUID.1:EDX: what the profile's CPU has and this machine models."""
    return int(profile.cpuid.feature_edx.value) & ~NOT_MODELLED


def cr4_bits(profile: Profile) -> int:
    """The bits of CR4 that are not reserved; setting another one is #GP(0)."""
    present = features(profile)
    return CR4_PCE | sum(bits for feature, bits in CR4_BITS.items() if present & feature)


def cpuid(profile: Profile, leaf: int) -> tuple[int, int, int, int]:
    """(EAX, EBX, ECX, EDX). A leaf above the highest basic one gives the highest basic leaf's data."""
    identity = profile.cpuid
    if leaf >= _EXTENDED:
        return _extended(str(identity.brand.value), leaf)
    highest = int(identity.max_leaf.value)
    leaf = min(leaf, highest)
    if leaf == 0:
        vendor = str(identity.vendor.value).encode("ascii")
        words = [int.from_bytes(vendor[i : i + 4], "little") for i in (0, 4, 8)]
        return highest, words[0], words[2], words[1]
    if leaf == 1:
        signature, ebx, ecx, _ = _values(
            (identity.signature, identity.leaf1_ebx, identity.feature_ecx, identity.feature_edx)
        )
        return signature, ebx, ecx, features(profile)
    if leaf == 2:
        return _values((identity.leaf2_eax, identity.leaf2_ebx, identity.leaf2_ecx, identity.leaf2_edx))
    return 0, 0, 0, 0


def _values(numbers: tuple[Number, Number, Number, Number]) -> tuple[int, int, int, int]:
    a, b, c, d = (int(number.value) for number in numbers)
    return a, b, c, d


def _extended(brand_string: str, leaf: int) -> tuple[int, int, int, int]:
    brand = brand_string.encode("ascii")
    if not brand:
        return 0, 0, 0, 0
    if leaf == _EXTENDED:
        return _EXTENDED + 4, 0, 0, 0
    part = leaf - _EXTENDED - 2
    if 0 <= part < 3:
        text = brand.ljust(48, b"\0")[16 * part : 16 * part + 16]
        a, b, c, d = (int.from_bytes(text[i : i + 4], "little") for i in (0, 4, 8, 12))
        return a, b, c, d
    return 0, 0, 0, 0
