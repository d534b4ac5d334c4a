"""PNG files of palette images (PNG specification, second edition), written by hand."""

import zlib
from collections.abc import Iterable
from typing import Final

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
PALETTE_COLOUR: Final = 3


def png(width: int, height: int, palette: bytes, rows: Iterable[bytes]) -> bytes:
    """An image of `height` rows of `width` palette indices; `palette` has three bytes for each colour."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, PALETTE_COLOUR, 0, 0, 0))
    pixels = b"".join(b"\0" + row for row in rows)  # filter 0: none
    return b"".join(
        (
            SIGNATURE,
            _chunk(b"IHDR", header),
            _chunk(b"PLTE", palette),
            _chunk(b"IDAT", zlib.compress(pixels, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
