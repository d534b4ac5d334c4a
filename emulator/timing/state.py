"""The state record: one structured array that every compiled callback shares.

    +--------------------------------------------------------------------+
    | scalars (int64)   time, stop flags, addresses, geometry, filters   |
    +--------------------------------------------------------------------+
    | tlb_*    4 arrays of 128: data 4K | data 4M | code 4K | code 4M    |
    | l1d_*, l1i_*, l2_*  line numbers, set by set, in order of use      |
    | why_*    per page: its TLB entry, or the reason why it has none    |
    +--------------------------------------------------------------------+

Pointers to what depends on the size of RAM (memory itself, block table, reverse map, page-table
frame marks) are addresses in the scalars. The first scalars are cheap to reach from Python
through a structure (`StateView`). All integers are signed 64-bit.
"""

import ctypes
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from emulator.jit import from_dtype, types
from emulator.mmu.tlb import ARRAY_SIZE, TAGS
from emulator.timing.causes import COUNT

# fmt: off
SCALARS: Final = (
    # time
    "cycles", "deadline", "fraction256", "instructions", "blocks", "reads", "writes", "tick",
    # the ledger: `row` is the index of (symbol, ring, cause 0)
    "row", "ledger", "symbols", "pending",
    # the engine: addresses of its register file, functions and private flags
    "engine", "at_registers", "at_eip", "at_eflags", "at_hflags", "at_segments", "at_control", "at_gdt",
    "at_fpus", "at_fp_flags", "at_sse_flags", "at_mxcsr",
    "at_ldt", "at_tr", "at_idt", "at_old_exception", "at_is_int", "at_skip_sync", "stop_function",
    "control_function", "flush_control", "at_flags_state",
    # Python callbacks for rare events
    "decode_function", "unretire_function", "implicit_function",
    "verify_function", "verify_every", "verify_left",
    # requests between callbacks and the run loop
    "stop", "interrupt_pending", "after", "accounting", "fills_left", "growth",
    "fault", "fault_error", "fault_kind",
    # memory
    "ram", "ram_size", "reverse_map", "table_frames", "code_frames", "write_epochs", "epoch",
    "table_written", "code_written", "rewritten", "saved_reads", "saved_writes",
    # the block that runs
    "block_table", "block_records", "block_extras", "block_stamps", "special_frames", "l1d_stride",
    "last_block", "last_address", "last_branch", "last_rep", "last_cost256",
    # the instruction whose address hook ran last, and when
    "hooked_at", "hooked_block",
    # filters: the youngest page and line need no look-up
    "last_code_page", "last_code_frame", "last_data_page", "last_data_frame",
    "last_data_line", "last_data_writable", "last_data_loaded", "store_line",
    # control registers as the model last saw them
    "cr0", "cr3", "cr4", "cr4_reserved",
    # tagged TLB: the slot of the loaded page directory, 0 if the TLB isn't tagged
    "slot",
    # SYSENTER MSRs
    "sysenter_cs", "sysenter_esp", "sysenter_eip",
    # checked execution (checks.py)
    "checks", "watch", "hook_bounds", "plans", "accesses", "plan_next", "plan_function", "check_function",
    "task_function", "taken_function", "debug_hits", "debug_shadow", "debug_addresses", "dr7",
    # x87 and SSE exceptions (fpu.py)
    "fp_flags", "masking", "ignne", "ferr_function",
    # ENTER (enter.py)
    "entering", "entered",
    # access plans (plan.py)
    "planned", "entries", "sections", "section_next", "split_wanted", "split_function", "section_function",
    "steps_function", "resume", "planned_ring", "planned_at", "marked",
    # long blocks (long_blocks.py)
    "piece_next", "piece_edge", "piece_count", "piece_function",
    # a page of device registers (register_page.py)
    "register_page", "register_volatile", "register_refresh",
    # compiled functions that aren't merged into their callers (plan.py, planned.py)
    "access_function", "line_function", "section_entry", "fetch_function", "block_function",
    "system_function",
    # the page that was used last, if an access to it needs nothing but the cache (plan.py)
    "quick_page", "quick_base", "quick_write", "quick_generation",
    # the mode in which the usual blocks run, and the code page that was used last (planned.py)
    "usual_hflags", "ring_row", "user", "code_table",
    # where this record and its arrays are in memory: set by `StateView`
    "self",
    "quick_at", "temporaries_at", "why_4k_at", "why_4m_at", "tlb_age_at", "l1d_at", "l1i_at", "l2_at",
    # geometry and costs, from the profile
    "dtlb_walk_cost", "itlb_walk_cost", "walk_l1_miss", "memory_penalty",
    "l1d_sets", "l1d_ways", "l1d_shift", "l1d_penalty", "l1d_write_allocate", "store_exposed",
    "l1i_sets", "l1i_ways", "l1i_shift", "l1i_penalty", "l1i_version",
    "l2_sets", "l2_ways", "l2_shift",
    "uncached_cost", "mispredict_cost", "taken_cost", "return_depth", "return_top",
    # statistics
    "dtlb_misses_4k", "dtlb_misses_4m", "itlb_misses_4k", "itlb_misses_4m",
    "l1d_misses", "l1i_misses", "l2_data_misses", "l2_fetch_misses", "branches", "mispredictions",
    "cr3_writes", "invlpg_count", "flushes_all", "accessed_set", "dirty_set", "sysenters",
    # the host side: not guest statistics (see unicorn facts: soft TLB size depends on host time)
    "fills", "growth_flushes", "alias_flushes", "write_execute_flushes", "table_flushes", "evict_flushes",
    "unmapped_model", "outside_ram", "opaque_accesses", "unplanned", "section_splits",
    # RDTSC log
    "tsc_offset", "tsc_log", "tsc_count", "tsc_capacity",
)
# fmt: on

TLB_ARRAY: Final = ARRAY_SIZE
RETURN_STACK: Final = 32
QUICK_PAGES: Final = 16  # of planned mode: key, frame << 12, may be written, entry to touch or -1
L1_LINES: Final = 4096
L2_LINES: Final = 32768

STATE: Final = np.dtype(
    [(name, "i8") for name in SCALARS]
    + [
        ("tlb_base", "i8", (4,)), ("tlb_sets", "i8", (4,)), ("tlb_ways", "i8", (4,)),
        ("tlb_fifo", "i8", (4,)),
        ("tlb_tag", "i8", (4 * TLB_ARRAY,)), ("tlb_age", "i8", (4 * TLB_ARRAY,)),
        ("tlb_frame", "i8", (4 * TLB_ARRAY,)), ("tlb_rights", "i8", (4 * TLB_ARRAY,)),
        ("tlb_misses", "i8", (2, 5)),  # by side and reason
        ("why_4k", "u1", (TAGS + 1, 2, 1 << 20)), ("why_4m", "u1", (TAGS + 1, 2, 1 << 10)),
        ("quick_pages", "i8", (QUICK_PAGES, 4)),
        ("slot_directory", "i8", (TAGS + 1,)), ("slot_age", "i8", (TAGS + 1,)),
        ("l1d_lines", "u4", (L1_LINES,)), ("l1i_lines", "u4", (L1_LINES,)), ("l2_lines", "u4", (L2_LINES,)),
        ("return_stack", "i8", (RETURN_STACK,)),
        ("temporaries", "i8", (128,)), ("store_at", "i8", (64,)), ("store_size", "i8", (64,)),
    ]
)  # fmt: skip

# One decoded basic block, found by physical address through `block_table`; `alternative` chains
# blocks that start at the same byte with another size (page crossings, interrupt shadows).
BLOCK: Final = np.dtype(
    [("fetched", "i8")] + [(name, "i4") for name in (
        # what planned.py looks at is one host cache line
        "size", "needs", "count", "cost256", "symbol", "entry", "entries", "section", "sections",
    )] + [(name, "i1") for name in (
        "branch", "counter", "after", "sync", "base", "index", "scale", "segment",
    )] + [("target", "i8"), ("hooked", "i8"), ("physical", "u4")] + [(name, "i4") for name in (
        "alternative", "extra", "extras", "rep_offset", "rep_next256", "displacement",
        "stamp", "stamps", "plan", "plans", "far_selector", "steps", "piece", "more",
    )]
)  # fmt: skip
assert BLOCK.itemsize == 128
# An RDTSC in a block: where it is, and what the block charges for the instructions behind it.
STAMP: Final = np.dtype([(name, "i4") for name in ("offset", "count", "cost256", "extra", "extras")])
EXTRA: Final = np.dtype([("cause", "i4"), ("cycles", "i4")])
# What an instruction accesses, for checked execution: see `cpu.operand_plan`.
PLAN: Final = np.dtype([(name, "i4") for name in ("offset", "length", "flags", "first", "count")])
ACCESS: Final = np.dtype(
    [(name, "i4") for name in ("segment", "base", "index", "scale", "displacement", "size", "alignment")]
    + [("mask", "i8"), ("flags", "i8")]
)
# What a block accesses, for planned mode: see `timing.plan`.
ENTRY: Final = np.dtype(
    [(name, "u1") for name in ("kind", "first", "second")]
    + [(name, "i1") for name in ("factor1", "factor2")]
    + [(name, "u1") for name in ("size", "flags", "segment")]
    + [("displacement", "i4"), ("result", "u1"), ("stores", "u1"), ("index", "u2")]
)
SECTION: Final = np.dtype([(name, "i4") for name in ("offset", "first", "count", "sliced")])
TSC: Final = np.dtype([("tsc", "i8"), ("causes", "i8", (COUNT,))])

STATE_POINTER: Final = types.CPointer(from_dtype(STATE))
BLOCK_TYPE: Final = from_dtype(BLOCK)
EXTRA_TYPE: Final = from_dtype(EXTRA)

# why the run loop was asked to stop
STOP_DEADLINE: Final = 1
STOP_INTERRUPT: Final = 2
STOP_ERROR: Final = 4
STOP_MODE: Final = 8  # checked execution begins or ends
STOP_PAE: Final = 16
STOP_RESUME: Final = 32  # only to begin anew at the same place

# access kinds, as Unicorn numbers them (UC_MEM_*)
READ: Final = 16
WRITE: Final = 17
FETCH: Final = 18

SYMBOLS: Final = 1 << 14  # rows of the ledger; symbol 0 is "(no symbol)"


class Record(np.ndarray[Any, Any]):
    """The array of one state record, which knows where it is."""

    address: int


_PLACES: Final = (
    ("quick_at", "quick_pages"), ("temporaries_at", "temporaries"), ("why_4k_at", "why_4k"),
    ("why_4m_at", "why_4m"), ("tlb_age_at", "tlb_age"),
    ("l1d_at", "l1d_lines"), ("l1i_at", "l1i_lines"), ("l2_at", "l2_lines"),
)  # fmt: skip
"""Scalars that hold the addresses of arrays: compiled code indexes those unchecked."""


class StateView(ctypes.Structure):
    """Cheap access from Python to the scalars of a state record, by name.

    Fields of a structure cost half of what properties would; every event in the run loop looks at dozens.
    """

    __slots__ = ("array",)
    _fields_ = [(name, ctypes.c_int64) for name in SCALARS]
    array: NDArray[Any]

    def __new__(cls) -> "StateView":
        """Allocate a zeroed record."""
        array: Any = np.zeros(1, dtype=STATE).view(Record)
        array.address = int(array.ctypes.data)
        view = cls.from_buffer(array.view(np.ndarray).view(np.uint8)[: 8 * len(SCALARS)])
        view.array = array
        view.self = array.address
        for name, field in _PLACES:
            setattr(view, name, array.address + int(STATE.fields[field][1]))  # type: ignore[index]
        return view

    if TYPE_CHECKING:  # the fields

        def __getattr__(self, name: str) -> int: ...

        def __setattr__(self, name: str, value: int) -> None: ...

    @property
    def address(self) -> int:
        """Host address of the record."""
        return int(self.array.ctypes.data)

    def field(self, name: str) -> NDArray[Any]:
        """An array field of the record."""
        return self.array[name][0]  # type: ignore[no-any-return]
