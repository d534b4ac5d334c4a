"""One Unicorn instance as an execution engine: memory, soft-TLB fills and hooks; no policy.

Compiled callbacks get the address of the state record as their user data; rare events go to Python
through `ctypes` callbacks that never let an exception into Unicorn.
"""

import contextlib
import ctypes
from collections.abc import Iterator
from typing import Any, Final

from unicorn import (
    UC_ARCH_X86,
    UC_HOOK_BLOCK,
    UC_HOOK_INSN,
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
    UC_X86_INS_RDTSC,
    UC_X86_INS_SYSENTER,
    UC_X86_REG_EFLAGS,
    UC_X86_REG_EIP,
)

from emulator.cpu import layout, public_state
from emulator.cpu.engine_hooks import EngineError as EngineError
from emulator.cpu.engine_hooks import EngineHooks, function_address
from emulator.cpu.public_state import PublicState
from emulator.cpu.registers import Registers
from emulator.cpu.sysenter import on_sysenter
from emulator.memory.ram import PhysicalMemory
from emulator.saved_code import saved
from emulator.timing.fill import on_fill
from emulator.timing.hooks import on_block, on_memory, on_translate
from emulator.timing.plain import on_block_plain
from emulator.timing.planned import on_block_planned
from emulator.timing.state import STOP_RESUME, StateView
from emulator.timing.system_access import code_address
from emulator.timing.tsc import on_rdtsc

PAGE: Final = 4096
UC_ERR_OK: Final = 0
UC_ERR_EXCEPTION: Final = 21
_EDGE_GENERATED: Final = 1 << 15
_UNTIL_NEVER: Final = 0xFFFFFFFF  # with exits enabled and none set, `until` isn't looked at

_NOTHING: Final = contextlib.nullcontext()
_uclib = layout.uclib
_uclib.uc_hook_add.restype = ctypes.c_int
_u32, _u64, _ptr = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_void_p


def _function(name: str, *types: Any) -> Any:
    """A C function of Unicorn with its types declared: some times faster than the binding's methods."""
    function = _uclib[name]  # an object of its own, not the binding's
    function.restype, function.argtypes = ctypes.c_int, types
    return function


_emu_start = _function("uc_emu_start", _ptr, _u64, _u64, _u64, ctypes.c_size_t)
_reg_read = _function("uc_reg_read", _ptr, ctypes.c_int, _ptr)
_reg_write = _function("uc_reg_write", _ptr, ctypes.c_int, _ptr)
_reg_write_batch = _function("uc_reg_write_batch", _ptr, _ptr, _ptr, ctypes.c_int)


class Engine(EngineHooks):
    """The engine of one processor."""

    def __init__(
        self, ram: PhysicalMemory, state: StateView, *, accounting: bool, memory_hooks: bool = True
    ) -> None:
        """Map `ram` at 0 and install the compiled callbacks on `state`.

        Without `memory_hooks` nothing tells of accesses to RAM: access plans drive the model.

        Raises: LayoutError, EngineError.
        """
        offsets, _why = layout.choose()
        saved.finish()
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
        if offsets is None:
            public_state.check()
            self.public = PublicState(self._handle)
            self.registers = Registers(self.public.address)
            at_skip_sync = 0  # EIP is kept exact before each access: slower, the same
        else:
            self.registers = Registers(layout.env_address(self.uc, (offsets.cpu, offsets.env)))
            self._invalid_address = _u64.from_address(self._handle + offsets.invalid_address)
            at_skip_sync = self._handle + offsets.skip_sync
        self._value = _u64()  # what is read from or written to a register
        self._at_value = ctypes.addressof(self._value)
        self._eip_alone = (ctypes.c_int * 1)(UC_X86_REG_EIP)
        self._values = (_ptr * 1)(self._at_value)
        self._fill_state(at_skip_sync if accounting and memory_hooks else 0, accounting)
        self._hook(UC_HOOK_TLB_FILL, on_fill.address)
        hook = on_block_plain if not accounting else on_block if memory_hooks else on_block_planned
        self._hook(UC_HOOK_BLOCK, hook.address)
        self._hook(_EDGE_GENERATED, on_translate.address)
        if accounting and memory_hooks:
            self._hook(UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE, on_memory.address)
        self._hook(UC_HOOK_INSN, on_rdtsc.address, UC_X86_INS_RDTSC)
        self._hook(UC_HOOK_INSN, on_sysenter.address, UC_X86_INS_SYSENTER)

    def _fill_state(self, at_skip_sync: int, accounting: bool) -> None:
        s, env = self.state, self.registers.address
        s.engine = self._handle
        s.at_registers = env + layout.REGISTERS
        s.at_eip, s.at_eflags, s.at_hflags = env + layout.EIP, env + layout.EFLAGS, env + layout.HFLAGS
        s.at_flags_state = env + layout.FLAGS_STATE
        s.at_segments, s.at_control = env + layout.SEGMENTS, env + layout.CONTROL
        s.at_gdt, s.at_ldt, s.at_tr = env + layout.GDT, env + layout.LDT, env + layout.TR
        s.at_idt, s.at_is_int = env + layout.IDT, env + layout.IS_INT
        s.at_old_exception = env + layout.OLD_EXCEPTION
        s.at_fpus, s.at_mxcsr = env + layout.FPU_STATUS, env + layout.MXCSR
        s.at_fp_flags, s.at_sse_flags = env + layout.FP_FLAGS, env + layout.SSE_FLAGS
        s.fp_flags = -1  # as the engine has them
        s.at_skip_sync = at_skip_sync
        s.stop_function = function_address(_uclib.uc_emu_stop)
        s.control_function = function_address(_uclib.uc_ctl)
        control = UC_CTL_TLB_FLUSH | UC_CTL_IO_WRITE << 30
        s.flush_control = control - (1 << 32) if control >> 31 else control
        s.ram, s.ram_size = self.ram.address, self.ram.size
        s.accounting = int(accounting)

    def retranslate(self, address: int, size: int) -> None:
        """Forget translations of a range of linear addresses, in a hook or between runs."""
        while size > 0:
            address &= 0xFFFFFFFF  # a stack may begin at the top of the address space
            piece = min(size, PAGE - (address & (PAGE - 1)))
            physical = code_address(self.state.array, address)
            if 0 <= physical < self.ram.size:
                with contextlib.suppress(UcError):
                    self.uc.ctl_remove_cache(address, address + piece)
            address, size = address + piece, size - piece
        if self.state.fault:  # a fetch that this ring may not make: the engine will stop because of it
            self.state.fault = 0
            self.state.stop |= STOP_RESUME

    def forget_translations(self) -> None:
        """Forget all translated code, after the host has written to memory that may hold code."""
        self.uc.ctl_flush_tb()

    def jump(self, eip: int) -> None:
        """Continue at `eip` from a code or block hook."""
        self._value.value = eip
        with self.by_api():
            _reg_write(self._handle, UC_X86_REG_EIP, self._at_value)

    def jump_from_interrupt(self, eip: int) -> None:
        """Continue at `eip` from an interrupt hook (a plain register write would leave EIP stale there)."""
        self._value.value = eip
        with self.by_api():
            _reg_write_batch(self._handle, self._eip_alone, self._values, 1)

    def eflags(self) -> int:
        """Architectural EFLAGS, condition codes included."""
        self._value.value = 0
        if self.public is not None:
            self.public.give_back()
        _reg_read(self._handle, UC_X86_REG_EFLAGS, self._at_value)
        return self._value.value

    def load_flags(self, value: int) -> None:
        """Set architectural EFLAGS, condition codes included."""
        with self.by_api():
            self.uc.reg_write(UC_X86_REG_EFLAGS, value)

    def load_msr(self, index: int, value: int) -> None:
        """Set an MSR that native instructions read."""
        with self.by_api():
            self.uc.msr_write(index, value)

    def by_api(self) -> "contextlib.AbstractContextManager[None]":
        """Around what changes registers by the API, not in `registers`."""
        return _NOTHING if self.public is None else self._public_api(self.public)

    @staticmethod
    @contextlib.contextmanager
    def _public_api(public: PublicState) -> Iterator[None]:
        public.give_back()
        yield
        public.refresh()

    def run(self) -> int:
        """Execute from CS:EIP until something stops the engine; Unicorn's status.

        Raises: whatever a Python callback raised.
        """
        self.failure = None
        if self.public is not None:
            self.public.give_back()
        status = _emu_start(self._handle, self.registers.eip, _UNTIL_NEVER, 0, 0)
        if self.public is not None:
            self.public.refresh()
            self.public.forget_probes()
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        return int(status)

    @property
    def fault_address(self) -> int:
        """Linear address of the last failed fill."""
        if self.public is not None:
            return self.public.fault_address
        return self._invalid_address.value & 0xFFFFFFFF
