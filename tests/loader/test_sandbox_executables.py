"""Static executables as extensions: the same program in three forms must come out as the same program."""

from __future__ import annotations

import contextlib
import struct
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import sandbox_objects as o
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox_objects import ABS, A, Sec, Sym, W, X, make

from loader.sandbox import Extension, SandboxError, SandboxImage, link_sandbox

SCRIPT = Path(__file__).parents[2] / "guest" / "extensions" / "static_pie.ld"
RUNTIME = make(
    [Sec(".text", A | X, o.RET)],
    [
        *(
            Sym(name, 1, at)
            for at, name in ((0, "uls_return_sysenter"), (4, "uls_return_int80"), (8, "uls_init"))
        )
    ],
)


def link(*objects: bytes) -> SandboxImage:
    return link_sandbox([Extension(f"e{i}", x) for i, x in enumerate(objects)], RUNTIME)


def word(image: SandboxImage, address: int) -> int:
    for s in image.segments:
        if s.address <= address < s.address + len(s.data):
            return int(struct.unpack_from("<I", s.data, address - s.address)[0])
    raise AssertionError(hex(address))


# ---- made by hand: .text at 0x8048000, .data at 0x8049000 ----

TEXT, DATA = 0x8048000, 0x8049000


def executable(
    *, rel: list[tuple[int, int, int]] | None = None, text: bytes = b"", extra: tuple[Sym, ...] = ()
) -> bytes:
    """ET_EXEC with relocations kept; symbols: 1 handler, 2 table (.data + 4), then `extra`."""
    text = text or struct.pack("<IIi", DATA + 4 + 0x20, DATA + 4, DATA + 4 - (TEXT + 8)) + bytes(8)
    rel = [(TEXT, 1, 2), (TEXT + 4, 1, 2), (TEXT + 8, 2, 2)] if rel is None else rel
    made = bytearray(
        make(
            [Sec(".text", A | X, text, rel=rel), Sec(".data", A | W, bytes(64))],
            [Sym("handler", 1, TEXT + 4), Sym("table", 2, DATA + 4), *extra],
            e_type=2,
        )
    )
    (shoff,) = struct.unpack_from("<I", made, 32)
    for index, address in ((1, TEXT), (2, DATA)):
        struct.pack_into("<I", made, shoff + 40 * index + 12, address)
    struct.pack_into("<I", made, 24, TEXT)
    return bytes(made)


def test_an_executable_is_rebased_by_its_relocations() -> None:
    image = link(o.simple(), executable())
    text, table = image.symbols["e1:handler"] - 4, image.symbols["e1:table"]
    assert table != DATA + 4
    assert word(image, text) == table + 0x20
    assert word(image, text + 4) == table
    assert (word(image, text + 8) + text + 8) & 0xFFFFFFFF == table


def test_an_executable_without_the_handlers_symbol_is_entered_at_its_entry_point() -> None:
    image = link_sandbox([Extension("e", executable(), handler="nothing")], RUNTIME)
    assert image.extensions[0].entry == image.symbols["e:handler"] - 4


@pytest.mark.parametrize(
    ("rule", "data"),
    [
        ("link it with --emit-relocs", executable(rel=[])),
        ("lies outside section '.text'", executable(rel=[(TEXT + 100, 1, 2)])),
        ("lies outside section '.text'", executable(rel=[(0, 1, 2)])),
        ("cannot be re-based", executable(rel=[(TEXT, 1, 3)], extra=(Sym("end", ABS, DATA + 64),))),
        ("R_386_GOTOFF", executable(rel=[(TEXT, 9, 2)])),
        ("lies outside section '.data'", executable(extra=(Sym("far", 2, DATA + 100),))),
    ],
)  # fmt: skip
def test_an_executable_is_refused(rule: str, data: bytes) -> None:
    with pytest.raises(SandboxError, match=rule):
        link(data)


def test_a_got_is_refused_since_its_contents_have_no_relocations() -> None:
    secs = [Sec(".text", A | X, o.RET), Sec(".got", A | W, bytes(8))]
    with pytest.raises(SandboxError, match="without relocations: compile without -fPIC"):
        link(make(secs, [Sym("handler", 1)], e_type=2))


# ---- position-independent, by hand: text at 0x1000, data 4 MB above ----

PT_LOAD, PT_DYNAMIC = 1, 2
PIE_TEXT, PIE_DATA = 0x1000, 0x401000


def pie(
    *,
    relocations: list[tuple[int, int]] | None = None,
    dynamic: list[tuple[int, int]] | None = None,
    data_at: int = PIE_DATA,
    flags: tuple[int, int] = (5, 6),
    bss: int = 64,
    constructors: int = 1,
    more: tuple[tuple[int, ...], ...] = (),
) -> bytes:
    """Without section headers. Data: word -> text, constructors, dynamic section, relocations; then .bss."""
    if relocations is None:
        relocations = [(data_at + 4 * i, 8) for i in range(1 + constructors)]
    table = data_at + 0x100
    if dynamic is None:
        dynamic = [
            (17, table),
            (18, 8 * len(relocations)),
            (19, 8),
            (25, data_at + 4),
            (27, 4 * constructors),
        ]
    data = struct.pack("<I", PIE_TEXT + 4) + struct.pack("<I", PIE_TEXT + 8) * constructors
    data = data.ljust(0x40, b"\0") + b"".join(struct.pack("<II", *d) for d in (*dynamic, (0, 0)))
    data = data.ljust(0x100, b"\0") + b"".join(struct.pack("<II", *r) for r in relocations)
    headers = [
        (PT_LOAD, 0x200, PIE_TEXT, 0, 32, 32, flags[0], 4096),
        (PT_LOAD, 0x300, data_at, 0, len(data), len(data) + bss, flags[1], 4096),
        (PT_DYNAMIC, 0x340, data_at + 0x40, 0, *[8 * (len(dynamic) + 1)] * 2, 6, 4),
        *more,
    ]
    ident = b"\x7fELF" + bytes((1, 1, 1)) + bytes(9)
    head = ident + struct.pack("<HHIIIIIHHHHHH", 3, 3, 1, PIE_TEXT, 52, 0, 0, 52, 32, len(headers), 40, 0, 0)
    out = (head + b"".join(struct.pack("<8I", *h) for h in headers)).ljust(0x200, b"\0")
    return (out + b"\xc3" * 32).ljust(0x300, b"\0") + data


def test_a_position_independent_executable_moves_as_a_whole() -> None:
    image = link(o.simple(), pie())
    text, data = image.extensions[1].segments
    assert data.address - text.address == PIE_DATA - PIE_TEXT
    assert image.extensions[1].entry == text.address
    assert word(image, data.address) == text.address + 4
    assert image.symbols["e1:init_with_constructors"] == image.extensions[1].init
    assert word(image, word(image, image.extensions[1].init + 1)) == text.address + 8
    assert data.size - len(data.data) == 64


def test_two_of_them_and_one_with_much_data_find_room() -> None:
    big = make(
        [Sec(".text", A | X, o.RET), Sec(".bss", A | W, kind=o.NOBITS, size=0x20000)], [Sym("handler", 1)]
    )
    image = link(pie(), big, pie())
    spans = sorted((s.address, s.address + s.size) for s in image.segments)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))


@pytest.mark.parametrize(
    ("rule", "data"),
    [
        ("4 MB above", pie(data_at=0x2000)),
        ("both writable and executable", pie(flags=(7, 6))),
        ("R_386_RELATIVE only", pie(relocations=[(PIE_DATA, 1)])),
        ("lies outside the segments", pie(relocations=[(0x900000, 8)])),
        ("overlaps another", pie(relocations=[(PIE_DATA, 8), (PIE_DATA + 2, 8)])),
        ("points outside the segments", pie(relocations=[(PIE_DATA + 0x20, 8)])),
        ("shared library", pie(dynamic=[(1, 1)])),
        ("procedure linkage", pie(dynamic=[(2, 8)])),
        ("RELA", pie(dynamic=[(7, 8)])),
        ("packed relocations", pie(dynamic=[(35, 8)])),
        ("DT_INIT", pie(dynamic=[(12, 8)])),
        ("destructors", pie(dynamic=[(28, 8)])),
        ("wrong entry size", pie(dynamic=[(19, 12)])),
        ("relocation table lies outside", pie(dynamic=[(17, 0x900000), (18, 8)])),
        ("constructor table lies outside", pie(dynamic=[(25, 0x900000), (27, 4)])),
        ("not the address of a function", pie(relocations=[])),
        ("PT_INTERP", pie(more=((3, 0, 0, 0, 0, 0, 4, 1),))),
        ("PT_TLS", pie(more=((7, 0, 0, 0, 0, 0, 4, 1),))),
        ("more than one dynamic", pie(more=((2, 0, 0, 0, 0, 0, 4, 1),))),
        ("overlap", pie(more=((1, 0x200, PIE_TEXT + 8, 0, 8, 8, 4, 1),))),
        ("lies outside the file", pie(more=((1, 0x2000, 0x8000, 0, 8, 8, 4, 1),))),
        ("alignment", pie(more=((1, 0x200, 0x8000, 0, 8, 8, 4, 65536),))),
        ("wrong size", pie(more=((1, 0x200, 0x8000, 0, 8, 4, 4, 1),))),
        ("larger than its contents", pie(more=((1, 0x200, 0x8000, 0, 8, 16, 4, 1),))),
        ("overflow", pie(bss=0x400000)),
    ],
)  # fmt: skip
def test_a_position_independent_executable_is_refused(rule: str, data: bytes) -> None:
    with pytest.raises(SandboxError, match=rule):
        link(data)


# ---- mutation: whatever is changed, an image or a named rule ----


def mutate(data: bytes, changes: list[tuple[int, int]]) -> bytes:
    out = bytearray(data)
    for at, value in changes:
        out[at % len(out)] = value
    return bytes(out)


@pytest.mark.parametrize("form", [executable(), pie()], ids=["executable", "pie"])
@settings(max_examples=1200, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 255)), min_size=1, max_size=6))
def test_changed_bytes_give_an_image_or_a_named_rule(form: bytes, changes: list[tuple[int, int]]) -> None:
    try:
        image = link(mutate(form, changes), o.simple())
    except SandboxError:
        return
    for s in image.segments:
        base = 0x40400000 if s.writable else 0x40000000
        assert base <= s.address <= s.address + s.size <= base + 0x400000
        assert not (s.writable and s.executable)
    assert all(0x40000000 <= x.entry < 0x40400000 for x in image.extensions)


@pytest.mark.parametrize("form", [executable(), pie()], ids=["executable", "pie"])
@settings(max_examples=400, deadline=None)
@given(
    index=st.integers(0, 1023),
    value=st.sampled_from([0xFFFFFFFF, 0xFFFFFFF0, 0x80000000, 0x7FFFFFFF, 0, 1, 0xFFFF, 0x400000]),
    cut=st.integers(0, 4096),
)
def test_extreme_words_and_cut_files(form: bytes, index: int, value: int, cut: int) -> None:
    data = bytearray(form)
    struct.pack_into("<I", data, index % (len(data) // 4) * 4, value)
    for changed in (bytes(data), form[:cut]):
        with contextlib.suppress(SandboxError):
            link(changed)


# ---- with the project's compiler ----

SOURCE = """
static const char *const names[] = {"a", "b"};
int calls, common_one, *where = &common_one;
volatile int order[4], n;
static void __attribute__((constructor(200))) second(void) { order[n++] = 200; }
static void __attribute__((constructor(101))) first(void) { order[n++] = 101; }
__attribute__((noinline)) int helper(int i) { return names[i & 1][0] + *where; }
void init(const unsigned *event) { order[n++] = 1; }
void handler(const unsigned *event) { calls += helper(event[0]); }
"""


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    pytest.importorskip("ziglang")
    folder = tmp_path_factory.mktemp("forms")
    (folder / "e.c").write_text(SOURCE)
    zig = [sys.executable, "-m", "ziglang"]
    flags = [
        "-target",
        "x86-freestanding-none",
        "-mcpu=i686",
        "-O1",
        "-ffreestanding",
        "-nostdlib",
        "-c",
        "e.c",
    ]
    lld = [*zig, "ld.lld", "-m", "elf_i386", "-e", "handler"]
    for command in (
        [*zig, "cc", *flags, "-fno-pic", "-o", "object"],
        [*lld, "--emit-relocs", "object", "-o", "executable"],
        [*zig, "cc", *flags, "-fPIE", "-o", "pic.o"],
        [*lld, "-pie", "--no-dynamic-linker", "-z", "norelro", "-T", str(SCRIPT), "pic.o", "-o", "pie"],
    ):
        subprocess.run(command, cwd=folder, check=True)
    return {name: (folder / name).read_bytes() for name in ("object", "executable", "pie")}


@pytest.mark.parametrize("form", ["object", "executable", "pie"])
def test_a_compiled_extension_is_the_same_in_every_form(forms: dict[str, bytes], form: str) -> None:
    image = link(o.simple(), forms[form])
    names = {address: name for name, address in image.symbols.items()}
    assert names[image.extensions[1].entry] == "e1:handler"
    assert names[word(image, image.symbols["e1:where"])] == "e1:common_one"
    table = word(image, image.extensions[1].init + 1)
    called = [names[word(image, table + 4 * i)] for i in range(3)]
    assert called == ["e1:first", "e1:second", "e1:init"]
    assert word(image, table + 12) == 0
