"""Is a conditional branch taken? (SDM vol. 1, appendix B; vol. 2A, Jcc, LOOP.)"""

from typing import Final

CF, PF, ZF, SF, OF = 1 << 0, 1 << 2, 1 << 6, 1 << 7, 1 << 11
_FLAGS: Final = {"jb": CF, "jbe": CF | ZF, "je": ZF, "jo": OF, "jp": PF, "js": SF}
_OPPOSITE: Final = {
    "jae": "jb", "ja": "jbe", "jne": "je", "jno": "jo", "jnp": "jp", "jns": "js", "jge": "jl", "jg": "jle",
}  # fmt: skip


def taken(name: str, flags: int, counter: int) -> bool:
    """By its name as capstone writes it, EFLAGS, and CX or ECX before the instruction.

    Raises: KeyError if it isn't a conditional branch.
    """
    if name in _OPPOSITE:
        return not taken(_OPPOSITE[name], flags, counter)
    if name in ("jl", "jle"):
        less = bool(flags & SF) != bool(flags & OF)
        return less or (name == "jle" and bool(flags & ZF))
    if name in ("jecxz", "jcxz"):
        return counter == 0
    if name.startswith("loop"):
        wanted = {"loop": True, "loope": bool(flags & ZF), "loopne": not flags & ZF}[name]
        return counter != 1 and wanted
    return bool(flags & _FLAGS[name])
