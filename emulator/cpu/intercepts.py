"""Instructions that Unicorn doesn't check or execute as a processor does; we do it just before them.

    RDMSR, WRMSR           unknown registers are #GP(0)                   (SDM vol. 2B)
    IN, OUT, INS, OUTS     CPL > IOPL or VM86: the I/O bitmap of the TSS  (SDM vol. 1, 13.5)
    SYSENTER               with a null SYSENTER_CS it is #GP(0)
    MOV DRn, INT1, RDPMC   the debug registers are ours; the others are #UD in Unicorn
    JMP, CALL far          to a task gate or a TSS (compiled: `timing.far`)
    SSE2, SSE3 ...         #UD if the profile's processor lacks it
    MOV to CR0, CR4        values that are #GP(0)  (compiled: `timing.control_moves`)
    MOVAPS ...             a 16-byte operand must be aligned (compiled: `timing.aligned`)
    ENTER                  loads BP or EBP by the wrong size (compiled: `timing.enter`)
    FNSTSW, STMXCSR ...    the status needs softfloat's flags (compiled: `timing.fpu_hooks`)

When such an instruction is decoded, an address hook is put on it and its block is translated again.
The hook looks at the bytes, since another address space may have other code there.
"""

from typing import Final

from emulator.cpu import layout
from emulator.cpu.decode import DecodedBlock
from emulator.cpu.exceptions import GP, PF, UD, Fault
from emulator.cpu.features import lacks
from emulator.cpu.kinds import (
    INTERCEPT_ALIGNED,
    INTERCEPT_ENTER,
    INTERCEPT_ENTERED,
    INTERCEPT_FAR,
    INTERCEPT_FPU_BEHIND,
    INTERCEPT_FPU_ENVIRONMENT,
    INTERCEPT_FPU_LOAD,
    INTERCEPT_FPU_STORE,
    INTERCEPT_IN,
    INTERCEPT_INS,
    INTERCEPT_INT1,
    INTERCEPT_MOV_FROM_DR,
    INTERCEPT_MOV_TO_CR,
    INTERCEPT_MOV_TO_DR,
    INTERCEPT_OUT,
    INTERCEPT_OUTS,
    INTERCEPT_RDMSR,
    INTERCEPT_RDPMC,
    INTERCEPT_SEGMENT,
    INTERCEPT_SIMD,
    INTERCEPT_SYSENTER,
    INTERCEPT_WRMSR,
)
from emulator.cpu.msr import IA32_TSC
from emulator.cpu.operands import decode_at_eip, linear_address
from emulator.cpu.processor import is_pentium4
from emulator.cpu.registers import EAX, ECX, EDX, HF_CS32, IOPL, VM
from emulator.timing.aligned import on_aligned
from emulator.timing.control_moves import on_move_to_control
from emulator.timing.enter import on_behind_enter, on_enter
from emulator.timing.far import on_far, on_segment_loaded
from emulator.timing.fpu_hooks import (
    on_behind_load,
    on_environment_stored,
    on_status_loaded,
    on_status_stored,
)
from emulator.timing.system_access import code_address, system_read

PORT_KINDS: Final = frozenset({INTERCEPT_IN, INTERCEPT_OUT, INTERCEPT_INS, INTERCEPT_OUTS})
COMPILED: Final = {
    INTERCEPT_FAR: on_far,
    INTERCEPT_FPU_STORE: on_status_stored,
    INTERCEPT_ENTER: on_enter,
    INTERCEPT_ENTERED: on_behind_enter,
    INTERCEPT_FPU_LOAD: on_status_loaded,
    INTERCEPT_FPU_ENVIRONMENT: on_environment_stored,
    INTERCEPT_FPU_BEHIND: on_behind_load,
    INTERCEPT_SEGMENT: on_segment_loaded,
    INTERCEPT_ALIGNED: on_aligned,
    INTERCEPT_MOV_TO_CR: on_move_to_control,
}
ALWAYS: Final = frozenset(COMPILED) | {
    INTERCEPT_RDMSR,
    INTERCEPT_WRMSR,
    INTERCEPT_MOV_TO_DR,
    INTERCEPT_MOV_FROM_DR,
    INTERCEPT_INT1,
    INTERCEPT_RDPMC,
}
OF_SOME: Final = frozenset({INTERCEPT_ALIGNED, INTERCEPT_FPU_STORE, INTERCEPT_FPU_LOAD})  # processors
CR4_PCE: Final = 1 << 8
TSS_IO_MAP_BASE: Final = 102
TSS_32BIT: Final = 1 << 11  # of the descriptor's type; a 16-bit TSS has no bitmap
PREFIX_BYTES: Final = b"\x26\x2e\x36\x3e\x64\x65\x66\x67\xf2\xf3\xf0"
PREFIXES: Final = frozenset(PREFIX_BYTES)
WIDE: Final = 0x66


class Intercepts:
    """Installs and runs the address hooks of one processor (a `cpu.processor.Processor`)."""

    def __init__(self, processor: "ProcessorLike") -> None:
        self.processor = processor
        self._installed: set[tuple[int, int]] = set()
        processor.blocks.prepare = self.prepare

    def prepare(self, address: int, block: DecodedBlock) -> bool:
        """Hook what must be checked in a block about to run; True if its translation must be made anew."""
        new = False
        for offset, kind in block.intercepts:
            at = (address + offset) & 0xFFFFFFFF
            if kind in OF_SOME and self._lacks(self._bytes(at, 15)):
                kind = INTERCEPT_SIMD
            compiled = COMPILED.get(kind)
            key = at, kind if compiled else 0
            if key in self._installed or not self._needed(kind, at):
                continue
            self._installed.add(key)
            if compiled:
                self.processor.engine.on_compiled_code(at, compiled.address)
            else:
                self.processor.engine.on_code(at, self._before)
            new = True
        return new

    def _needed(self, kind: int, at: int) -> bool:
        if kind in PORT_KINDS:
            return self._ports_checked()
        if kind in ALWAYS:
            return True
        if kind == INTERCEPT_SIMD:
            code = self._bytes(at, 15)
            return self._lacks(code) or code.lstrip(PREFIX_BYTES)[:2] == b"\x0f\xae"  # CLFLUSH, perhaps
        return kind == INTERCEPT_SYSENTER and not self.processor.state.sysenter_cs & 0xFFFC

    def _ports_checked(self) -> bool:
        registers = self.processor.registers
        flags = registers.system_flags  # hflags' copies of VM and IOPL aren't kept up to date
        return bool(flags & VM) or registers.cpl > (flags & IOPL) >> 12

    def _before(self, linear: int) -> None:
        """The address hook: whatever instruction stands there now is about to run."""
        code = self._bytes(linear, 15)
        length = 0
        while length < len(code) and code[length] in PREFIXES:
            length += 1
        opcode = code[length : length + 2]
        try:
            if opcode[:1] in (b"\xe4", b"\xe5", b"\xe6", b"\xe7"):
                self._check_ports(opcode[1] if len(opcode) > 1 else 0, self._width(opcode[0], code[:length]))
            elif opcode[:1] in (b"\xec", b"\xed", b"\xee", b"\xef", b"\x6c", b"\x6d", b"\x6e", b"\x6f"):
                port = self.processor.registers.general(EDX) & 0xFFFF
                self._check_ports(port, self._width(opcode[0], code[:length]))
            elif opcode == b"\x0f\x32":
                self._read_msr(linear, length + 2)
            elif opcode == b"\x0f\x30":
                self._write_msr(linear, length + 2)
            elif opcode in (b"\x0f\x21", b"\x0f\x23"):
                self._move_debug(linear, opcode[1] == 0x23, code[length + 2], length + 3)
            elif opcode == b"\x0f\x33":
                self._read_counter(linear, length + 2)
            elif opcode[:1] == b"\xf1":
                self.processor.trap_in_hook(linear, length + 1)
            elif opcode == b"\x0f\x34" and not self.processor.state.sysenter_cs & 0xFFFC:
                raise Fault(GP)
            elif self._lacks(code):
                raise Fault(UD)
            elif opcode == b"\x0f\xae" and code[length + 2] >> 3 & 7 == 7 and code[length + 2] < 0xC0:
                self._flush_line(linear, code)
        except Fault as fault:
            self.processor.raise_in_hook(linear, fault)

    def _bytes(self, linear: int, size: int) -> bytes:
        state, ram = self.processor.state, self.processor.engine.ram
        physical = code_address(state.array, linear)
        data = ram.read(physical, min(size, 4096 - (linear & 0xFFF))) if physical >= 0 else b""
        if len(data) < size:
            physical = code_address(state.array, (linear + len(data)) & 0xFFFFFFFF)
            data += ram.read(physical, size - len(data)) if physical >= 0 else b""
        return data

    def _width(self, opcode: int, prefixes: bytes) -> int:
        if not opcode & 1:
            return 1
        code32 = bool(self.processor.registers.hflags & 0x10)
        return 4 if code32 != (WIDE in prefixes) else 2

    def _check_ports(self, port: int, width: int) -> None:
        """Every bit of the accessed ports must be clear in the bitmap, which must reach one byte beyond."""
        if not self._ports_checked():
            return
        _, base, limit = self.processor.registers.table(layout.TR)
        state = self.processor.state.array
        if limit < TSS_IO_MAP_BASE + 1 or not self.processor.registers.task_flags & TSS_32BIT:
            raise Fault(GP)
        offset = self._system_read(state, base + TSS_IO_MAP_BASE) + (port >> 3)
        if offset + 1 > limit:
            raise Fault(GP)
        bits = self._system_read(state, base + offset) >> (port & 7)
        if bits & ((1 << width) - 1):
            raise Fault(GP)

    @staticmethod
    def _system_read(state: object, linear: int) -> int:
        value = int(system_read(state, linear, 2, False))
        if value < 0:
            raise Fault(14, -1 - value, linear)
        return value

    def _lacks(self, code: bytes) -> bool:
        bits = 32 if self.processor.registers.hflags & HF_CS32 else 16
        identity = self.processor.profile.cpuid
        return lacks(code, bits, int(identity.feature_edx.value), int(identity.feature_ecx.value))

    def _move_debug(self, linear: int, write: bool, modrm: int, length: int) -> None:
        processor, number, register = self.processor, modrm >> 3 & 7, modrm & 7
        if write:
            processor.debug.write(number, processor.registers.general(register))
        else:
            processor.registers.set_general(register, processor.debug.read(number))
        processor.skip_in_hook(linear, length)

    def _flush_line(self, linear: int, code: bytes) -> None:
        """CLFLUSH, which Unicorn lacks: it touches the line as a load does, and changes nothing."""
        processor, registers = self.processor, self.processor.registers
        instruction = decode_at_eip(registers, code)
        address = linear_address(registers, instruction, instruction.operands[0])
        value = int(system_read(processor.state.array, address, 1, registers.cpl == 3))
        if value < 0:
            raise Fault(PF, -1 - value, address)
        processor.skip_in_hook(linear, instruction.size)

    def _read_counter(self, linear: int, length: int) -> None:
        """RDPMC: the counters exist and stand still."""
        processor, registers = self.processor, self.processor.registers
        user = registers.cpl or registers.system_flags & VM
        if user and not registers.control(4) & CR4_PCE:
            raise Fault(GP)
        if registers.general(ECX) >= (18 if is_pentium4(processor.profile) else 2):
            raise Fault(GP)
        registers.set_general(EAX, 0)
        registers.set_general(EDX, 0)
        processor.skip_in_hook(linear, length)

    def _read_msr(self, linear: int, length: int) -> None:
        processor = self.processor
        index = self._privileged_index()
        processor.read_msr(index)  # or #GP
        processor.skip_in_hook(linear, length)  # the time that it may read excludes the rest of the block
        value = processor.read_msr(index)
        processor.registers.set_general(EAX, value)
        processor.registers.set_general(EDX, value >> 32)

    def _write_msr(self, linear: int, length: int) -> None:
        processor, registers = self.processor, self.processor.registers
        index = self._privileged_index()
        value = registers.general(EDX) << 32 | registers.general(EAX)
        processor.write_msr(index, value)
        processor.skip_in_hook(linear, length)
        if index == IA32_TSC:
            processor.write_msr(index, value)  # again: from here on, without the rest of the block

    def _privileged_index(self) -> int:
        if self.processor.registers.cpl or self.processor.registers.system_flags & VM:
            raise Fault(GP)
        return self.processor.registers.general(ECX)


from emulator.cpu.processor import Processor as ProcessorLike  # noqa: E402  (a cycle of types only)
