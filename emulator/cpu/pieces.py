"""Long blocks in pieces: where a piece ends, and the address hooks there (see `timing.long_blocks`)."""

from typing import TYPE_CHECKING, Any, Final

from emulator.cpu.decode import DecodedBlock, piece_of
from emulator.cpu.registers import HF_CS32
from emulator.timing.hooks import LONGEST, NOWHERE
from emulator.timing.long_blocks import on_piece
from emulator.timing.modes import NEEDS_SLOW
from emulator.timing.system_access import code_address

if TYPE_CHECKING:
    from emulator.cpu.blocks import BlockStore

MOST_BYTES: Final = 15 * LONGEST
FIRST, INNER, LAST = 1, 2, 3  # kinds of pieces; 0 is a whole block


class Pieces:
    """The long blocks of one machine."""

    def __init__(self, store: "BlockStore") -> None:
        self.store = store
        self._hooked: set[int] = set()
        self._ends: dict[tuple[bytes, int, int], tuple[int, bool]] = {}
        self._ready: set[tuple[int, int, bytes]] = set()
        s = store.engine.state
        s.piece_next = s.piece_edge = -1
        s.piece_function = store.engine.callback(self._continue)

    @property
    def _bits(self) -> int:
        return 32 if self.store.engine.registers.hflags & HF_CS32 else 16

    def begin(self, address: int, physical: int, code: bytes, block: DecodedBlock) -> int:
        """The record of the first piece of a translation; -1 to enter it again, with hooks in it."""
        end = (address + len(code)) & 0xFFFFFFFF
        if self._prepare(address, block.starts[LONGEST::LONGEST], end):
            self._again(address, len(code))
            return -1
        bits = self._bits
        piece = code[: block.starts[LONGEST]]
        index = self.store.record_of(address, physical, piece, bits, FIRST, code)
        record = self.store.record(index)
        record["size"], record["piece"], record["more"] = len(code), len(piece), 1
        record["needs"] |= block.needs
        record["needs"] |= NEEDS_SLOW
        return index

    def decode(self, address: int, physical: int) -> int:
        """The record of a later piece."""
        return self._piece(address, physical, self.store.engine.state.piece_edge)

    def _piece(self, address: int, physical: int, edge: int) -> int:
        bits = self._bits
        code = self.store.code(address, physical, MOST_BYTES)
        within = (edge - address) & 0xFFFFFFFF
        key = code, bits, min(within, MOST_BYTES)
        found = self._ends.get(key)
        if found is None:
            found = self._ends[key] = piece_of(code, bits, self.store.costs, LONGEST, within)
        length, more = found
        kind = INNER if more else LAST
        index = self.store.record_of(address, physical, code[:length], bits, kind)
        record = self.store.record(index)
        record["size"], record["piece"], record["more"] = -1, length, int(more)
        return index

    def _prepare(self, address: int, offsets: tuple[int, ...], edge: int) -> bool:
        """Put a hook at each of these places of a translation. True if one is new."""
        new = False
        engine = self.store.engine
        for offset in offsets:
            at = (address + offset) & 0xFFFFFFFF
            if at not in self._hooked:
                self._hooked.add(at)
                engine.on_compiled_code(at, on_piece.address)
                new = True
            physical = int(code_address(engine.state.array, at))
            if not 0 <= physical < engine.ram.size:
                continue
            index = self._piece(at, physical, edge)
            record: Any = self.store.record(index)
            if record["sections"] > 1 and record["hooked"] != at:
                record["hooked"] = at
                if self.store.install(index, at):
                    new = True
                    engine.retranslate(at, int(record["piece"]))
        return new

    def _again(self, address: int, size: int) -> None:
        engine = self.store.engine
        engine.retranslate(address, size)
        engine.jump((address - engine.registers.base(1)) & 0xFFFFFFFF)

    def _continue(self, address: int, size: int, following: int) -> int:
        """A translation begins inside a piece; `following` is where the next begins. 1: enter it again."""
        engine = self.store.engine
        physical = int(code_address(engine.state.array, address))
        if not 0 <= physical < engine.ram.size:
            return 0
        code = self.store.code(address, physical, size)
        key = address, following, code
        if key in self._ready:
            return 0
        block = self.store.decode_code(code, self._bits)
        new = bool(block.intercepts) and self.store.prepare(address, block)
        offset = (following - address) & 0xFFFFFFFF
        if following != NOWHERE and offset in block.starts:
            offsets = block.starts[block.starts.index(offset) :: LONGEST]
            new |= self._prepare(address, offsets, (address + size) & 0xFFFFFFFF)
        if new:
            self._again(address, size)
            return 1
        self._ready.add(key)
        return 0
