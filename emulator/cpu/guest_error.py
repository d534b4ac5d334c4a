"""How a guest can end a run by itself, and what we say then."""

from typing import TYPE_CHECKING

from emulator.cpu.exceptions import NAMES, PF, FaultRecord
from emulator.cpu.registers import CS
from emulator.timing.fill import FAULT_UNMAPPED_FETCH

if TYPE_CHECKING:
    from emulator.cpu.processor import Processor


class GuestError(Exception):
    """The guest did what no machine survives; the message says what, where and which rule."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def shutdown_message(history: list[FaultRecord], processor: "Processor") -> str:
    """Every fault on the way to a triple fault."""
    lines = ["triple fault: the processor shut down while delivering a double fault (SDM vol. 3A 5.15)"]
    for record in history:
        name = NAMES.get(record.vector, "interrupt")
        error = "" if record.error is None else f" error code {record.error:#x}"
        cr2 = f" CR2 {record.cr2:08x}" if record.vector == PF else ""
        same = record.cs == processor.registers.selector(CS)
        where = processor.location(record.eip) if same else ""
        lines.append(f"  {record.vector} {name}{error} at {record.cs:04x}:{record.eip:08x}{where}{cr2}")
    return "\n".join(lines)


def engine_error(status: int, processor: "Processor") -> GuestError:
    """The engine stopped for a reason of its own."""
    engine, where = processor.engine, processor.where()
    if processor.state.fault == FAULT_UNMAPPED_FETCH:
        return GuestError(
            "unmapped execution",
            f"execution of unmapped memory at {where}: no RAM at the physical address "
            f"behind linear {engine.fault_address:08x} (RAM ends at {engine.ram.size:#x})",
        )
    return GuestError("engine", f"the engine stopped with status {status} at {where}")


def no_pae(processor: "Processor") -> GuestError:
    """CR4.PAE has been set."""
    return GuestError(
        "unsupported",
        f"CR4.PAE was set at {processor.where()}: this machine has no PAE paging, and its CPUID doesn't "
        "claim it; boot a kernel built without PAE (and not a 64-bit one)",
    )


def no_long_mode(processor: "Processor") -> GuestError:
    """EFER.LME is being set."""
    return GuestError(
        "unsupported",
        f"64-bit mode was asked for (EFER.LME) at {processor.where()}: {processor.profile.name} is a 32-bit "
        "processor; boot a 32-bit kernel",
    )
