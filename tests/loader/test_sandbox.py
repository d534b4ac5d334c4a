from __future__ import annotations

import contextlib
import io
import struct
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import sandbox_objects as o
from elftools.elf.elffile import ELFFile
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox_objects import ABS, COMMON, LOCAL, NOBITS, RUNTIME, A, Sec, Sym, W, X, make, simple

from loader import sandbox
from loader.sandbox import Extension, SandboxError, link_sandbox


def link(*objs: bytes, **options: int) -> sandbox.SandboxImage:
    return link_sandbox([Extension(f"ext{i}", x, **options) for i, x in enumerate(objs)], RUNTIME)


def word(image: sandbox.SandboxImage, address: int) -> int:
    elf = ELFFile(io.BytesIO(image.elf))
    for s in elf.iter_segments():
        if s["p_vaddr"] <= address < s["p_vaddr"] + s["p_filesz"]:
            return struct.unpack_from("<I", s.data(), address - s["p_vaddr"])[0]
    raise AssertionError(hex(address))


def refused(rule: str, *objs: bytes) -> None:
    with pytest.raises(SandboxError, match=rule) as caught:
        link(*objs)
    assert str(caught.value).startswith(caught.value.file + ": ")


# ---- what the kernel relies on ----


def test_header() -> None:
    image = link(simple(), simple(), stack_size=8192)
    symbols = image.symbols
    header = next(s for s in image.segments if s.address == 0x40000000).data
    expected = (0x58534C55, 2, 2, symbols["uls_return_sysenter"], symbols["uls_return_int80"])
    assert struct.unpack_from("<5I", header) == expected
    assert header[20:84] == bytes(64)  # nobody asked for a seal
    text, data = image.extensions[1].segments
    areas = (text.address, text.size, data.address, data.size)
    entry = (b"ext1".ljust(24, b"\0"), symbols["ext1:handler"], 8192, 0, 0, *areas, 0, 0)
    assert struct.unpack_from("<24s10I", header, 84 + 128) == entry
    assert len(header) == 84 + 2 * 128


def test_init_is_entered_in_the_header() -> None:
    image = link(simple(Sym("init", 1, 4)))
    assert image.extensions[0].init == image.symbols["ext0:init"] == image.extensions[0].entry + 4


def test_segments_are_in_their_areas_and_never_writable_and_executable() -> None:
    elf = ELFFile(io.BytesIO(link(simple(), simple()).elf))
    loads = list(elf.iter_segments())
    assert {s["p_type"] for s in loads} == {"PT_LOAD"}
    for s in loads:
        writable, executable = bool(s["p_flags"] & 2), bool(s["p_flags"] & 1)
        assert not (writable and executable)
        base = 0x40400000 if writable else 0x40000000
        assert base <= s["p_vaddr"] <= s["p_vaddr"] + s["p_memsz"] <= base + 0x400000
        assert s["p_memsz"] >= s["p_filesz"]
    spans = sorted((s["p_vaddr"], s["p_vaddr"] + s["p_memsz"]) for s in loads)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))


def test_symbols_are_prefixed_and_visible_to_tools() -> None:
    image = link(simple(Sym("helper", 1, 8, LOCAL)))
    table = ELFFile(io.BytesIO(image.elf)).get_section_by_name(".symtab")
    names = {s.name: s["st_value"] for s in table.iter_symbols()}
    assert names["ext0:helper"] == names["ext0:handler"] + 8
    assert "uls_return_int80" in names


def test_same_input_same_bytes() -> None:
    assert link(simple(), simple()).elf == link(simple(), simple()).elf


# ---- relocation ----


def test_absolute_relocation_adds_the_addend() -> None:
    text = struct.pack("<I", 0x10) + o.RET
    image = link(simple(Sym("table", 2), text=text, rel=[(0, 1, 2)]))
    assert word(image, image.extensions[0].entry) == image.symbols["ext0:table"] + 0x10


@pytest.mark.parametrize("kind", [2, 4])
def test_relative_relocation(kind: int) -> None:
    text = b"\xe8" + struct.pack("<i", -4) + o.RET
    image = link(simple(Sym("shared", 0), text=text, rel=[(1, kind, 2)]))
    entry = image.extensions[0].entry
    assert (entry + 5 + word(image, entry + 1)) & 0xFFFFFFFF == image.symbols["shared"]


def test_reference_to_another_extension() -> None:
    image = link(
        simple(Sym("service", 0), text=bytes(16), rel=[(0, 1, 2)]),
        simple(Sym("service", 2, 0, kind=o.OBJECT)),
    )
    assert word(image, image.extensions[0].entry) == image.symbols["ext1:service"]
    assert [x.needs for x in image.extensions] == [("ext1",), ()]
    assert struct.unpack_from("<I", image.segments[0].data, 84 + 56)[0] == 1 << 1


def test_symbols_of_the_libc_win_over_those_of_extensions_and_lose_to_the_runtime() -> None:
    libc = make(
        [Sec(".text", A | X, o.RET), Sec(".data", A | W, b"heap")],
        [Sym("malloc", 1), Sym("shared", 1, 12)],
    )
    user = simple(Sym("malloc", 0), Sym("shared", 0), text=bytes(16), rel=[(0, 1, 2), (4, 1, 3)])
    image = link_sandbox([Extension("a", user), Extension("b", simple(Sym("malloc", 1)))], RUNTIME, libc)
    entry = image.extensions[0].entry
    assert [word(image, entry), word(image, entry + 4)] == [
        image.symbols["libc:malloc"],
        image.symbols["shared"],
    ]
    assert image.extensions[0].needs == ()
    assert {".text.libc", ".data.libc"} <= {s.name for s in image.segments}


def test_absolute_common_and_weak_symbols() -> None:
    extra = [Sym("eight", ABS, 8), Sym("pool", COMMON, 16, size=100), Sym("nothing", 0, bind=o.WEAK)]
    image = link(simple(*extra, text=b"\0" * 16, rel=[(0, 1, 2), (4, 1, 3), (8, 1, 4)]))
    entry = image.extensions[0].entry
    assert [word(image, entry + i) for i in (0, 4, 8)] == [8, image.symbols["ext0:pool"], 0]
    assert image.symbols["ext0:pool"] % 16 == 0


# ---- every rule, broken alone ----


def relocated(kind: int, offset: int = 0) -> bytes:
    return simple(Sym("x", 2), text=bytes(16), rel=[(offset, kind, 2)])


DEBUG_REFERENCE = make(
    [Sec(".text", A | X, o.RET, rel=[(0, 1, 2)]), Sec(".debug", 0, b"....")],
    [Sym("handler", 1), Sym("d", 2, bind=LOCAL)],
)


@pytest.mark.parametrize(
    ("rule", "obj"),
    [
        ("not an ELF file", b"MZ not elf"),
        ("not an ELF file", b""),
        ("truncated ELF header", simple()[:40]),
        ("32-bit", make([], [], elf_class=2)),
        ("not for i386", make([], [], machine=62)),
        ("not a relocatable", make([], [], e_type=4)),
        ("truncated", simple()[:-10]),
        ("truncated: section '.text'", make([Sec(".text", A | X, o.RET, size=1 << 20)], [Sym("handler", 1)])),
        ("both writable and executable", make([Sec(".text", A | X | W, o.RET)], [Sym("handler", 1)])),
        ("undefined symbol 'handler'", make([Sec(".text", A | X, o.RET)], [])),
        ("not code", make([Sec(".data", A | W, o.RET)], [Sym("handler", 1)])),
        ("duplicate symbol 'handler'", simple(Sym("handler", 1, 4))),
        ("undefined symbol 'x'", simple(Sym("x", 0), rel=[(0, 1, 2)])),
        ("R_386_GOT32X", relocated(43)),
        ("R_386_GOTPC", relocated(10)),
        ("number 99", relocated(99)),
        ("lies outside the section", relocated(1, offset=13)),
        ("does not exist", simple(rel=[(0, 1, 9)])),
        ("lies outside section", simple(Sym("far", 2, 0x1000))),
        ("that does not exist", simple(Sym("far", 77))),
        ("thread-local", make([Sec(".tdata", A | W | 0x400, b"TTTT")], [])),
        ("unsupported type", make([Sec(".remark", A, bytes(4), kind=7)], [])),
        ("holds destructors", make([Sec(".fini_array", A | W, bytes(4), kind=15)], [])),
        ("alignment", make([Sec(".data", A | W, bytes(4), align=3)], [])),
        ("not RELA", make([Sec(".text", A | X, o.RET, rel=[(0, 1, 1)] * 3, rel_kind=o.RELA)], [])),
        ("protected area overflow", make([Sec(".bss", A | W, kind=NOBITS, size=0xFFFFFFF0)], [])),
        ("public area overflow", make([Sec(".text", A | X, bytes(0x400000))], [])),
        ("not loaded", DEBUG_REFERENCE),
    ],
)  # fmt: skip
def test_refused(rule: str, obj: bytes) -> None:
    refused(rule, obj)


def test_no_room_for_stacks() -> None:
    big = make(
        [Sec(".text", A | X, o.RET), Sec(".bss", A | W, kind=NOBITS, size=0x3FF000)], [Sym("handler", 1)]
    )
    refused("no room left for the stacks", big)


def test_ambiguous_symbol_between_extensions() -> None:
    user = simple(Sym("service", 0), rel=[(0, 1, 2)])
    refused("ambiguous symbol 'service'", user, simple(Sym("service", 1)), simple(Sym("service", 1)))


def test_local_and_hidden_symbols_are_nobody_elses() -> None:
    user = simple(Sym("service", 0), rel=[(0, 1, 2)])
    refused("undefined symbol 'service'", user, simple(Sym("service", 1, bind=LOCAL)))
    refused("undefined symbol 'service'", user, simple(Sym("service", 1, other=2)))


@pytest.mark.parametrize("name", ["", "a" * 24, "uls", "libc", "a b", "a:b", "ä"])
def test_bad_names(name: str) -> None:
    with pytest.raises(SandboxError, match="name"):
        link_sandbox([Extension(name, simple())], RUNTIME)


def test_other_rules_of_the_list() -> None:
    for extensions in (
        [],
        [Extension("a", simple())] * 2,
        [Extension(f"a{i}", simple()) for i in range(25)],
        [Extension("a", simple(), stack_size=-1)],
        [Extension("a", simple(), flags=1 << 32)],
    ):
        with pytest.raises(SandboxError):
            link_sandbox(extensions, RUNTIME)
    with pytest.raises(SandboxError, match="undefined symbol 'uls_return_sysenter'"):
        link_sandbox([Extension("a", simple())])


# ---- input from nowhere good ----

VALID = simple(
    Sym("x", 2), Sym("shared", 0), Sym("pool", COMMON, 4, size=8), text=bytes(16), rel=[(0, 1, 2), (4, 2, 3)]
)


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(VALID) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_changed_bytes_give_an_image_or_a_sandbox_error(changes: list[tuple[int, int]]) -> None:
    data = bytearray(VALID)
    for at, value in changes:
        data[at] = value
    try:
        image = link(bytes(data), simple())
    except SandboxError:
        return
    assert all(s.address >= 0x40000000 and s.address + s.size <= 0x40800000 for s in image.segments)


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, len(VALID) // 4 - 1), st.sampled_from([0xFFFFFFFF, 0x80000000, 0x7FFFFFFF, 0, 1, 0xFFFF])
)
def test_extreme_words(index: int, value: int) -> None:
    data = bytearray(VALID)
    struct.pack_into("<I", data, index * 4, value)
    with contextlib.suppress(SandboxError):
        link(bytes(data))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(0, len(VALID)))
def test_truncated_and_random_tails(tail: bytes, cut: int) -> None:
    for data in (VALID[:cut], VALID[:cut] + tail, b"\x7fELF\1\1\1" + tail):
        with contextlib.suppress(SandboxError):
            link(data)


# ---- the command line, with objects of the project's compiler ----

SOURCE = """
static const char *const names[] = {"a", "b"};
static int calls; int common_one; int *where = &common_one;
__attribute__((noinline)) int helper(int i) { return names[i & 1][0] + *where; }
void handler(const unsigned *event) { calls += helper(event[0]); }
"""


def test_command_line_links_compiled_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ziglang")
    (tmp_path / "e.c").write_text(SOURCE)
    (tmp_path / "runtime.o").write_bytes(RUNTIME)
    flags = ["-target", "x86-freestanding-none", "-O1", "-g", "-ffreestanding", "-fno-pic", "-nostdlib", "-c"]
    command = [sys.executable, "-m", "ziglang", "cc", *flags, "e.c", "-o", "e.o"]
    subprocess.run(command, cwd=tmp_path, check=True)
    out, obj = tmp_path / "out.elf", tmp_path / "e.o"
    assert sandbox.main([str(out), "--runtime", str(tmp_path / "runtime.o"), f"e={obj},stack=8192"]) == 0
    names = {
        s.name for s in ELFFile(io.BytesIO(out.read_bytes())).get_section_by_name(".symtab").iter_symbols()
    }
    assert {"e:handler", "e:helper", "e:calls", "uls_header"} <= names
    assert sandbox.main([str(out), f"e={obj}"]) == 1
    assert "uls_return_sysenter" in capsys.readouterr().err
    assert sandbox.main([str(out), "e="]) == 2
    assert sandbox.main([str(out), f"e={tmp_path / 'missing.o'}"]) == 1
