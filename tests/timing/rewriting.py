"""Guests that rewrite an instruction, run it again and again, and see for themselves which one it is.

The code under test is `mov eax, N; ret`. A guest counts rounds in EBP, stores the count as N, calls it and
compares.

    ALIAS, SECOND   --+
                      +-->  two frames, whose code is executed at CODE
    CODE            --+

They run in both feeds and without a model. Each test of them has a control that takes away what it relies on,
the rule in timing/fill.py or what forgets code that was written by others: then the guest runs old code.
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final

import pytest
from unicorn.unicorn_const import UC_HOOK_MEM_READ, UC_HOOK_MEM_WRITE

from emulator.cpu import engine
from emulator.machine import Machine
from emulator.timing.state import FETCH
from tests.support import EXIT, FRAMES, P, Rig, U, W

CODE, ALIAS, SECOND = 0x1000000, 0x1010000, 0x1020000
AT: Final = 64  # of the code in its page
ASIDE: Final = 1024  # another place in it
STALE: Final = 77  # exit status of a guest that has run old code
RETURN_0: Final = b"\xb8\0\0\0\0\xc3"  # mov eax, 0; ret
CALL: Final = f"mov edx, {CODE + AT}; call edx;"
MODES: Final = {"hooks": {"feed": "hooks"}, "planned": {"feed": "planned"}, "plain": {"accounting": False}}

modes = pytest.mark.parametrize("mode", MODES)


def store(page: int, at: int = AT + 1) -> str:
    return f"mov [{page + at}], ebp;"


def both(page: int, at: int = AT + 1, register: str = "ebp") -> str:
    """Write elsewhere first: after each translation the engine looks at one store to the same address."""
    return f"mov [{page + ASIDE}], {register}; mov [{page + at}], {register};"


def chosen(page: int, other: int, then: str) -> str:
    """EDX is a page in odd rounds and another in even ones."""
    return f"mov edx, {page}; test ebp, 1; jnz {then}; mov edx, {other}; {then}:"


@dataclass(frozen=True)
class Case:
    """Each round runs `store` and `call`; `rights` are those of CODE and of its aliases."""

    store: str
    call: str = CALL
    first: str = ""
    code: bytes = RETURN_0
    at: int = AT
    rights: tuple[int, int] = (P | W | U, P | W | U)
    rounds: int = 200

    def program(self) -> str:
        return f"""{self.first} xor ebp, ebp
            again: inc ebp; {self.store} {self.call} cmp eax, ebp; jne stale
            cmp ebp, {self.rounds}; jb again; {EXIT}
            stale: int 0x31; mov al, {STALE}; out 0xf4, al; hlt"""


def rig(mode: str, case: Case, **options: Any) -> Rig:
    made = Rig(**(MODES[mode] | options))
    for page, rights in zip((CODE, ALIAS, SECOND), (case.rights[0], *[case.rights[1]] * 2), strict=True):
        made.small(page, FRAMES, rights)
        made.small(page + 0x1000, FRAMES + 0x1000, rights)
    made.machine.ram.write(FRAMES + case.at, case.code)
    return made


def status(made: Rig, program: str) -> int:
    """How the guest ends."""
    made.load(program)
    outcome = made.machine.run(max_cycles=10**9)
    assert outcome.kind == "exit", outcome
    return outcome.status


class WithoutTheRule:
    """A fill callback in Python that hides from the real one which frames hold code or may be written.

    Without "flush", a fetch ends no entry that may write; without "mark", data of a frame that holds code is
    granted like any other's. Memory hooks and the alias rule of their feed would hide that, so they go too.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *halves: str) -> None:
        self.machine: Machine | None = None
        self.halves = halves
        words, pointers = [ctypes.c_int64] * 2, [ctypes.c_void_p] * 2
        kind = ctypes.CFUNCTYPE(ctypes.c_bool, *words, ctypes.c_int32, *pointers)
        self.real: Callable[..., bool] = kind(engine.on_fill.address)
        self.hook = kind(self.fill)
        address = ctypes.cast(self.hook, ctypes.c_void_p).value
        monkeypatch.setattr(engine, "on_fill", SimpleNamespace(address=address))
        hook = engine.Engine._hook

        def no_memory_hooks(self: Any, kind: int, *arguments: Any, **more: Any) -> int:
            return 0 if kind == UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE else hook(self, kind, *arguments, **more)

        monkeypatch.setattr(engine.Engine, "_hook", no_memory_hooks)

    def fill(self, uc: int, address: int, access: int, result: int, state: int) -> bool:
        assert self.machine is not None
        arrays = self.machine._arrays
        if access == FETCH and "flush" in self.halves:
            arrays.write_epochs[:] = 0
        arrays.reverse_map[:] = 0
        known = arrays.code_frames.copy()
        if access != FETCH and "mark" in self.halves:
            arrays.code_frames[:] = 0
        granted = self.real(uc, address, access, result, state)
        arrays.code_frames[:] |= known
        return granted


def ends_without(monkeypatch: pytest.MonkeyPatch, mode: str, case: Case, *halves: str, **options: Any) -> int:
    """How the guest ends without these halves of the rule."""
    without = WithoutTheRule(monkeypatch, *halves)
    made = rig(mode, case, **options)
    without.machine = made.machine
    return status(made, case.program())
