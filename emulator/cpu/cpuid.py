"""CPUID as the profile's processor answers it (SDM vol. 2A, CPUID)."""

from emulator.timing.schema import Number, Profile

_EXTENDED = 0x80000000


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
        one = (identity.signature, identity.leaf1_ebx, identity.feature_ecx, identity.feature_edx)
        return _values(one)
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
