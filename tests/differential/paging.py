"""Scenarios of paging, control registers, self-modifying code and debug registers."""

import random

from tests.differential import layout as at
from tests.differential.fragment import Fragment
from tests.differential.registry import SNAPSHOT, random_ring, scenario

# offsets in a page that the driver fills and the S record sums up
OFFSETS = (0, 4, 8, 0x20, 0x3C, 0xFC0, 0xFF0, 0xFFC)


def access(r: random.Random, address: int) -> str:
    """One access at an address."""
    return r.choice(
        (
            f"mov eax, [{address:#x}]",
            f"mov dword ptr [{address:#x}], {r.getrandbits(31):#x}",
            f"movzx eax, byte ptr [{address:#x}]",
            f"mov word ptr [{address + 1:#x}], 0x1234",
            f"add dword ptr [{address:#x}], 5",
            f"mov eax, 7; xchg eax, [{address:#x}]",
            f"mov ecx, 0; lock cmpxchg [{address:#x}], ecx",
            f"push dword ptr [{address:#x}]; pop eax",
            f"mov esi, {address:#x}; mov edi, {at.TEST_PAGES:#x}; mov ecx, 3; cld; .byte 0xf3, 0xa5",
            f"mov edi, {address:#x}; mov eax, 0x55; mov ecx, 4; cld; rep stosd",
            f"test byte ptr [{address:#x}], 0x40; setz al",
        )
    )


def window(r: random.Random) -> int:
    """An address in the test window."""
    return at.WINDOW + (r.randrange(at.PAGES) << 12) + r.choice(OFFSETS)


@scenario
def rights(r: random.Random, f: Fragment) -> None:
    """Accesses to pages with all rights, in any ring, with and without WP."""
    f.cr0 |= r.choice((0, 1 << 16))
    f.enter(random_ring(r))
    for _ in range(r.randrange(3, 9)):
        f.add(
            "ring",
            access(r, r.choice((window(r), window(r), window(r), at.HOLE + 0x123, at.BIG_PAGE + 0x10))),
            SNAPSHOT,
        )
    if r.random() < 0.3:
        f.poke(at.DIRECTORY + 4, (at.TABLE_TEST | r.choice((1, 3, 5, 0))).to_bytes(4, "little"))


def edit(r: random.Random) -> str:
    """An edit of the page tables and its invalidation: what is accessed after it has a defined result."""
    page = r.randrange(at.PAGES)
    linear = at.WINDOW + (page << 12)
    entry = at.TABLE_TEST + 4 * page
    frame = at.TEST_PAGES + (r.randrange(at.PAGES) << 12)
    value = frame | r.choice((0, 1, 3, 5, 7, 7, 7, 0x107, 0x103, 6))
    invalidate = r.choice(
        (
            f"invlpg [{linear + r.choice(OFFSETS):#x}]",
            "mov eax, cr3; mov cr3, eax",
            "mov eax, cr4; xor eax, 0x80; mov cr4, eax; xor eax, 0x80; mov cr4, eax",
            "mov eax, cr0; and eax, 0x7fffffff; mov cr0, eax; or eax, 0x80000000; mov cr0, eax",
        )
    )
    if value & 0x100:  # a global page outlives CR3
        invalidate = f"invlpg [{linear:#x}]"
    what = r.randrange(5)
    if what == 0:
        bits = r.choice((0, 1, 3, 5, 7))
        change = f"mov dword ptr [{at.DIRECTORY + 4:#x}], {at.TABLE_TEST | bits:#x}"
        return change + "; mov eax, cr4; xor eax, 0x80; mov cr4, eax; xor eax, 0x80; mov cr4, eax"
    if what == 1:
        return f"and dword ptr [{entry:#x}], {r.choice((-2, -3, -5)) & at.ALL:#x}; invlpg [{linear:#x}]"
    if what == 2:
        size = r.choice((0x87, 0x81, 0x83, 0x85, 0))
        invalidate = f"invlpg [{at.BIG_PAGE + 0x1234:#x}]"
        return f"mov dword ptr [{at.DIRECTORY + 8:#x}], {at.BIG_PAGE | size:#x}; {invalidate}"
    return f"mov dword ptr [{entry:#x}], {value:#x}; {invalidate}"


@scenario
def edits(r: random.Random, f: Fragment) -> None:
    """Page tables that change, in ring 0."""
    f.cr0 |= r.choice((0, 1 << 16))
    f.enter(0)
    for _ in range(r.randrange(2, 7)):
        f.add("ring", access(r, window(r)), edit(r), access(r, window(r)), SNAPSHOT)
        if r.random() < 0.3:
            f.add("ring", access(r, at.BIG_PAGE + 0x10), SNAPSHOT)


@scenario
def fills(r: random.Random, f: Fragment) -> None:
    """An entry that wasn't present is filled and used in the same block: that needs no invalidation."""
    f.cr0 |= r.choice((0, 1 << 16))
    f.poke(at.DIRECTORY + 12, bytes(4))
    f.enter(0)
    absent = [page for page, rights in enumerate(at.WINDOW_RIGHTS) if not rights & 1]
    for page in r.sample(absent, len(absent)):
        linear = at.WINDOW + (page << 12) + r.choice(OFFSETS)
        frame = at.TEST_PAGES + (r.randrange(at.PAGES) << 12)
        if r.random() < 0.5:
            f.add("ring", access(r, linear), SNAPSHOT)  # a fault
        value = frame | r.choice((1, 3, 5, 7, 7, 0x107))
        f.add(
            "ring",
            f"mov dword ptr [{at.TABLE_TEST + 4 * page:#x}], {value:#x}; {access(r, linear)}",
            SNAPSHOT,
        )
    use = access(r, at.HOLE + (r.randrange(at.PAGES) << 12) + 0x20)
    f.add("ring", f"mov dword ptr [{at.DIRECTORY + 12:#x}], {at.TABLE_TEST | 7:#x}; {use}", SNAPSHOT)


@scenario
def edits_seen_from_outside(r: random.Random, f: Fragment) -> None:
    """Page tables that change in ring 0, accesses in ring 3."""
    f.cr0 |= r.choice((0, 1 << 16))
    for _ in range(r.randrange(1, 4)):
        f.add("main", access(r, window(r)), edit(r))
    f.enter(r.choice((1, 3, 3)), 2)
    for _ in range(r.randrange(1, 4)):
        f.add("ring", access(r, window(r)), SNAPSHOT)


@scenario
def crossing_pages(r: random.Random, f: Fragment) -> None:
    """Accesses and instructions that lie across two pages with different rights."""
    f.enter(random_ring(r))
    for _ in range(r.randrange(2, 6)):
        edge = at.WINDOW + (r.randrange(1, at.PAGES) << 12)
        f.add("ring", access(r, edge - r.choice((1, 2, 3))), SNAPSHOT)


@scenario
def execution(r: random.Random, f: Fragment) -> None:
    """Code in the test window: absent pages, supervisor pages, code across pages."""
    page = r.randrange(at.PAGES - 1)
    offset = r.choice((0, 0x20, 0xFF0, 0xFF5, 0xFFA, 0xFFB, 0xFFC, 0xFFD, 0xFFE))
    code = bytes.fromhex("4141b978563412b878563412cd7fc3")
    f.enter(random_ring(r))
    f.poke_code(at.TEST_PAGES + (page << 12) + offset, code)
    f.add("ring", f"mov eax, {at.WINDOW + (page << 12) + offset:#x}; call eax", SNAPSHOT)
    if r.random() < 0.5:
        f.add("ring", f"push {at.WINDOW + (page << 12) + offset:#x}; ret")
    f.resume = False


@scenario
def code_that_changes(r: random.Random, f: Fragment) -> None:
    """Stores into code that ran, that runs next, through another mapping, and remapped code."""
    ring = random_ring(r)
    f.enter(ring)
    code = at.TEST_PAGES
    alias = at.WINDOW
    f.poke_code(code, bytes.fromhex("b811111111c3"))
    f.poke_code(code + 0x1000, bytes.fromhex("b822222222c3"))
    where = r.choice((code, alias))
    # an outer ring can't flush: after a store the alias may be stale for data, and for code in QEMU's one TLB
    stored = r.choice((code, alias)) if ring == 0 else code
    f.add("ring", f"mov ebx, {where:#x}; call ebx", SNAPSHOT)
    f.add(
        "ring",
        r.choice(
            (
                f"mov dword ptr [{stored + 1:#x}], 0x33333333",
                f"mov byte ptr [{stored + 2:#x}], 0x44",
                f"mov edi, {stored + 1:#x}; mov eax, 0x77; mov ecx, 3; cld; rep stosb",
                f"mov word ptr [{stored + 1:#x}], 0x5555",
            )
        ),
    )
    f.add("ring", f"mov ebx, {r.choice((code, alias)):#x}; call ebx", SNAPSHOT)
    f.add(
        "ring",
        f"mov dword ptr [{at.TABLE_TEST:#x}], {(at.TEST_PAGES + 0x1000) | 7:#x}",
        "mov eax, cr3; mov cr3, eax",
        f"mov ebx, {alias:#x}; call ebx",
        SNAPSHOT,
    )


@scenario
def single_steps(r: random.Random, f: Fragment) -> None:
    """TF over plain instructions, faults, INT n, POPF and IRET."""
    f.enter(random_ring(r), r.choice((2, 0x3002)) | r.choice((0, 0x100)))
    body = r.sample(
        (
            "nop",
            "mov eax, 5",
            "push eax; pop ecx",
            "ud2",
            "int 0x21",
            "mov ax, 0x23; mov es, ax; nop",
            "mov ecx, 3; mov esi, 0x180000; mov edi, 0x180100; rep movsb",
            "xor edx, edx",
            "int3",
            "xor ecx, ecx; div ecx",
            f"mov eax, [{at.HOLE:#x}]",
            "cdq",
            "pushfd; pop eax",
            "pushfd; popfd",
            "push 0x302; popfd; nop",
            "push 0x10302; popfd; nop",
            "push 0x2; popfd; nop; pushfd; or dword ptr [esp], 0x100; popfd; nop",
            "pushf; popf",
        ),
        5,
    )
    f.add(
        "ring",
        "pushfd; or dword ptr [esp], 0x100; popfd; nop",
        *body,
        "pushfd; and dword ptr [esp], 0xfffffeff; popfd",
        SNAPSHOT,
    )


@scenario
def breakpoints(r: random.Random, f: Fragment) -> None:
    """Instruction and data breakpoints."""
    number = r.randrange(4)
    kind, length = r.choice(((1, 0), (3, 0), (1, 3), (3, 3), (1, 1)))
    watched = at.TEST_PAGES + r.choice((0, 4, 8))
    control = 0x400 | 2 << 2 * number | (kind | length << 2) << 16 + 4 * number
    arm = f"mov eax, {watched:#x}; mov dr{number}, eax; mov eax, {control:#x}; mov dr7, eax"
    f.add("main", arm)
    f.enter(random_ring(r))
    for _ in range(r.randrange(2, 5)):
        offset = watched - at.TEST_PAGES + r.choice((0, 0, 0x20))
        f.add(
            "ring",
            r.choice(
                (
                    f"mov eax, [{at.TEST_PAGES + offset:#x}]",
                    f"mov dword ptr [{at.TEST_PAGES + offset:#x}], 9",
                    f"mov byte ptr [{at.TEST_PAGES + offset:#x}], 9",
                )
            ),
            "nop",
        )
    f.add("ring", SNAPSHOT)


@scenario
def instruction_breakpoints(r: random.Random, f: Fragment) -> None:
    """A breakpoint on an instruction of the ring's piece, met twice."""
    f.enter(random_ring(r))
    where = f.address("ring") + r.choice((0, 5, 6))
    f.steps["main"].insert(0, f"mov eax, {where:#x}; mov dr1, eax; mov eax, 0x408; mov dr7, eax")
    f.add("ring", "mov ecx, 2", "nop", "dec ecx", SNAPSHOT)


@scenario
def control_registers(r: random.Random, f: Fragment) -> None:
    """CR0, CR3 and CR4 with allowed and forbidden values; #NM by TS, EM and MP; #MF."""
    f.enter(0)
    steps = (
        "mov eax, 0x8005003b; mov cr0, eax",
        "mov eax, cr0; or eax, 8; mov cr0, eax; fnop",
        "mov eax, cr0; or eax, 0xa; mov cr0, eax; wait",
        "mov eax, cr0; or eax, 4; mov cr0, eax; fnop",
        "mov eax, cr0; or eax, 8; mov cr0, eax; wait",
        "clts; fninit; fnstcw [esp - 8]; mov eax, [esp - 8]; movzx eax, ax",
        "mov eax, 0x290; mov cr4, eax; mov eax, cr0; and al, 0xfb; or al, 8; mov cr0, eax; movaps xmm0, xmm1",
        "mov eax, cr0; and eax, 0xfffffff1; mov cr0, eax; movaps xmm0, xmm1",
        "clts; mov eax, 0x290; mov cr4, eax; movaps xmm0, xmm1",
        "clts; mov eax, 0x90; mov cr4, eax; movaps xmm0, xmm1",
        "mov eax, 0x90; mov cr4, eax; mov eax, cr0; and al, 0xfb; or al, 8; mov cr0, eax; movaps xmm0, xmm1",
        "mov eax, 0x94; mov cr4, eax; nop",  # TSD
        "mov ax, 0xe; lmsw ax; smsw ax",
        "mov ax, 0; lmsw ax; smsw ax",
        f"mov eax, {at.DIRECTORY | 0x18:#x}; mov cr3, eax; mov eax, cr3",
    )
    for _ in range(r.randrange(2, 6)):
        f.add("ring", r.choice(steps), SNAPSHOT)
    f.add("ring", f"mov eax, {f.cr0:#x}; mov cr0, eax; fninit")
