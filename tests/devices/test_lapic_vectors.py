import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive_vectors import NaiveVectors

from emulator.devices.lapic_vectors import Vectors

operations = st.lists(
    st.tuples(st.sampled_from(["edge", "edge", "level", "take", "finish", "tpr"]), st.integers(16, 255)),
    max_size=60,
)


def do(vectors: Vectors | NaiveVectors, name: str, value: int) -> object:
    if name in ("edge", "level"):
        return vectors.accept(value, name == "level")
    if name == "tpr":
        vectors.tpr = value - 16
        return None
    return vectors.take() if name == "take" else vectors.finish()


@given(operations)
def test_agrees_with_lists_of_vectors(steps: list[tuple[str, int]]) -> None:
    vectors, naive = Vectors(), NaiveVectors()
    for name, value in steps:
        assert do(vectors, name, value) == do(naive, name, value)
        assert vectors.ppr() >> 4 == naive.processor_class()
        assert vectors.irr == sum(1 << vector for vector in naive.waiting)
        assert vectors.isr == sum(1 << vector for vector in naive.serving)


@given(operations, operations)
def test_restored_vectors_continue_identically(before: list, after: list) -> None:
    vectors, twin = Vectors(), Vectors()
    for name, value in before:
        do(vectors, name, value)
    twin.restore(vectors.state())
    for name, value in after:
        assert do(vectors, name, value) == do(twin, name, value)


@pytest.mark.parametrize(
    ("tpr", "serving", "ppr"), [(0x25, 0, 0x25), (0x25, 0x31, 0x30), (0x35, 0x31, 0x35), (0x41, 0x3F, 0x41)]
)
def test_ppr_has_the_subclass_of_tpr_only_when_tpr_rules(tpr: int, serving: int, ppr: int) -> None:
    vectors = Vectors()
    vectors.isr = 1 << serving if serving else 0
    vectors.tpr = tpr
    assert vectors.ppr() == ppr


@pytest.mark.parametrize(
    ("tpr", "serving", "waiting", "apr"),
    [(0x45, 0, 0x31, 0x45), (0x45, 0x52, 0x31, 0x40), (0x20, 0x52, 0x61, 0x60), (0, 0, 0, 0)],
)
def test_apr_follows_the_manuals_formula(tpr: int, serving: int, waiting: int, apr: int) -> None:
    vectors = Vectors()
    vectors.isr = 1 << serving if serving else 0
    vectors.irr = 1 << waiting if waiting else 0
    vectors.tpr = tpr
    assert vectors.apr() == apr
