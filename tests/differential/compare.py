"""Compares the records of two machines, field by field, and knows QEMU's own deviations."""

from collections.abc import Sequence

from tests.differential.deviations import known
from tests.differential.fragment import Fragment

_NAMES = {
    "E": """efl gs fs es ds edi esi ebp esp ebx edx ecx eax vector error eip cs eflags
        s0 s1 s2 s3 s4 s5 s6 s7 ss handler-cs cr2 dr6 tr:ldtr""",
    "D": """error link esp0 ss0 esp1 ss1 esp2 ss2 cr3 eip eflags eax ecx edx ebx esp ebp esi edi
        es cs ss ds fs gs ldt trap:iomap tss-df-link cr2 - -""",
    "R": "flags es ds di si bp sp bx dx cx ax vector ip cs iflags ss" + " -" * 15,
    "S": """cr0 cr2 cr3 cr4 dr6 dr7 tr:ldtr gdt-limit gdt idt-limit idt
        page0 page1 page2 page3 page4 page5 page6 page7 gdt-sum ldt-sum idt-sum tss-sum
        pte01 pte23 pte45 pte67 pde01 pde23 - -""",
}
FIELDS = {kind: names.split() for kind, names in _NAMES.items()}
Record = tuple[int, ...]


def named(record: Record) -> dict[str, int]:
    """A record's fields by name, without the fragment's number."""
    kind = chr(record[0] >> 24)
    names = FIELDS[kind]
    fields = {"kind": record[0] >> 24}
    fields |= {name: value for name, value in zip(names, record[1:], strict=True) if name != "-"}
    return fields


def differences(fragment: Fragment, ours: Sequence[Record], theirs: Sequence[Record]) -> list[str]:
    """What differs and isn't QEMU's deviation: the first record that does, all its fields."""
    mine, other = [named(r) for r in ours], [named(r) for r in theirs]
    for number, (a, b) in enumerate(zip(mine, other, strict=False)):
        found = []
        for name in a:
            if a[name] != b.get(name) and not known(fragment, name, mine, other, number):
                found.append(
                    f"record {number} ({chr(a['kind'])}) {name}: {a[name]:#x}, QEMU {b.get(name, 0):#x}"
                )
        if found:
            return found
    if len(mine) != len(other):
        return [f"{len(mine)} records, QEMU {len(other)}"]
    return []


def show(records: Sequence[Record]) -> str:
    """One line a record."""
    lines = []
    for record in records:
        fields = named(record)
        kind = chr(fields.pop("kind"))
        lines.append(f"    {kind} " + " ".join(f"{k}={v:x}" for k, v in fields.items()))
    return "\n".join(lines)
