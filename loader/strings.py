"""Text for a guest: the strings that it is given end in NUL."""

from loader.image import ImageError, Rule


def encode(file: str, what: str, text: str) -> bytes:
    """The bytes of a C string, undoing what Python does to arguments that are not UTF-8."""
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ImageError(file, Rule.STRING, f"{what} cannot be encoded: {error.reason}") from error
    if 0 in data:
        raise ImageError(file, Rule.STRING, f"{what} holds a NUL at byte {data.index(0)}")
    return data + b"\0"
