"""ACPI machine language, as far as the DSDT needs it (ACPI 2.0, 17 "AML specification")."""

from collections.abc import Sequence


def package_length(size: int) -> bytes:
    """PkgLength: `size` bytes follow it; the encoded length counts itself (17.2.4)."""
    if size + 1 < 0x40:
        return bytes((size + 1,))
    for extra in (1, 2, 3):
        total = size + 1 + extra
        if total < 1 << 4 + 8 * extra:
            return bytes((extra << 6 | total & 0xF,)) + (total >> 4).to_bytes(extra, "little")
    raise ValueError(f"an AML package of {size} bytes is too long")


def name_string(path: str) -> bytes:
    r"""NameString: `\` and up to 255 segments of four characters (17.2.2)."""
    root = b"\\" if path.startswith("\\") else b""
    segments = [segment.ljust(4, "_").encode("ascii") for segment in path.lstrip("\\").split(".") if segment]
    if not segments:
        return root + b"\0"
    prefix = (b"", b".")[len(segments) - 1] if len(segments) < 3 else b"/" + bytes((len(segments),))
    return root + prefix + b"".join(segments)


def integer(value: int) -> bytes:
    """The shortest constant (17.2.3)."""
    if value in (0, 1):
        return bytes((value,))
    size, prefix = next((size, p) for size, p in ((1, 0x0A), (2, 0x0B), (4, 0x0C)) if value < 1 << 8 * size)
    return bytes((prefix,)) + value.to_bytes(size, "little")


def eisa_id(text: str) -> bytes:
    """EISAID("PNP0A03"): three letters of five bits and four digits, big-endian, as a DWord constant."""
    letters = [ord(letter) - 0x40 for letter in text[:3]]
    value = letters[0] << 26 | letters[1] << 21 | letters[2] << 16 | int(text[3:], 16)
    return b"\x0c" + value.to_bytes(4, "big")


def name(path: str, value: bytes) -> bytes:
    """Name (path, value)."""
    return b"\x08" + name_string(path) + value


def package(elements: Sequence[bytes]) -> bytes:
    """Package () { elements }."""
    body = bytes((len(elements),)) + b"".join(elements)
    return b"\x12" + package_length(len(body)) + body


def buffer(data: bytes) -> bytes:
    """Buffer () { data }."""
    body = integer(len(data)) + data
    return b"\x11" + package_length(len(body)) + body


def scope(path: str, *terms: bytes) -> bytes:
    """Scope (path) { terms }."""
    body = name_string(path) + b"".join(terms)
    return b"\x10" + package_length(len(body)) + body


def device(path: str, *terms: bytes) -> bytes:
    """Device (path) { terms }."""
    body = name_string(path) + b"".join(terms)
    return b"\x5b\x82" + package_length(len(body)) + body
