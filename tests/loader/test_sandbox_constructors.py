from __future__ import annotations

import struct

import pytest
import sandbox_objects as o
from sandbox_objects import RUNTIME, A, Sec, Sym, W, X, make

from loader.sandbox import Extension, SandboxError, SandboxImage, link_sandbox

INIT_ARRAY, CTORS = 14, 1
WITH_INIT = make(
    [Sec(".text", A | X, o.RET)],
    [
        *(
            Sym(name, 1, at)
            for at, name in ((0, "uls_return_sysenter"), (4, "uls_return_int80"), (8, "uls_init"))
        )
    ],
)
FUNCTIONS = ("handler", "one", "two", "three")


def extension(*arrays: Sec, init: bool = False) -> bytes:
    """.text with four functions (symbols 1 to 4) and sections of constructors."""
    symbols = [Sym(name, 1, 4 * i) for i, name in enumerate(FUNCTIONS)]
    return make([Sec(".text", A | X, o.RET), *arrays], symbols + ([Sym("init", 1, 2)] if init else []))


def array(name: str, *symbols: int, kind: int = INIT_ARRAY, data: bytes = b"") -> Sec:
    size = 4 * len(symbols)
    return Sec(
        name, A | W, data or bytes(size), kind=kind, rel=[(4 * i, 1, s) for i, s in enumerate(symbols)]
    )


def link(obj: bytes, runtime: bytes = WITH_INIT) -> SandboxImage:
    return link_sandbox([Extension("e", obj)], runtime)


def calls(image: SandboxImage) -> list[str]:
    """The functions that the veneer has called, by name."""

    def read(address: int, size: int) -> bytes:
        for s in image.segments:
            if s.address <= address < s.address + len(s.data):
                assert not s.writable
                return s.data[address - s.address :][:size]
        raise AssertionError(hex(address))

    veneer = image.extensions[0].init
    opcode, table, jump, distance = struct.unpack("<BIBi", read(veneer, 10))
    assert (opcode, jump) == (0xB8, 0xE9)
    assert veneer + 10 + distance == image.symbols["uls_init"]
    names = {address: name for name, address in image.symbols.items()}
    found = []
    while word := struct.unpack("<I", read(table, 4))[0]:
        found.append(names[word].removeprefix("e:"))
        table += 4
    return found


def test_constructors_run_by_priority_then_those_without_one_then_init() -> None:
    arrays = [array(".init_array", 2), array(".init_array.200", 3), array(".init_array.101", 4)]
    assert calls(link(extension(*arrays, init=True))) == ["three", "two", "one", "init"]


def test_a_ctors_section_is_run_from_its_end_and_its_priorities_count_down() -> None:
    plain = array(".ctors", 2, 3, kind=CTORS)
    early = array(".ctors.65434", 4, kind=CTORS)  # 65535 - 65434 = 101
    assert calls(link(extension(plain, early))) == ["three", "two", "one"]


def test_the_ends_of_a_ctors_section_are_no_constructors() -> None:
    section = Sec(".ctors", A | W, b"\xff" * 4 + bytes(8), rel=[(4, 1, 2)])
    assert calls(link(extension(section))) == ["one"]


def test_preinit_comes_first_and_one_function_may_come_twice() -> None:
    arrays = [array(".init_array", 2, 2), array(".preinit_array", 3, kind=16)]
    assert calls(link(extension(*arrays))) == ["two", "one", "one"]


def test_without_constructors_the_kernel_calls_init_itself() -> None:
    image = link(extension(init=True))
    assert image.extensions[0].init == image.symbols["e:init"]
    assert link(extension()).extensions[0].init == 0


@pytest.mark.parametrize(
    ("rule", "section"),
    [
        ("not the address of a function", array(".init_array", data=b"\x10\0\0\0")),
        (
            "not the address of a function",
            Sec(".init_array", A | W, bytes(8), kind=INIT_ARRAY, rel=[(2, 1, 2)]),
        ),
        (
            "not the address of a function",
            Sec(".init_array", A | W, bytes(4), kind=INIT_ARRAY, rel=[(0, 2, 2)]),
        ),
        ("constructor 1 of 'e' is not code", Sec(".init_array", A | W, b"\0\0\1\0", 14, rel=[(0, 1, 2)])),
    ],
)
def test_what_is_no_function_is_refused(rule: str, section: Sec) -> None:
    with pytest.raises(SandboxError, match=rule):
        link(extension(section))


def test_the_runtime_must_be_able_to_call_them_and_has_none_itself() -> None:
    with pytest.raises(SandboxError, match="undefined symbol 'uls_init'"):
        link(extension(array(".init_array", 2)), RUNTIME)
    runtime = make(
        [Sec(".text", A | X, o.RET), array(".init_array", 1)],
        [Sym("uls_return_sysenter", 1), Sym("uls_return_int80", 1)],
    )
    with pytest.raises(SandboxError, match="nobody registers it"):
        link(extension(), runtime)
