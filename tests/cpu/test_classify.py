import capstone
import pytest

from emulator.cpu.classify import classify, instruction_class
from emulator.cpu.mnemonics import MNEMONICS, NEEDS_OPERANDS
from emulator.timing.classes import CLASS_CAUSE

# Everything that the classifier leaves "unknown" on purpose: instructions that a Pentium 4 of 2001 and a
# kernel of 2003 do not have. One that capstone can print and that is in neither list fails the test.
_LATER = """
    adcx adox bndcl bndcn bndcu bndldx bndmk bndmov bndstx clac cldemote clflushopt clgi clrssbsy
    clwb clzero crc32 encls enclu enclv femms getsec incsspd invept invlpga invpcid invvpid lzcnt
    monitor monitorx montmul movbe movdir64b movdiri mwait mwaitx pconfig popcnt prefetchwt1 ptwrite
    rdpid rdpkru rdrand rdseed rdsspd rsm rstorssp saveprevssp setssbsy skinit stac stgi swapgs
    tpause tzcnt umonitor umwait vmcall vmclear vmfunc vmlaunch vmload vmmcall vmptrld vmptrst
    vmread vmresume vmrun vmsave vmwrite vmxoff vmxon vphaddw wbnoinvd wrpkru wrssd wrussd xabort
    xbegin xcryptcbc xcryptcfb xcryptctr xcryptecb xcryptofb xend xgetbv xrstor xrstors xsave xsavec
    xsaveopt xsaves xsetbv xsha1 xsha256 xstore xtest
"""
LATER = frozenset(_LATER.split())

# What a 2003 kernel uses, from its entry code, drivers, lib and FPU switching.
KERNEL_2003 = """
    aaa aad aam aas adc add and arpl bound bsf bsr bswap bt btc btr bts call cbw cdq clc cld cli
    clts cmc cmova cmovae cmovb cmovbe cmove cmovg cmovge cmovl cmovle cmovne cmovno cmovnp cmovns
    cmovo cmovp cmovs cmp cmpsb cmpsd cmpsw cmpxchg cmpxchg8b cpuid cwd cwde daa das dec div emms
    enter fadd faddp fchs fcom fcomp fcompp fdiv fdivp fild fist fistp fld fld1 fldcw fldenv fldz
    fmul fmulp fnclex fninit fnop fnsave fnstcw fnstenv fnstsw frndint frstor fscale fsqrt fst fstp
    fsub fsubp fsubr fucom fucompp fxam fxch fxrstor fxsave hlt idiv imul in inc insb insd insw int
    int3 into invd invlpg iret iretd ja jae jb jbe jcxz je jecxz jg jge jl jle jmp jne jno jnp jns
    jo jp js lahf lar lcall lds lea leave les lfence lfs lgdt lgs lidt ljmp lldt lmsw lodsb lodsd
    lodsw loop loope loopne lsl lss ltr mfence mov movnti movsb movsd movsw movsx movzx mul neg nop
    not or out outsb outsd outsw pause pop popal popaw popf popfd prefetchnta prefetcht0 prefetchw
    push pushal pushaw pushf pushfd rcl rcr rdmsr rdpmc rdtsc ret retf rol ror sahf salc sar sbb
    scasb scasd scasw seta setae setb setbe sete setg setge setl setle setne setno setnp setns seto
    setp sets sfence sgdt shl shld shr shrd sidt sldt smsw stc std sti stosb stosd stosw str sub
    sysenter sysexit test ud2 verr verw wait wbinvd wrmsr xadd xchg xlatb xor
"""


def every_instruction():
    """Every opcode of the one- and two-byte maps with every ModRM byte and prefix, as capstone prints it."""
    for mode in (capstone.CS_MODE_32, capstone.CS_MODE_16):
        disassembler = capstone.Cs(capstone.CS_ARCH_X86, mode)
        for prefix in (b"", b"\x66", b"\xf2", b"\xf3", b"\xf0"):
            for escape in (b"", b"\x0f"):
                for opcode in range(256):
                    for modrm in range(0, 256) if not prefix else range(0, 256, 7):
                        code = prefix + escape + bytes([opcode, modrm]) + b"\x05\x01" + bytes(7)
                        for _, _, mnemonic, operands in disassembler.disasm_lite(code, 0, 1):
                            yield mnemonic, operands


@pytest.fixture(scope="module")
def instructions():
    return set(every_instruction())


def test_no_instruction_is_unknown_by_accident(instructions):
    unknown = {m.split()[-1] for m, operands in instructions if classify(m, operands).kind == "unknown"}
    assert unknown - LATER == set()


def test_every_class_that_the_classifier_answers_is_priced(instructions):
    kinds = {classify(mnemonic, operands).kind for mnemonic, operands in instructions}
    assert kinds <= CLASS_CAUSE.keys()
    never = {"exception", "irq", "call_gate", "ret_far_outer"}  # charged by the core
    assert CLASS_CAUSE.keys() - kinds == never


def test_every_instruction_of_a_2003_kernel_is_classed_on_purpose(instructions):
    printed = {mnemonic.split()[-1] for mnemonic, _ in instructions}
    for name in KERNEL_2003.split():
        assert name in printed, f"capstone never prints {name}"
        assert name in MNEMONICS or name in NEEDS_OPERANDS, name


def test_no_name_is_in_two_lists():
    assert MNEMONICS.keys().isdisjoint(NEEDS_OPERANDS)
    assert MNEMONICS.keys().isdisjoint(LATER)
    assert set(MNEMONICS.values()) <= CLASS_CAUSE.keys()


@pytest.mark.parametrize(
    ("name", "operands", "kind"),
    [
        ("mov", "eax, ebx", "mov"),
        ("mov", "eax, -1", "mov_imm"),
        ("mov", "byte ptr [eax], 0", "store"),
        ("mov", "eax, dword ptr fs:[0]", "load"),
        ("mov", "word ptr [eax], ds", "mov_from_sreg"),
        ("mov", "cr1, eax", "ud"),
        ("movzx", "eax, byte ptr [ebx]", "load"),
        ("movzx", "eax, al", "alu"),
        ("cmp", "dword ptr [eax], 1", "alu_load"),
        ("test", "dword ptr [eax], ebx", "alu_load"),
        ("inc", "dword ptr [eax]", "alu_store"),
        ("add", "eax, dword ptr [ebx]", "alu_load"),
        ("adc", "dword ptr [eax], 1", "adc_sbb"),
        ("shl", "eax, 1", "shift_imm"),
        ("sar", "edx, cl", "shift_cl"),
        ("shl", "dword ptr [eax], 3", "alu_store"),
        ("push", "fs", "push_sreg"),
        ("pop", "gs", "pop_sreg"),
        ("push", "dword ptr [eax]", "push_mem"),
        ("push", "5", "push"),
        ("imul", "eax, ebx, 3", "imul"),
        ("imul", "ebx", "mul"),
        ("bt", "dword ptr [eax], ebx", "bit_test_mem"),
        ("bts", "eax, ebx", "bit_test"),
        ("bts", "dword ptr [eax], 3", "alu_store"),
        ("sete", "byte ptr [eax]", "store"),
        ("xchg", "eax, ebx", "xchg_rr"),
        ("movsd", "xmm0, qword ptr [eax]", "sse"),
        ("movq", "mm0, qword ptr [eax]", "mmx"),
        ("movd", "eax, mm0", "mmx"),
        ("vaddps", "ymm0, ymm1, ymm2", "unknown"),
    ],
)
def test_operands_decide_where_the_mnemonic_does_not(name, operands, kind):
    assert instruction_class(name, operands) == kind


def test_lock_comes_first():
    assert classify("lock xchg", "dword ptr [eax], eax").kind == "lock_rmw"
    assert classify("lock cmpxchg", "dword ptr [eax], ecx").kind == "lock_rmw"
    assert classify("xacquire lock add", "dword ptr [eax], 1").kind == "lock_rmw"
