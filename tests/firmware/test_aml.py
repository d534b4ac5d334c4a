import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.firmware import aml


def decode_length(data: bytes) -> tuple[int, int]:
    """PkgLength as an interpreter reads it: (length from its own first byte, its size)."""
    extra = data[0] >> 6
    if not extra:
        return data[0] & 0x3F, 1
    return (data[0] & 0xF) + sum(data[1 + i] << 4 + 8 * i for i in range(extra)), 1 + extra


@given(st.integers(0, (1 << 28) - 5))
def test_a_package_length_counts_itself_and_what_follows(size: int) -> None:
    encoded = aml.package_length(size)
    assert decode_length(encoded) == (size + len(encoded), len(encoded))


def test_a_package_has_its_limits() -> None:
    with pytest.raises(ValueError, match="too long"):
        aml.package_length(1 << 28)


@pytest.mark.parametrize(
    ("path", "encoded"),
    [("\\", b"\\\0"), ("_S5", b"_S5_"), ("\\_SB.PCI0", b"\\._SB_PCI0"), ("A.B.C", b"/\x03A___B___C___")],
)
def test_names_are_padded_segments(path: str, encoded: bytes) -> None:
    assert aml.name_string(path) == encoded


@pytest.mark.parametrize(
    ("value", "encoded"),
    [(0, "00"), (1, "01"), (2, "0a02"), (0x1234, "0b3412"), (0x12345678, "0c78563412")],
)
def test_integers_take_the_shortest_form(value: int, encoded: str) -> None:
    assert aml.integer(value).hex() == encoded


def test_an_eisa_id_is_compressed() -> None:
    assert aml.eisa_id("PNP0A03") == bytes.fromhex("0c41d00a03")
