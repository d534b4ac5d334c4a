"""One Unicorn instance as an execution engine: memory, soft-TLB fills and hooks; no policy.

Compiled callbacks get the address of the state record as their user data; rare events go to Python
through `ctypes` callbacks that never let an exception into Unicorn.
"""

import contextlib
import ctypes
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

from numpy.typing import NDArray
from unicorn import (
    UC_ARCH_X86,
    UC_HOOK_BLOCK,
    UC_HOOK_CODE,
    UC_HOOK_INSN,
    UC_HOOK_INSN_INVALID,
    UC_HOOK_INTR,
    UC_HOOK_MEM_READ,
    UC_HOOK_MEM_WRITE,
    UC_HOOK_TLB_FILL,
    UC_MODE_32,
    UC_TLB_VIRTUAL,
    Uc,
    UcError,
)
from unicorn.unicorn_const import UC_CTL_IO_WRITE, UC_CTL_TLB_FLUSH
from unicorn.x86_const import (
    UC_CPU_X86_QEMU32,
    UC_X86_INS_CPUID,
    UC_X86_INS_IN,
    UC_X86_INS_OUT,
    UC_X86_INS_RDTSC,
    UC_X86_INS_SYSENTER,
    UC_X86_REG_EFLAGS,
    UC_X86_REG_EIP,
)

from emulator.cpu import layout
from emulator.cpu.registers import Registers
from emulator.cpu.sysenter import on_sysenter
from emulator.memory.ram import PhysicalMemory
from emulator.timing.fill import on_fill
from emulator.timing.hooks import on_block, on_block_plain, on_memory, on_translate
from emulator.timing.state import StateView
from emulator.timing.tsc import on_rdtsc

UC_ERR_OK: Final = 0
UC_ERR_EXCEPTION: Final = 21
_EDGE_GENERATED: Final = 1 << 15
_UNTIL_NEVER: Final = 0xFFFFFFFF  # with exits enabled and none set, `until` isn't looked at

_uclib = layout.uclib
_uclib.uc_hook_add.restype = ctypes.c_int
_uclib.uc_emu_start.restype = ctypes.c_int
_VOID = None
_i32, _u32, _i64, _u64, _ptr = (
    ctypes.c_int32,
    ctypes.c_uint32,
    ctypes.c_int64,
    ctypes.c_uint64,
    ctypes.c_void_p,
)


def _function_address(function: Any) -> int:
    return int(ctypes.cast(function, _ptr).value or 0)


class EngineError(Exception):
    """Unicorn refused something that it must do for us."""


class Engine:
    """The engine of one processor."""

    def __init__(self, ram: PhysicalMemory, state: StateView, *, accounting: bool) -> None:
        """Map `ram` at 0 and install the compiled callbacks on `state`.

        Raises: LayoutError, EngineError.
        """
        offsets = layout.discover()
        self.uc = Uc(UC_ARCH_X86, UC_MODE_32, UC_CPU_X86_QEMU32)
        self.ram, self.state = ram, state
        self.failure: BaseException | None = None
        self._handle = layout.handle(self.uc)
        self._keep: list[Any] = []  # callbacks live as long as the engine
        self._check(
            _uclib.uc_mem_map_ptr(self._c, _u64(0), ctypes.c_size_t(ram.size), _u32(7), _ptr(ram.address)),
            "map RAM",
        )
        self.uc.ctl_set_tlb_mode(UC_TLB_VIRTUAL)
        self.uc.ctl_exits_enabled(True)
        self.uc.ctl_set_exits([])
        self.registers = Registers(layout.env_address(self.uc, (offsets.cpu, offsets.env)))
        self._invalid_address = _u64.from_address(self._handle + offsets.invalid_address)
        self._fill_state(offsets, accounting)
        self._hook(UC_HOOK_TLB_FILL, on_fill.address)
        self._hook(UC_HOOK_BLOCK, (on_block if accounting else on_block_plain).address)
        self._hook(_EDGE_GENERATED, on_translate.address)
        if accounting:
            self._hook(UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE, on_memory.address)
        self._hook(UC_HOOK_INSN, on_rdtsc.address, UC_X86_INS_RDTSC)
        self._hook(UC_HOOK_INSN, on_sysenter.address, UC_X86_INS_SYSENTER)

    @property
    def _c(self) -> ctypes.c_void_p:
        return _ptr(self._handle)

    def _check(self, status: int, what: str) -> None:
        if status != UC_ERR_OK:
            raise EngineError(f"{what}: {UcError(status)}")

    def _fill_state(self, offsets: layout.Offsets, accounting: bool) -> None:
        s, env = self.state, self.registers.address
        s.engine = self._handle
        s.at_registers = env + layout.REGISTERS
        s.at_eip, s.at_eflags, s.at_hflags = env + layout.EIP, env + layout.EFLAGS, env + layout.HFLAGS
        s.at_segments, s.at_control = env + layout.SEGMENTS, env + layout.CONTROL
        s.at_gdt, s.at_ldt, s.at_tr = env + layout.GDT, env + layout.LDT, env + layout.TR
        s.at_idt, s.at_is_int = env + layout.IDT, env + layout.IS_INT
        s.at_old_exception = env + layout.OLD_EXCEPTION
        s.at_skip_sync = self._handle + offsets.skip_sync if accounting else 0
        s.stop_function = _function_address(_uclib.uc_emu_stop)
        s.control_function = _function_address(_uclib.uc_ctl)
        control = UC_CTL_TLB_FLUSH | UC_CTL_IO_WRITE << 30
        s.flush_control = control - (1 << 32) if control >> 31 else control
        s.ram, s.ram_size = self.ram.address, self.ram.size
        s.accounting = int(accounting)

    def _hook(
        self, kind: int, callback: int, instruction: int | None = None, begin: int = 1, end: int = 0
    ) -> int:
        handle = ctypes.c_size_t()
        arguments = [self._c, ctypes.byref(handle), _i32(kind), _ptr(callback), _ptr(self.state.address)]
        arguments += [_u64(begin), _u64(end)]
        if instruction is not None:
            arguments.append(_i32(instruction))
        self._check(_uclib.uc_hook_add(*arguments), f"hook {kind}")
        return int(handle.value)

    def guard(self, function: Callable[..., Any], default: Any) -> Callable[..., Any]:
        """Wrap a callback: an exception is kept for the run loop, and the engine stops."""

        def guarded(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except BaseException as failure:
                self.failure = self.failure or failure
                self.stop()
                return default

        return guarded

    def callback(self, function: Callable[[int, int, int], int]) -> int:
        """Address of an int64 f(int64, int64, int64) for compiled code to call."""
        pointer = ctypes.CFUNCTYPE(_i64, _i64, _i64, _i64)(self.guard(function, -1))
        self._keep.append(pointer)
        return _function_address(pointer)

    def _python_hook(self, kind: int, pointer: Any, **arguments: int) -> None:
        self._keep.append(pointer)
        self._hook(kind, _function_address(pointer), **arguments)

    def on_interrupt(self, function: Callable[[int], None]) -> None:
        """Call `function(vector)` for every exception and software interrupt but page faults and #UD."""
        guarded = self.guard(lambda _uc, vector, _data: function(vector), None)
        self._python_hook(UC_HOOK_INTR, ctypes.CFUNCTYPE(_VOID, _ptr, _u32, _ptr)(guarded))

    def on_invalid_instruction(self, function: Callable[[], None]) -> None:
        """Call `function()` for an undefined opcode."""

        def invalid(_uc: Any, _data: Any) -> bool:
            function()
            return True

        pointer = ctypes.CFUNCTYPE(ctypes.c_bool, _ptr, _ptr)(self.guard(invalid, False))
        self._python_hook(UC_HOOK_INSN_INVALID, pointer)

    def on_cpuid(self, function: Callable[[], None]) -> None:
        """Call `function()` in place of CPUID."""

        def cpuid(_uc: Any, _data: Any) -> int:
            function()
            return 1

        pointer = ctypes.CFUNCTYPE(_i32, _ptr, _ptr)(self.guard(cpuid, 1))
        self._python_hook(UC_HOOK_INSN, pointer, instruction=UC_X86_INS_CPUID)

    def on_ports(self, read: Callable[[int, int], int], write: Callable[[int, int, int], None]) -> None:
        """Call `read(port, size)` for IN and INS, `write(port, value, size)` for OUT and OUTS."""
        inp = self.guard(lambda _uc, port, size, _data: read(port, size) & 0xFFFFFFFF, 0xFFFFFFFF)
        out = self.guard(lambda _uc, port, size, value, _data: write(port, value, size), None)
        inp_pointer = ctypes.CFUNCTYPE(_u32, _ptr, _u32, _i32, _ptr)(inp)
        out_pointer = ctypes.CFUNCTYPE(_VOID, _ptr, _u32, _i32, _u32, _ptr)(out)
        self._python_hook(UC_HOOK_INSN, inp_pointer, instruction=UC_X86_INS_IN)
        self._python_hook(UC_HOOK_INSN, out_pointer, instruction=UC_X86_INS_OUT)

    def on_code(self, address: int, function: Callable[[int], None]) -> None:
        """Call `function(linear)` before the instruction at one linear address."""
        guarded = self.guard(lambda _uc, at, _size, _data: function(at & 0xFFFFFFFF), None)
        pointer = ctypes.CFUNCTYPE(_VOID, _ptr, _u64, _u32, _ptr)(guarded)
        self._python_hook(UC_HOOK_CODE, pointer, begin=address, end=address)

    def on_compiled_code(self, address: int, callback: int) -> None:
        """Call compiled code before the instruction at one linear address."""
        self._hook(UC_HOOK_CODE, callback, begin=address, end=address)

    def on_every_instruction(self, callback: int) -> int:
        """Call compiled code before every instruction that is translated while the hook's bounds are open.

        Returns: where its two bounds are, both -2 (never) now; 0 and -1 open them.
        Raises: EngineError.
        """
        begin, end = 0x5EED5EED00000000, 0x5EED5EED00000001
        hook = self._hook(UC_HOOK_CODE, callback, begin=begin, end=end)
        found = ctypes.string_at(hook, 96).find(struct.pack("<QQ", begin, end))
        if found < 0:
            raise EngineError("the bounds of a hook aren't where they are in Unicorn 2.1.4")
        for at in (hook + found, hook + found + 8):
            _i64.from_address(at).value = -2
        return hook + found

    def map_devices(
        self,
        read: Callable[[int, int], int],
        write: Callable[[int, int, int], None],
        holes: Sequence[tuple[int, int]] = (),
    ) -> None:
        """Everything above RAM is device memory: `read(physical, size)`, `write(physical, value, size)`.

        `holes` are (address, size) ranges left out, sorted, for `map_register_page`.
        """
        start = self.ram.size
        for address, size in (*holes, (1 << 32, 0)):
            if address > start:
                base = start
                inp = self.guard(lambda _uc, at, width, _data, base=base: read(base + at, width), 0xFFFFFFFF)
                out = self.guard(
                    lambda _uc, at, width, value, _data, base=base: write(base + at, value, width), None
                )
                self.uc.mmio_map(base, address - base, inp, None, out, None)
            start = address + size

    def map_register_page(
        self,
        address: int,
        page: NDArray[Any],
        write: Callable[[int, int, int], None],
        refresh: Callable[[int], None],
        volatile: Sequence[tuple[int, int]],
    ) -> None:
        """A page of device registers that is read at the speed of RAM.

        `page` holds the current values. `write(offset, value, size)` is called before a store lands in it,
        `refresh(offset)` before a load from one of the `volatile` ranges, each (offset, size).
        """
        self._keep.append(page)
        size = len(page)
        pointer = _ptr(int(page.ctypes.data))
        self._check(
            _uclib.uc_mem_map_ptr(self._c, _u64(address), ctypes.c_size_t(size), _u32(3), pointer),
            "map a register page",
        )
        kind = ctypes.CFUNCTYPE(_VOID, _ptr, _i32, _u64, _i32, _i64, _ptr)
        store = kind(
            self.guard(
                lambda _uc, _kind, at, width, value, _data: write(
                    at - address, value & ((1 << 8 * width) - 1), width
                ),
                None,
            )
        )
        load = kind(self.guard(lambda _uc, _kind, at, _width, _value, _data: refresh(at - address), None))
        self._python_hook(UC_HOOK_MEM_WRITE, store, begin=address, end=address + size - 1)
        for offset, length in volatile:
            begin = address + offset
            self._python_hook(UC_HOOK_MEM_READ, load, begin=begin, end=begin + length - 1)

    def retranslate(self, address: int, size: int) -> None:
        """Forget translations of a range of linear addresses, in a block hook or between runs."""
        with contextlib.suppress(UcError):
            self.uc.ctl_remove_cache(address, address + size)
        self.state.fault = 0  # it may have asked for a fill that failed

    def forget_translations(self) -> None:
        """Forget all translated code, after the host has written to memory that may hold code."""
        self.uc.ctl_flush_tb()

    def jump(self, eip: int) -> None:
        """Continue at `eip` from a code or block hook."""
        self.uc.reg_write(UC_X86_REG_EIP, eip)

    def jump_from_interrupt(self, eip: int) -> None:
        """Continue at `eip` from an interrupt hook (a plain register write would leave EIP stale there)."""
        self.uc.reg_write_batch([(UC_X86_REG_EIP, eip)])

    def eflags(self) -> int:
        """Architectural EFLAGS, condition codes included."""
        return int(self.uc.reg_read(UC_X86_REG_EFLAGS))

    def load_flags(self, value: int) -> None:
        """Set architectural EFLAGS, condition codes included."""
        self.uc.reg_write(UC_X86_REG_EFLAGS, value)

    def stop(self) -> None:
        """Leave `run` at the next opportunity."""
        _uclib.uc_emu_stop(self._c)

    def run(self) -> int:
        """Execute from CS:EIP until something stops the engine; Unicorn's status.

        Raises: whatever a Python callback raised.
        """
        self.failure = None
        status = _uclib.uc_emu_start(
            self._c, _u64(self.registers.eip), _u64(_UNTIL_NEVER), _u64(0), ctypes.c_size_t(0)
        )
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        return int(status)

    @property
    def fault_address(self) -> int:
        """Linear address of the last failed fill."""
        return self._invalid_address.value & 0xFFFFFFFF
