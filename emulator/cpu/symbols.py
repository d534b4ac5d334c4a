"""Guest symbols as ledger rows: which function does a block belong to?

Processes overlap in linear addresses, so an address alone doesn't tell: the block's bytes must be
those of the file's code at that address. Only the symbols of a kernel, which is mapped everywhere and
patches itself, may be taken by address (`SymbolFile.by_address`).
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from emulator.timing.state import SYMBOLS
from loader.image import SymbolFile

NO_SYMBOL: Final = 0


class SymbolTable:
    """Symbols of all files of an image, numbered as they are met."""

    def __init__(self, files: Sequence[SymbolFile] = ()) -> None:
        self.names: list[str] = ["(no symbol)"]
        self._files = list(files)
        self._values = [[int(s.value) for s in f.symbols] for f in self._files]
        self._numbers: dict[tuple[int, int], int] = {}

    def add(self, files: Sequence[SymbolFile]) -> None:
        """Take in the symbols of an image."""
        self._files += files
        self._values += [[int(s.value) for s in f.symbols] for f in files]

    def find(self, address: int, code: bytes) -> int:
        """Number of the symbol that covers `address`, where the guest has `code`."""
        for number in range(len(self._files)):
            if self._holds(number, address, code):
                return self._number(number, address)
        return NO_SYMBOL

    def _holds(self, number: int, address: int, code: bytes) -> bool:
        file = self._files[number]
        if file.by_address:
            position = bisect_right(self._values[number], address) - 1
            return position >= 0 and address - self._values[number][position] < file.symbols[position].size
        for start, data in file.code:
            offset = address - start
            if 0 <= offset < len(data):
                known = data[offset : offset + len(code)]
                return known == code[: len(known)]
        return False

    def _number(self, file: int, address: int) -> int:
        position = bisect_right(self._values[file], address) - 1
        if position < 0:
            return NO_SYMBOL
        key = (file, position)
        number = self._numbers.get(key)
        if number is None:
            if len(self.names) >= SYMBOLS:
                return NO_SYMBOL
            number = self._numbers[key] = len(self.names)
            self.names.append(f"{self._files[file].name}:{self._files[file].symbols[position].name}")
        return number

    def describe(self, address: int, code: bytes = b"") -> str:
        """`file:symbol+offset` of an address, or an empty string."""
        for number, file in enumerate(self._files):
            if self._holds(number, address, code):
                position = bisect_right(self._values[number], address) - 1
                if position >= 0:
                    symbol = file.symbols[position]
                    return f"{file.name}:{symbol.name}+{address - symbol.value:#x}"
        return ""
