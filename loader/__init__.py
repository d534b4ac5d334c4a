"""Image formats, each turned into a plain `Image`; knows nothing of the emulator."""

from loader.describe import Table, describe
from loader.image import (
    EntryState,
    Format,
    Image,
    ImageError,
    Initrd,
    LinearAddress,
    Module,
    PhysicalAddress,
    Rule,
    Segment,
    Symbol,
    SymbolFile,
)
from loader.load import load_image, load_module, read_file
from loader.symbol_map import load_symbols

__all__ = [
    "EntryState",
    "Format",
    "Image",
    "ImageError",
    "Initrd",
    "LinearAddress",
    "Module",
    "PhysicalAddress",
    "Rule",
    "Segment",
    "Symbol",
    "SymbolFile",
    "Table",
    "describe",
    "load_image",
    "load_module",
    "load_symbols",
    "read_file",
]
