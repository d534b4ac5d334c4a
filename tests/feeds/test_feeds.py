"""Both feeds count the same: memory hooks, the reference, and access plans."""

import random

import pytest

from emulator.bench.uls import MEMORY_BYTES, Options, compose
from emulator.bundle import load_bundle
from emulator.machine import Feed, Machine
from tests.feeds.compare import compare
from tests.support import EXIT, FRAMES, PENTIUM3, PENTIUM4, PGE, PSE, TO_USER, A, D, P, Rig, U, W, profile

OSFXSR = 1 << 9
DATA = 0x300000
SMALL = 0x800000  # 4 KB pages; 0x802000 is read-only, 0x804000 absent
LOOK_UPS = """
    mov eax, [esi + ecx * 4]; movzx ecx, al; xor ebx, [esi + ecx * 4]; movzx edx, bh; mov [esp - 8], esi
    mov [esi + edx], ecx; mov edi, [esp - 8]; mov ecx, [edi + edx * 4]; and ecx, 0x3f
"""
PROGRAMS = {
    "strings forwards and backwards": f"""
        mov esi, {DATA}; mov edi, {DATA + 0x3F00}; mov ecx, 100; .byte 0xf3, 0xa5
        std; movsb; .byte 0xa5; mov al, [esi]; mov [edi - 4], al; stosw; cld
        mov edi, 0x303000; mov ecx, 0; rep stosd; mov ecx, 50; mov eax, 1; rep stosb
        mov edi, {DATA}; mov ecx, 40; xor eax, eax; repe scasd
        mov esi, {DATA}; mov edi, {DATA + 0x3F00}; mov ecx, 30; repe cmpsb; lodsd; add eax, [esi]
    """,
    "stack instructions": f"""
        mov edi, over; pushad; popad; pushfd; popfd; push dword ptr [{DATA}]; pop dword ptr [{DATA + 64}]
        push esp; pop eax; enter 32, 3; leave; push 5; push ax; pop bx; add esp, 4
        mov ebp, esp; push {DATA}; mov eax, [esp]; mov ecx, [eax + 4]; pop ebx; mov [ebx + 8], ecx
    """,
    "addresses from loads, and loads from where was just stored": f"""
        mov esi, {DATA}; mov ebx, {DATA}; mov dword ptr [esi], {DATA + 128}
        mov eax, [ebx]; mov edx, [eax]; add edx, [eax + 4]; mov [eax + 8], edx
        mov dword ptr [esi + 4], {DATA + 192}; mov ecx, [esi + 4]; mov [ecx], eax
        movzx eax, byte ptr [esi]; mov dl, [esi + eax]; mov ah, dl; mov dl, [esi + eax - 0x80]
        imul eax, ecx, 3; and eax, 0xfc; mov [esi + eax], ecx; bswap eax; shr eax, 22; mov [esi + eax], dl
    """,
    "a cipher's table look-ups, in pieces and sections over several translations": f"""
        mov esi, {DATA}; mov ecx, 5
        {LOOK_UPS * 90}
    """,
    "what no plan tells": f"""
        mov esi, {DATA}; mov eax, 100; xor edx, edx; mov ecx, 7; div ecx; mov [esi + eax * 4], edx
        cmp eax, 5; cmova eax, ecx; mov [esi + eax * 4], edx; adc eax, 1; mov [esi + eax * 4], edx
        setc al; movzx eax, al; mov ebx, [esi + eax * 4]; bts dword ptr [esi], ecx; bt [esi], eax
        rdtsc; and eax, 0xfc; mov [esi + eax], edx; rdtsc; mov [esi], eax; cpuid; mov [esi], eax
        shld eax, ecx, 3; and eax, 0xfc; mov [esi + eax], edx; lock xadd [esi], ecx; cmpxchg8b [esi]
    """,
    "faults in mid-block": f"""
        mov edi, f1; mov eax, [{SMALL}]; mov ebx, [{SMALL + 0x4000}]; mov ecx, [{SMALL + 0x1000}]
    f1: mov edi, f2; mov [{SMALL}], eax; mov [{SMALL + 0x2000}], eax; mov ecx, [{SMALL + 0x1000}]
    f2: mov edi, f3; xor ecx, ecx; mov eax, [{SMALL}]; div ecx; mov ecx, [{SMALL + 0x1000}]
    f3: mov edi, f4; mov [{SMALL + 0x1FFE}], eax; mov eax, [{SMALL + 0x3FFE}]; mov eax, [{SMALL}]
    f4: mov edi, f5; mov eax, [{SMALL}]; push {SMALL}; mov eax, [{SMALL + 0x4000}]
    f5: mov esp, 0x38000; mov edi, f6; mov esi, {SMALL + 0x3FF0}; mov ecx, 9; .byte 0xf3, 0xad
    f6: mov esp, 0x38000; mov edx, edi; mov esi, {SMALL + 0x3FF0}; mov edi, f7; mov ecx, 9; lodsd; lodsd
        lodsd; lodsd; lodsd; mov [{DATA}], eax
    f7: mov esp, 0x38000; mov edi, f8; mov eax, [{SMALL}]; pushad; push eax; mov ecx, [{SMALL + 0x4000}]
    f8: mov esp, 0x38000; mov edi, f9; mov esp, {SMALL + 0x1010}; push eax; push ebx; mov esp, 0x38000
        mov edi, f9; mov eax, [{SMALL}]; mov ecx, [{SMALL + 0x4000}]; push eax
    f9: mov esp, 0x38000; nop
    """,
    "table entries that change in a block": """
        mov eax, {pte}; mov ecx, [0x801000]; mov edx, [eax]
        mov dword ptr [eax + 12], 0x405007; mov ecx, [0x804000]; mov edx, [eax + 12]
        mov dword ptr [eax], 0x403007; mov ecx, [0x801000]; mov edx, [eax]
    """,
    "faults in the middle of an instruction": f"""
        mov edi, m2; mov eax, [{SMALL}]; mov [{SMALL + 0x3FF0}], edi; mov esp, {SMALL + 0x3FF0}; popad
        mov eax, [{DATA}]
    m2: mov esp, 0x38000; mov edi, m3; mov eax, [{SMALL + 0x1000}]; fxsave [{SMALL + 0x1F00}]
        mov eax, [{DATA}]
    m3: mov edi, m4; fxrstor [{SMALL + 0x3F80}]; mov eax, [{DATA}]
    m4: mov edi, m5; fnsave [{SMALL + 0x1FE0}]; mov eax, [{DATA}]
    m5: mov edi, m6; mov ebx, {SMALL + 0x4000}; push dword ptr [{DATA}]; push dword ptr [ebx]
        mov eax, [{DATA}]
    m6: mov edi, m7; mov ebp, {SMALL + 0x4004}; mov esp, 0x38000; enter 8, 4; mov eax, [{DATA}]
    m7: mov edi, m8; mov esp, 0x38000; mov ebx, {DATA}; mov eax, [ebx]; .byte 0xf0, 0x8b, 0x03
        mov ecx, [ebx]
    m8: mov edi, m9; mov ebx, {DATA}; mov eax, [ebx]; .byte 0xf0, 0x90; mov ecx, [ebx]
    m9: mov esp, 0x38000; nop
    """,
    "pages that are let go": f"""
        mov esi, {SMALL}; mov eax, [esi]; invlpg [esi]; mov ecx, [esi]; mov edx, [esi + 0x1000]
        invlpg [esi + 0x1000]; mov ebx, [esi]; mov ecx, [esi + 0x1004]
    """,
    "ports in mid-block": f"""
        mov esi, {DATA}; mov eax, [esi]; in al, 0x61; mov [esi], eax; in al, 0x40; and eax, 0xfc
        mov [esi + eax], ecx; in al, 0x40; mov [esi + 4], al; out 0x80, al; mov edx, [esi]; in al, 0x21
        mov [esi + 8], al
    """,
    "an entry that a block reads before it uses its page": f"""
        mov eax, {{pte}}; mov edx, cr3; mov cr3, edx; jmp first
    first:
        mov ecx, [eax]; mov edx, [0x801000]; mov ebx, [eax]; mov [{DATA}], ecx; mov [{DATA + 4}], ebx
        mov edx, cr3; mov cr3, edx; jmp second
    second:
        mov dword ptr [eax + 12], 0x405007; mov ecx, [0x804000]; mov edx, [eax + 12]; mov [{DATA + 8}], edx
        mov dword ptr [eax], 0x403007; mov ecx, [eax]; mov [0x801000], ecx; mov edx, [eax]
    """,
    "a device's registers": f"""
        mov esi, {DATA}; mov eax, [esi]; mov ebx, [0xfee00020]; mov [esi], ebx; mov ecx, [0xfee00390]
        mov [esi + 4], ecx; mov [esi + 8], al; push eax; mov dword ptr [0xfee00380], 1000; pop ecx
        mov ecx, [0xfee00390]; mov [esi + 12], ecx; movzx eax, cl; mov [esi + eax], ecx
    """,
    "code that rewrites itself": """
        mov ecx, 3
    again:
        call here
    here:
        pop eax; mov byte ptr [eax + 12], 7; mov ebx, [0x300000]
    there:
        mov dl, 1; mov [0x300000], edx; dec ecx; jnz again; nop
    """,
}


def _program(name: str, feed: Feed, processor: str, user: bool) -> Machine:
    rig = Rig(processor, cr4=PSE | PGE | OSFXSR, feed=feed)
    for page, bits in ((0, P | W | U), (1, P | W | U), (2, P | U | A | D), (3, P | W | U)):
        rig.small(SMALL + 0x1000 * page, FRAMES + 0x1000 * page, bits)
    source = PROGRAMS[name].replace("{pte}", str(rig.pte_at(SMALL + 0x1000)))
    rig.load(f"{TO_USER if user else ''} mov edi, over; {source}; over: {EXIT}")
    return rig.machine


@pytest.mark.parametrize("processor", [PENTIUM4, PENTIUM3])
@pytest.mark.parametrize("user", [False, True])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_costs_the_same_block_by_block(name: str, user: bool, processor: str) -> None:
    machines = []

    def program(feed: Feed) -> Machine:
        machines.append(_program(name, feed, processor, user))
        return machines[-1]

    difference, outcome = compare(program, window=1, limit=3000000)
    assert difference is None, str(difference)
    assert outcome.kind == "exit", outcome
    assert [machine.state.unplanned for machine in machines] == [0] * len(machines)


def _bench(feed: Feed) -> Machine:
    """Extensions are sealed: Ed25519 has blocks of a thousand instructions."""
    machine = Machine(profile(PENTIUM4), memory_bytes=MEMORY_BYTES, feed=feed)
    machine.load(compose(load_bundle(), Options(runs=3)))
    return machine


def test_the_mini_kernels_benchmark_costs_the_same() -> None:
    difference, outcome = compare(_bench, window=2_000_000)
    assert difference is None, str(difference)
    assert outcome.status == 0


OPERATIONS = (
    "mov {r}, {m}", "mov {m}, {r}", "add {r}, {m}", "sub {m}, {r}", "xor {r}, {q}", "lea {r}, {m}",
    "imul {r}, {q}", "push {r}; pop {q}", "push dword ptr {m}", "inc dword ptr {m}", "xchg {r}, {m}",
    "movzx {r}, byte ptr {m}", "movsx {r}, word ptr {m}", "shl {r}, 3", "sar {r}, 2", "rol {r}, 5",
    "bswap {r}", "not {r}", "neg {r}", "adc {r}, {q}", "sbb {m}, {r}", "cmovc {r}, {q}", "setz byte ptr {m}",
    "bt {m}, {r}", "bsf {r}, {q}", "cmpxchg {m}, {r}", "xadd {m}, {r}", "shld {r}, {q}, 7", "and {r}, 0xff",
    "mul {r}", "cdq", "cwde", "test {m}, {r}", "mov {b}, {m}",
    "fld qword ptr {m}", "fstp qword ptr {m}", "fild dword ptr {m}", "pushfd; pop {r}", "std", "cld",
)  # fmt: skip
REGISTERS = ("eax", "ebx", "ecx", "edx", "esi", "ebp")
STRINGS = (".byte 0xa5", "stosb", "lodsw", "cmpsb", "scasd")


def _generated(seed: int) -> str:
    """Straight code whose wild addresses are tamed before use: most land in mapped pages, some fault."""
    dice = random.Random(seed)
    lines = [f"fninit; mov edi, end; mov ebp, {DATA}; mov esi, {DATA + 0x800}; mov ebx, {DATA + 0x2000}"]
    for _ in range(60):
        r, q, base, index = (dice.choice(REGISTERS) for _ in range(4))
        low = dice.choice(("al", "bl", "ch", "dh"))
        memory = f"[{base} + {dice.choice((1, 2, 4, 8))} * {index} + {dice.randrange(-64, 64)}]"
        if dice.random() < 0.7:
            lines.append(f"and {index}, 0x3fc; mov {base}, {DATA + dice.randrange(0, 0x4000, 4)}")
        if dice.random() < 0.1:
            places = f"mov esi, {DATA + dice.randrange(0x4000)}; mov edi, {DATA + dice.randrange(0x4000)}"
            lines.append(f"{places}; {dice.choice(STRINGS)}; {dice.choice(STRINGS)}; mov edi, end")
        lines.append(dice.choice(OPERATIONS).format(r=r, q=q, m=memory, b=low))
    return "; ".join(lines) + f"; end: nop; mov esp, 0x38000; cld; {EXIT}"


@pytest.mark.parametrize("seed", range(40))
def test_generated_code_costs_the_same(seed: int) -> None:
    source = _generated(seed)

    def make(feed: Feed) -> Machine:
        rig = Rig(PENTIUM4, feed=feed)
        rig.load(source)
        return rig.machine

    difference, _ = compare(make, window=5000, limit=200_000)
    assert difference is None, f"{difference}"
