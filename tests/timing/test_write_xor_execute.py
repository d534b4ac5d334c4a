"""Writable or executable, never both: whichever way a guest rewrites its code, the new code runs."""

from collections.abc import Callable
from typing import Final

import pytest

from tests.support import FRAMES, TO_KERNEL, TO_USER, P, U, W, assemble
from tests.timing.rewriting import (
    ALIAS,
    AT,
    CALL,
    CODE,
    RETURN_0,
    SECOND,
    STALE,
    Case,
    both,
    chosen,
    ends_without,
    modes,
    rig,
    status,
    store,
)

BUFFER: Final = 0x60000
OTHER: Final = FRAMES + 0x8000


def inside(source: str) -> bytes:
    return assemble(source, CODE + AT)


BY_USER, BY_KERNEL = (P, P | W | U), (P | U, P | W)  # executed by the other ring
CASES: Final = {
    "through its own address": Case(both(CODE)),
    "through an alias that was written before the code ran": Case(store(ALIAS)),
    "through an alias that was first written after the code had run": Case(store(ALIAS), first=CALL),
    "through an alias that was read before": Case(store(ALIAS), first=f"mov eax, [{ALIAS}];"),
    "through two aliases": Case(chosen(ALIAS, SECOND, "go") + f"mov [edx + {AT + 1}], ebp;"),
    "and executed at two addresses": Case(
        store(ALIAS), call=chosen(CODE, SECOND, "go") + f"add edx, {AT}; call edx;"
    ),
    "by the kernel at the user's address": Case(TO_KERNEL + both(CODE) + TO_USER, first=TO_USER),
    "by the kernel for the user at another address": Case(
        TO_KERNEL + store(ALIAS) + TO_USER, first=TO_USER, rights=BY_KERNEL
    ),
    "by the user at the kernel's address": Case(TO_USER + both(CODE) + TO_KERNEL),
    "by the user for the kernel at another address": Case(TO_USER + store(ALIAS) + TO_KERNEL, rights=BY_USER),
    "by XCHG, which locks": Case(f"mov eax, ebp; xchg [{ALIAS + AT + 1}], eax;"),
    "by INC": Case(f"inc dword ptr [{ALIAS + AT + 1}];"),
    "by PUSH": Case(f"mov ecx, esp; mov esp, {ALIAS + AT + 5}; push ebp; mov esp, ecx;"),
    "by REP MOVSB": Case(
        f"mov [{BUFFER}], ebp; mov esi, {BUFFER}; mov edi, {ALIAS + AT + 1}; mov ecx, 4; rep movsb;"
    ),
    "by FISTP": Case(f"mov [{BUFFER}], ebp; fild dword ptr [{BUFFER}]; fistp dword ptr [{ALIAS + AT + 1}];"),
    "by MOVD": Case(f"movd mm0, ebp; movd [{ALIAS + AT + 1}], mm0;"),
    "across the end of its page": Case(
        store(ALIAS, 0xFFE), at=0xFFD, call=f"mov edx, {CODE + 0xFFD}; call edx;"
    ),
    "by the instruction before it": Case("", code=inside(both(CODE, AT + 13)) + RETURN_0),
    "by the instruction before it, through an alias": Case("", code=inside(store(ALIAS, AT + 7)) + RETURN_0),
    "by REP MOVSB before it": Case(
        f"mov [{BUFFER}], ebp; mov esi, {BUFFER}; mov edi, {ALIAS + AT + 3}; mov ecx, 4;",
        code=inside("rep movsb") + RETURN_0,
    ),
    "by an instruction behind it in its block": Case(
        "", code=inside(f"mov eax, 1; lea ecx, [ebp + 1]; {both(CODE, AT + 1, 'ecx')} ret")
    ),
    "by an instruction behind it in its block, through an alias": Case(
        "", code=inside(f"mov eax, 1; lea ecx, [ebp + 1]; mov [{ALIAS + AT + 1}], ecx; ret")
    ),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


@modes
@cases
def test_new_code_runs_when_it_is_rewritten(mode: str, case: Case) -> None:
    assert status(rig(mode, case), case.program()) == 0


@modes
@cases
def test_old_code_runs_without_the_rule_when_it_is_rewritten(
    mode: str, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ends_without(monkeypatch, mode, case, "flush", "mark") == STALE


@modes
@pytest.mark.parametrize(
    ("half", "name"),
    [
        ("flush", "through an alias that was written before the code ran"),
        ("mark", "through an alias that was first written after the code had run"),
    ],
)
def test_old_code_runs_without_half_of_the_rule(
    mode: str, half: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ends_without(monkeypatch, mode, CASES[name], half) == STALE


@modes
@cases
def test_the_control_itself_does_no_harm(mode: str, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ends_without(monkeypatch, mode, case) == 0


@pytest.mark.parametrize("stores", [store, both])
@pytest.mark.parametrize("stale", ["code", "data"])
def test_new_code_runs_when_it_is_rewritten_through_a_page_with_a_stale_tlb_entry(
    stale: str, stores: Callable[[int], str]
) -> None:
    """The page may not be granted as code: a fetch from it and a store to it reach different frames.

    The other frame is that of a RET, called before the page is remapped, or remapped to after a load.
    """
    ends = []
    for mode in ("hooks", "planned"):
        made = rig(mode, Case(""))
        old, new = (OTHER, FRAMES) if stale == "code" else (FRAMES, OTHER)
        use = f"mov edx, {ALIAS}; call edx;" if stale == "code" else f"mov eax, [{ALIAS}];"
        made.machine.ram.write(OTHER, b"\xc3")
        made.small(ALIAS, old, P | W | U)
        remap = f"mov dword ptr [{made.pte_at(ALIAS)}], {new | P | W | U};"
        assert status(made, Case(stores(ALIAS), first=CALL + use + remap).program()) == 0
        ends.append((made.machine.cycles, made.machine.instructions, made.machine.statistics()))
    assert ends[0] == ends[1]
