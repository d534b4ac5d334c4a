"""The engine's register file, read and written in place.

Writing here, unlike Unicorn's API, neither runs the architectural checks of a segment load nor ends
the running block: that is what the delivery of an interrupt needs.
"""

import ctypes
from typing import Final

from emulator.cpu import layout
from emulator.timing.hooked import CC_OP_EFLAGS

ES, CS, SS, DS, FS, GS = range(6)
EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI = range(8)
REGISTER_NUMBERS: Final = {
    name: number for number, name in enumerate(["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"])
}

TF: Final = 0x100
IF: Final = 0x200
NT: Final = 0x4000
RF: Final = 0x10000
VM: Final = 0x20000
IOPL: Final = 0x3000

HF_CPL: Final = 0x3
HF_INHIBIT_IRQ: Final = 0x8
HF_CS32: Final = 0x10
HF_SS32: Final = 0x20
HF_ADDSEG: Final = 0x40
HF_PE: Final = 0x80
HF_TF: Final = 0x100
HF_IOPL: Final = 0x3000
HF_VM: Final = 0x20000
HF2_NMI_MASK: Final = 0x4

CR0_PE: Final = 1


class Registers:
    """A view of one engine's `env`."""

    def __init__(self, address: int) -> None:
        """`address`: host address of env."""
        self.address = address
        u32, u64 = ctypes.c_uint32, ctypes.c_uint64
        self._general = [u64.from_address(address + 8 * i) for i in range(8)]
        self._eip = u64.from_address(address + layout.EIP)
        self._eflags = u64.from_address(address + layout.EFLAGS)
        self._flags_state = u32.from_address(address + layout.FLAGS_STATE)
        self._hflags = u32.from_address(address + layout.HFLAGS)
        self._hflags2 = u32.from_address(address + layout.HFLAGS2)
        self._control = [u64.from_address(address + layout.CONTROL + 8 * i) for i in range(5)]
        segments = [address + layout.SEGMENTS + layout.SEGMENT_STRIDE * index for index in range(6)]
        self._selectors = [u32.from_address(at) for at in segments]
        self._bases = [u64.from_address(at + 8) for at in segments]
        self._limits = [u32.from_address(at + 16) for at in segments]
        self._flags = [u32.from_address(at + 20) for at in segments]
        self._error = u32.from_address(address + layout.ERROR_CODE)
        self._is_int = u32.from_address(address + layout.IS_INT)
        self._old = ctypes.c_int32.from_address(address + layout.OLD_EXCEPTION)

    def general(self, index: int) -> int:
        """A general register, in encoding order."""
        return self._general[index].value & 0xFFFFFFFF

    def set_general(self, index: int, value: int) -> None:
        """Write a general register."""
        self._general[index].value = value & 0xFFFFFFFF

    @property
    def eip(self) -> int:
        """Instruction pointer, an offset in CS."""
        return self._eip.value & 0xFFFFFFFF

    @eip.setter
    def eip(self, value: int) -> None:
        self._eip.value = value & 0xFFFFFFFF

    @property
    def system_flags(self) -> int:
        """EFLAGS without the condition codes and DF, which the engine keeps elsewhere."""
        return self._eflags.value & 0xFFFFFFFF

    @system_flags.setter
    def system_flags(self, value: int) -> None:
        self._eflags.value = value & 0xFFFFFFFF

    def condition_codes_are_computed(self) -> None:
        """The engine has put the condition codes where it keeps them as bits, and lost track of it."""
        self._flags_state.value = CC_OP_EFLAGS

    @property
    def hflags(self) -> int:
        """QEMU's cached mode bits."""
        return self._hflags.value

    @hflags.setter
    def hflags(self, value: int) -> None:
        self._hflags.value = value

    @property
    def nmi_blocked(self) -> bool:
        """An NMI's handler runs; the engine's IRET ends that (SDM vol. 3A 5.7.1)."""
        return bool(self._hflags2.value & HF2_NMI_MASK)

    def block_nmi(self) -> None:
        """Until the next IRET."""
        self._hflags2.value |= HF2_NMI_MASK

    def unblock_nmi(self) -> None:
        """An IRET that the engine doesn't execute itself."""
        self._hflags2.value &= ~HF2_NMI_MASK

    @property
    def cpl(self) -> int:
        """Current privilege level."""
        return self._hflags.value & HF_CPL

    @property
    def linear_eip(self) -> int:
        """CS base + EIP."""
        return (self.base(CS) + self.eip) & 0xFFFFFFFF

    @property
    def stack_top(self) -> int:
        """SS base + ESP, or SP on a 16-bit stack."""
        big = self.descriptor_flags(SS) >> 22 & 1
        return (self.base(SS) + (self.general(ESP) & (0xFFFFFFFF if big else 0xFFFF))) & 0xFFFFFFFF

    def control(self, index: int) -> int:
        """A control register."""
        return self._control[index].value & 0xFFFFFFFF

    def set_control(self, index: int, value: int) -> None:
        """Write a control register without its side effects (used for CR2)."""
        self._control[index].value = value & 0xFFFFFFFF

    @property
    def error_code(self) -> int:
        """Error code of the exception that the engine reports."""
        return self._error.value

    @property
    def software_interrupt(self) -> bool:
        """The exception that the engine reports is INT n, INT3 or INTO."""
        return self._is_int.value != 0

    def clear_exception(self) -> None:
        """The engine, which doesn't deliver, never clears these: its next fault would be a double one."""
        self._old.value = -1
        self._is_int.value = 0

    def selector(self, index: int) -> int:
        """Selector of a segment register."""
        return self._selectors[index].value

    def base(self, index: int) -> int:
        """Base of a segment register."""
        return self._bases[index].value & 0xFFFFFFFF

    def limit(self, index: int) -> int:
        """Limit of a segment register."""
        return self._limits[index].value

    def descriptor_flags(self, index: int) -> int:
        """High word of the descriptor that a segment register caches."""
        return self._flags[index].value

    def set_segment(self, index: int, selector: int, base: int, limit: int, flags: int) -> None:
        """Load a segment register and its hidden part, unchecked."""
        self._selectors[index].value = selector
        self._bases[index].value = base
        self._limits[index].value = limit
        self._flags[index].value = flags

    def table(self, offset: int) -> tuple[int, int, int]:
        """(selector, base, limit) of GDT, LDT, TR or IDT."""
        at = self.address + offset
        return (
            ctypes.c_uint32.from_address(at).value,
            ctypes.c_uint64.from_address(at + 8).value & 0xFFFFFFFF,
            ctypes.c_uint32.from_address(at + 16).value,
        )

    def set_table(self, offset: int, selector: int, base: int, limit: int, flags: int) -> None:
        """Load LDTR or TR with its hidden part, unchecked."""
        at = self.address + offset
        ctypes.c_uint32.from_address(at).value = selector
        ctypes.c_uint64.from_address(at + 8).value = base
        ctypes.c_uint32.from_address(at + 16).value = limit
        ctypes.c_uint32.from_address(at + 20).value = flags

    @property
    def task_flags(self) -> int:
        """High word of the TSS descriptor that TR caches."""
        return ctypes.c_uint32.from_address(self.address + layout.TR + 20).value

    def update_mode(self, *, protected: bool) -> None:
        """Recompute the mode bits of hflags from CS and SS, as a segment load does."""
        flags = self.hflags & ~(HF_CPL | HF_CS32 | HF_SS32 | HF_ADDSEG)
        code, stack = self.descriptor_flags(CS), self.descriptor_flags(SS)
        if protected:
            flags |= (stack >> 13) & HF_CPL
        flags |= HF_CS32 if code >> 22 & 1 else 0
        flags |= HF_SS32 if stack >> 22 & 1 else 0
        if not protected or not code >> 22 & 1 or self.base(DS) | self.base(ES) | self.base(SS):
            flags |= HF_ADDSEG
        self.hflags = flags
