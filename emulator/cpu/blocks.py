"""Decoded basic blocks: decoding a block the first time it runs, and taking back what a fault cut off.

block_table[physical address] -> record index -> alternative -> …   (compiled look-up, hooks.py)
                                      ^
decode(linear, physical, size) -------+   here, in Python, once per distinct block
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from emulator.cpu.decode import DecodedBlock, decode_block
from emulator.cpu.engine import Engine
from emulator.cpu.pieces import Pieces
from emulator.cpu.registers import HF_CS32
from emulator.cpu.symbols import SymbolTable
from emulator.timing.costs import Costs
from emulator.timing.hooks import LONGEST
from emulator.timing.long_blocks import PIECE
from emulator.timing.modes import NEEDS_SLOW
from emulator.timing.state import BLOCK, EXTRA, STAMP
from emulator.timing.system_access import charge_cause, charge_cost256, code_address

MAX_BLOCKS: Final = 1 << 20
RDTSC: Final = b"\x0f\x31"
PAGE: Final = 4096
HOST_LINE: Final = 64
LONG: Final = 64  # instructions

Cut = tuple[int, int, int, tuple[tuple[int, int], ...]]
"""Cost before the cut and of the whole block in 1/256 cycles, instructions and extras behind it."""


def _aligned(count: int) -> Any:
    """Zeroed block records, each on two lines of the host's cache."""
    room = np.zeros(count * BLOCK.itemsize + HOST_LINE, dtype=np.uint8)
    start = -int(room.ctypes.data) % HOST_LINE
    return room[start : start + count * BLOCK.itemsize].view(BLOCK)


class BlockStore:
    """All blocks of one machine."""

    def __init__(self, engine: Engine, costs: Costs, symbols: SymbolTable) -> None:
        self.engine, self.costs, self.symbols = engine, costs, symbols
        self.prepare: Callable[[int, DecodedBlock], bool] = lambda _address, _block: False
        self.plan: Callable[[Any, bytes, int], None] = lambda _record, _code, _bits: None
        self.known: Callable[[bytes, int], Any] = lambda _code, _bits: None
        self._records = _aligned(MAX_BLOCKS)
        self.install: Callable[[int, int], bool] = lambda _index, _address: False
        self._extras = np.zeros(MAX_BLOCKS, dtype=EXTRA)
        self._table = np.zeros(engine.ram.size, dtype=np.uint32)
        self._decoded: list[DecodedBlock | None] = [None]  # index 0 means "none"; those from a cache aren't
        self._by_code: dict[tuple[bytes, int], DecodedBlock] = {}
        self._index: dict[tuple[int, bytes, int, int, int], int] = {}
        self._stamps = np.zeros(MAX_BLOCKS, dtype=STAMP)
        self._code: list[tuple[bytes, int]] = [(b"\x90", 32)]
        self._extra_count = 0
        self._stamp_count = 0
        self._cuts: dict[tuple[int, int], Cut] = {}
        s = engine.state
        s.block_records = int(self._records.ctypes.data)
        s.block_extras = int(self._extras.ctypes.data)
        s.block_stamps = int(self._stamps.ctypes.data)
        s.block_table = int(self._table.ctypes.data)
        s.decode_function = engine.callback(self._decode)
        self.pieces = Pieces(self)
        s.unretire_function = engine.callback(lambda linear, _b, _c: self._unretire(linear))

    def code(self, address: int, physical: int, size: int) -> bytes:
        """The bytes of a block, which may cross into another page."""
        ram = self.engine.ram
        room = PAGE - (physical & (PAGE - 1))
        if size <= room:
            return ram.read(physical, size)
        second = code_address(self.engine.state.array, (address + room) & 0xFFFFFFFF)
        return ram.read(physical, room) + (ram.read(second, size - room) if second >= 0 else b"")

    def decode_code(self, code: bytes, bits: int) -> DecodedBlock:
        """Decode, or find what was decoded before for the same bytes."""
        key = (code, bits)
        block = self._by_code.get(key)
        if block is None:
            block = self._by_code[key] = decode_block(code, bits, self.costs)
        return block

    def _decode(self, address: int, physical: int, size: int) -> int:
        """Called by the block hook for an unknown block: its index, or -1 to enter the block again."""
        if size == PIECE:
            return self.pieces.decode(address, physical)
        bits = 32 if self.engine.registers.hflags & HF_CS32 else 16
        code = self.code(address, physical, size)
        row = self.known(code, bits)
        block = self.decode_code(code, bits) if row is None else None
        if block is not None and block.intercepts and self.prepare(address, block):
            self.engine.retranslate(address, size)
            self.engine.jump((address - self.engine.registers.base(1)) & 0xFFFFFFFF)
            return -1
        if block is not None and len(block.starts) > LONGEST and self.engine.state.accounting:
            return self.pieces.begin(address, physical, code, block)
        return self.record_of(address, physical, code, bits, row=row)

    def record_of(
        self,
        address: int,
        physical: int,
        code: bytes,
        bits: int,
        kind: int = 0,
        known_by: bytes = b"",
        row: Any = None,
    ) -> int:
        """The record of a block or of a piece of a long one (`kind`), which may be `known_by` other bytes.

        `row`: such a record of an earlier run.
        """
        symbol = self.symbols.find(address, code)
        self.engine.state.symbols = len(self.symbols.names)
        key = (physical, known_by or code, bits, symbol, kind)
        index = self._index.get(key)
        if index is None:
            index = self._index[key] = self._new(code, bits)
            record = self._records[index]
            if row is None:
                self._fill(index, self.decode_code(code, bits), code, bits, symbol)
            else:
                self._records[index] = row
                record["symbol"] = symbol
            record["physical"] = physical
            if (physical & (PAGE - 1)) + len(code) > PAGE:
                record["needs"] |= NEEDS_SLOW
        self._records[index]["alternative"] = 0
        return index

    def _new(self, code: bytes, bits: int) -> int:
        """The index of a block that isn't there yet."""
        index = len(self._decoded)
        if index >= MAX_BLOCKS:
            raise MemoryError(f"more than {MAX_BLOCKS} distinct code blocks")
        self._decoded.append(None)
        self._code.append((code, bits))
        return index

    def _fill(self, index: int, block: DecodedBlock, code: bytes, bits: int, symbol: int) -> None:
        """Fill in a new record."""
        if self._extra_count + len(block.extras) >= MAX_BLOCKS:
            raise MemoryError(f"more than {MAX_BLOCKS} extra costs of code blocks")
        self._decoded[index] = block
        record = self._records[index]
        record["size"], record["count"], record["cost256"] = len(code), len(block.starts), sum(block.base256)
        record["extra"], record["extras"] = self._extra_count, len(block.extras)
        for _, cause, cycles in block.extras:
            self._extras[self._extra_count] = (cause, cycles)
            self._extra_count += 1
        self._add_stamps(record, block, code)
        record["branch"], record["after"] = block.branch, block.after
        record["symbol"], record["sync"] = symbol, block.sync
        record["counter"] = 1  # weakly not taken
        record["rep_offset"], record["rep_next256"] = block.rep_offset, block.rep_next256
        base, scaled, scale, displacement, segment = block.operand
        record["base"], record["index"], record["scale"] = base, scaled, scale
        record["displacement"], record["segment"] = displacement, segment
        record["needs"], record["plan"], record["far_selector"] = block.needs, -1, block.far_selector
        if block.extras or block.after or block.rep_offset >= 0:
            record["needs"] |= NEEDS_SLOW
        self.plan(record, code, bits)

    def _add_stamps(self, record: Any, block: DecodedBlock, code: bytes) -> None:
        """Note the RDTSCs of a block, and what comes behind each of them."""
        record["stamp"] = self._stamp_count
        if RDTSC not in code:
            return
        for position, offset in enumerate(block.starts):
            if code[offset : offset + 2] != RDTSC or self._stamp_count == MAX_BLOCKS:
                continue
            rest = sum(index > position for index, _, _ in block.extras)
            self._stamps[self._stamp_count] = (
                offset,
                len(block.starts) - position - 1,
                sum(block.base256[position + 1 :]),
                record["extra"] + record["extras"] - rest,
                rest,
            )
            self._stamp_count += 1
        record["stamps"] = self._stamp_count - record["stamp"]

    def code_of(self, index: int) -> tuple[bytes, int]:
        """Bytes and code width of a block."""
        return self._code[index]

    def is_special(self, code: bytes, bits: int) -> bool:
        """Does more belong to a block than its record?"""
        block = self.decode_code(code, bits)
        return bool(block.extras or block.intercepts) or RDTSC in code or len(block.starts) > LONG

    def record(self, index: int) -> Any:
        """A block's record, to read and write."""
        return self._records[index]

    def decoded(self, index: int) -> DecodedBlock:
        """What decoding said of a block."""
        block = self._decoded[index]
        if block is None:
            block = self._decoded[index] = self.decode_code(*self._code[index])
        return block

    def set_plan(self, index: int, first: int, count: int) -> None:
        """Give a block its plan for checked execution."""
        record = self._records[index]
        record["plan"], record["plans"] = first, count

    def instruction_before(self, linear: int) -> int:
        """Linear address of the instruction of the running block that ends at `linear`."""
        s = self.engine.state
        starts = self.decoded(s.last_block).starts
        offset = (linear - s.last_address) & 0xFFFFFFFF
        position = starts.index(offset) if offset in starts else len(starts)
        return (s.last_address + starts[position - 1]) & 0xFFFFFFFF

    def unretire(self, linear_eip: int) -> None:
        """A block is charged whole at entry; take back the instructions from `linear_eip` on."""
        s = self.engine.state
        s.after = 0
        s.last_branch = 0
        repeats = s.last_rep
        s.last_rep = s.section_next = 0
        s.resume = s.piece_next = -1
        if s.masking == linear_eip:
            s.masking = -1  # a FNSTENV that doesn't retire
        if s.entering == linear_eip:
            s.entering = -1
        offset = (linear_eip - s.last_address) & 0xFFFFFFFF
        cut = self._cuts.get((s.last_block, offset))
        if cut is None:
            cut = self._cuts[s.last_block, offset] = self._cut(self.decoded(s.last_block), offset)
        kept256, whole256, count, extras = cut
        if not count:
            return  # outside the block: it retired whole
        if not s.accounting:
            s.cycles -= count
            s.instructions -= count
            return
        charged = s.last_cost256 if repeats else whole256
        charge_cost256(s.array, kept256 - charged)
        if charged != whole256:
            return  # a REP iteration: only its element was charged
        for cause, cycles in extras:
            charge_cause(s.array, cause, -cycles)
        s.instructions -= count

    def _unretire(self, linear_eip: int) -> int:
        self.unretire(linear_eip)
        return 0

    @staticmethod
    def _cut(block: DecodedBlock, offset: int) -> Cut:
        """What lies before and behind the instruction at `offset` of a block."""
        if offset not in block.starts:
            return 0, 0, 0, ()
        first = block.starts.index(offset)
        extras = tuple((cause, cycles) for index, cause, cycles in block.extras if index >= first)
        return sum(block.base256[:first]), sum(block.base256), len(block.starts) - first, extras
