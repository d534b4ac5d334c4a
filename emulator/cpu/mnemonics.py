"""Which instruction class each mnemonic (as capstone writes it) belongs to, when its operands do not matter.

`MNEMONICS` is the answer for register operands; `classify.py` looks at the operands of the names in
`NEEDS_OPERANDS`. Everything that is in neither is class "unknown": instructions later than the Pentium 4.
"""

from typing import Final

_CLASS_MNEMONICS: Final = {
    "nop": "nop endbr32 endbr64",
    "lea": "lea",
    "adc_sbb": "adc sbb",
    "shift_double": "shld shrd",
    "rotate_carry": "rcl rcr",
    "alu": ("add or and sub xor cmp test inc dec neg not cbw cwde cwd cdq clc stc cmc salc movzx movsx"),
    "pusha": "pushal pushaw",
    "popa": "popal popaw",
    "leave": "leave",
    "enter": "enter",
    "jcc": "ja jae jb jbe je jg jge jl jle jne jno jnp jns jo jp js",
    "loop": "loop loope loopne",
    "jecxz": "jcxz jecxz",
    "ret": "ret",
    "div": "div",
    "idiv": "idiv",
    "mul": "mul",
    "xlat": "xlatb",
    "bcd": "aaa aas aam aad daa das",
    "bound": "bound",
    "bit_scan": "bsf bsr",
    "bit_test": "bt btc btr bts",
    "setcc": "seta setae setb setbe sete setg setge setl setle setne setno setnp setns seto setp sets",
    "cmov": (
        "cmova cmovae cmovb cmovbe cmove cmovg cmovge cmovl cmovle "
        "cmovne cmovno cmovnp cmovns cmovo cmovp cmovs"
    ),
    "xadd": "xadd",
    "cmpxchg": "cmpxchg",
    "cmpxchg8b": "cmpxchg8b",
    "bswap": "bswap",
    "cld": "cld",
    "std": "std",
    "lahf_sahf": "lahf sahf",
    "pause": "pause",
    "load": "prefetch prefetchw prefetcht0 prefetcht1 prefetcht2 prefetchnta",
    # segments and far transfers
    "lds": "lds les lfs lgs lss",
    "jmp_far": "ljmp",
    "call_far": "lcall",
    "ret_far": "retf",
    "iret": "iret iretd",
    "int": "int int1 int3 into",
    "sysenter": "sysenter",
    "sysexit": "sysexit",
    "ud": "ud0 ud1 ud2 ud2b syscall sysret",
    # system
    "clts": "clts",
    "lmsw": "lmsw",
    "mov_from_cr": "smsw",
    "invlpg": "invlpg",
    "pushf": "pushf pushfd",
    "popf": "popf popfd",
    "cli": "cli",
    "sti": "sti",
    "rdtsc": "rdtsc rdtscp",
    "cpuid": "cpuid",
    "rdpmc": "rdpmc",
    "rdmsr": "rdmsr",
    "wrmsr": "wrmsr",
    "wbinvd": "wbinvd invd",
    "clflush": "clflush",
    "lgdt": "lgdt",
    "lidt": "lidt",
    "lldt": "lldt",
    "ltr": "ltr",
    "sgdt": "sgdt sidt",
    "str": "str sldt",
    "lar": "lar lsl verr verw arpl",
    "sfence": "sfence",
    "mfence": "mfence",
    "lfence": "lfence",
    "hlt": "hlt",
    "in": "in",
    "out": "out",
    "ins": "insb insw insd",
    "outs": "outsb outsw outsd",
    # x87
    "fxsave": "fxsave",
    "fxrstor": "fxrstor",
    "fnsave": "fnsave",
    "frstor": "frstor",
    "fninit": "fninit",
    "fnclex": "fnclex",
    "fldenv": "fldenv",
    "fnstenv": "fnstenv",
    "fldcw": "fldcw",
    "fnstcw": "fnstcw",
    "fnstsw": "fnstsw",
    "fwait": "wait fwait",
    "fld": "fld fldz fld1",
    "fst": "fst fstp fstpnce",
    "fxch": "fxch",
    "fadd": "fadd faddp fsub fsubp fsubr fsubrp fiadd fisub fisubr",
    "fmul": "fmul fmulp fimul",
    "fdiv": "fdiv fdivp fdivr fdivrp fidiv fidivr",
    "fsqrt": "fsqrt",
    "fsin": "fsin fcos fsincos fptan fpatan f2xm1 fyl2x fyl2xp1 fprem fprem1",
    "fild": "fild",
    "fist": "fist fistp fisttp",
    "fcom": (
        "fcom fcomp fcompp fcomi fcompi fcomip fucom fucomp fucompp fucomi fucompi fucomip ficom ficomp ftst"
    ),
    "other_fpu": (
        "fabs fchs fxam fnop fdecstp fincstp ffree ffreep frndint fscale fxtract fbld fbstp fldpi "
        "fldl2e fldl2t fldlg2 fldln2 fcmovb fcmove fcmovbe fcmovu fcmovnb fcmovne fcmovnbe fcmovnu "
        "fdisi8087_nop feni8087_nop fsetpm"
    ),
    "emms": "emms",
    "sse": "ldmxcsr stmxcsr maskmovdqu cvtsd2si cvtss2si cvttsd2si cvttss2si",
    "mmx": "maskmovq",
    "store": "movnti",
}
MNEMONICS: Final = {name: kind for kind, names in _CLASS_MNEMONICS.items() for name in names.split()}

_NEEDS_OPERANDS: Final = (
    "mov movabs push pop jmp call imul xchg shl sal shr sar rol ror "
    "movsb movsw movsd stosb stosw stosd lodsb lodsw lodsd scasb scasw scasd cmpsb cmpsw cmpsd"
)
NEEDS_OPERANDS: Final = frozenset(_NEEDS_OPERANDS.split())
STRING: Final = {
    f"{operation}{width}": (operation, width)
    for operation in ("movs", "stos", "lods", "scas", "cmps")
    for width in "bwd"
}
