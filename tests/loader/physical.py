"""Physical memory as a kernel would read it after loading."""

import struct

from loader import Image


class Memory:
    """The segments of an image, by address."""

    def __init__(self, image: Image) -> None:
        self.image = image

    def read(self, address: int, size: int) -> bytes:
        for segment in self.image.segments:
            if segment.address <= address and address + size <= segment.end:
                start = address - segment.address
                return segment.data.ljust(segment.memory_size, b"\0")[start : start + size]
        raise AssertionError(f"nothing at {address:#x}")

    def string(self, address: int) -> str:
        text = b""
        while (byte := self.read(address + len(text), 1)) != b"\0":
            text += byte
        return text.decode("utf-8", "surrogateescape")

    def words(self, address: int, format: str) -> tuple[int, ...]:
        return struct.unpack(format, self.read(address, struct.calcsize(format)))

    def word(self, address: int, format: str = "<I") -> int:
        (value,) = self.words(address, format)
        return value
