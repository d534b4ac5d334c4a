"""Where QEMU 7.2 TCG is known to differ from the manuals."""

from collections.abc import Sequence

from emulator.cpu.exceptions import FAULTS_WITH_RF
from tests.differential.fragment import Fragment

RF = 1 << 16
ACCESSED_DIRTY = 0x0060_0060
Fields = dict[str, int]


def known(
    fragment: Fragment, name: str, ours: Sequence[Fields], theirs: Sequence[Fields], number: int
) -> bool:
    """Is this difference of a field of record `number` one that we know to be QEMU's?"""
    a, b = ours[number], theirs[number]
    if name not in b:
        return False
    ours_only, theirs_only = a[name] & ~b[name], b[name] & ~a[name]
    if name == "eflags" and a["kind"] == ord("E"):  # a fault's frame has RF set: SDM 3A 17.3.1.1
        fault = a["vector"] in FAULTS_WITH_RF
        return (ours_only, theirs_only) == ((RF, 0) if fault else (0, RF))
    if name == "eip" and fragment.name == "tasks" and a.get("vector") in (10, 11, 12, 13):
        # a fault of a new task: its EIP, of which 7.2 keeps only the page number (SDM 3A 7.3)
        return a["eip"] >> 12 == b["eip"] >> 12
    if name == "tss-sum" and fragment.name == "tasks":  # the same EIP, saved when a task takes that fault
        return any(r["kind"] == ord("D") for r in ours)
    if name == "error":  # EXT: SDM 3A 6.13
        return ours_only == 1 and not theirs_only
    if name.startswith(("pte", "pde")):  # an access that faults sets neither A nor D: SDM 3A 4.8
        return (
            not ours_only and not theirs_only & ~ACCESSED_DIRTY and any(r.get("vector") == 14 for r in ours)
        )
    return False
