"""The interrupt controllers, against a naive priority resolver and line by line of the data sheet."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_pic import NaivePic

from emulator.devices.pic8259 import Pic8259
from emulator.devices.pic_pair import PicPair


def chip(icw1: int = 0x13, icw4: int = 0x01) -> Pic8259:
    pic = Pic8259(lambda level: None, elcr_mask=0xFF)
    pic.write(0, icw1)
    for value in (0x20, icw4):
        pic.write(1, value)
    return pic


def pair(master_icw4: int = 0x01, slave_icw4: int = 0x01) -> PicPair:
    pics = PicPair()
    for port, base, icw3, icw4 in ((0x20, 0x20, 0x04, master_icw4), (0xA0, 0x28, 0x02, slave_icw4)):
        pics.write(port, 0x11, 1)
        for value in (base, icw3, icw4):
            pics.write(port + 1, value, 1)
    return pics


def pulse(pic: Pic8259, line: int) -> None:
    pic.set_line(line, False)
    pic.set_line(line, True)


COMMANDS = {
    "eoi": 0x20,
    "rotate eoi": 0xA0,
    "specific eoi": 0x60,
    "rotate specific eoi": 0xE0,
    "priority": 0xC0,
}
operations = st.lists(
    st.tuples(
        st.sampled_from(["raise", "raise", "raise", "lower", "mask", "ack", "ack", "special", *COMMANDS]),
        st.integers(0, 255),
    ),
    max_size=40,
)


def do(pic: Pic8259, name: str, value: int) -> int | None:
    if name in ("raise", "lower"):
        pic.set_line(value & 7, name == "raise")
    elif name == "mask":
        pic.write(1, value)
    elif name == "ack":
        return pic.inta()
    elif name == "special":
        pic.write(0, 0x68 if value & 1 else 0x48)
    else:
        pic.write(0, COMMANDS[name] | (0 if name in ("eoi", "rotate eoi") else value & 7))
    return None


def bits(lines: set[int]) -> int:
    return sum(1 << line for line in lines)


@given(operations)
@settings(max_examples=400, deadline=None)
def test_agrees_with_a_naive_priority_resolver(steps: list) -> None:
    pic, naive = chip(), NaivePic()
    for name, value in steps:
        assert do(pic, name, value) == naive.do(name, value)
        assert pic.intr == (naive.best() is not None)
        assert (pic.irr, pic.isr) == (bits(naive.irr), bits(naive.isr))


@given(operations, operations)
def test_a_restored_chip_continues_identically(steps: list, later: list) -> None:
    pic, twin = chip(), chip()
    for name, value in steps:
        do(pic, name, value)
    twin.restore(pic.state())
    for name, value in later:
        assert do(pic, name, value) == do(twin, name, value)
    assert pic.state() == twin.state()


def test_requests_nothing_before_it_is_initialised_but_its_mask_can_be_probed() -> None:
    pics = PicPair()
    pics.write(0x21, 0xFB, 1)
    assert pics.read(0x21, 1) == 0xFB
    pics.write(0x21, 0, 1)
    pics.set_irq(1, True)
    assert not pics.pending()


def test_icw1_forgets_edges_masks_and_priorities() -> None:
    pics = pair()
    pics.write(0x21, 0xFF, 1)
    pics.write(0x20, 0xC3, 1)
    pics.set_irq(0, True)
    pics.write(0x20, 0x11, 1)
    for value in (0x40, 0x04, 0x01):
        pics.write(0x21, value, 1)
    assert pics.read(0x21, 1) == 0
    assert not pics.pending(), "a line that was high already must rise again"
    pics.set_irq(0, False)
    pics.set_irq(0, True)
    pics.set_irq(4, True)
    assert pics.acknowledge() == 0x40


def test_without_ic4_the_sequence_ends_after_icw3() -> None:
    pic = Pic8259(lambda level: None, 0xFF)
    pic.write(0, 0x10)
    pic.write(1, 0x20)
    pic.write(1, 0x04)
    pic.write(1, 0x5A)
    assert pic.imr == 0x5A


def test_intr_is_told_when_it_changes_and_only_then() -> None:
    pics, heard = pair(), []
    pics.on_intr(heard.append)
    pics.set_irq(1, True)
    pics.set_irq(3, True)
    assert heard == [True]
    pics.write(0x21, 0xFF, 1)
    assert heard == [True, False]


def test_a_masked_edge_is_remembered() -> None:
    pics = pair()
    pics.write(0x21, 0xFF, 1)
    pics.set_irq(1, True)
    assert pics.read(0x20, 1) == 0x02
    pics.write(0x21, 0, 1)
    assert pics.acknowledge() == 0x21


def test_an_edge_is_served_once_and_a_level_as_long_as_it_stands() -> None:
    pics = pair()
    pics.write(0x4D0, 0xFF, 1)
    assert pics.read(0x4D0, 1) == 0xF8, "IRQ0 to 2 are always edges"
    for line, again in ((1, False), (5, True)):
        pics.set_irq(line, True)
        assert pics.acknowledge() == 0x20 + line
        assert not pics.pending()
        pics.write(0x20, 0x20, 1)
        assert pics.pending() == again
        pics.set_irq(line, False)
        assert not pics.pending()


def test_ltim_makes_every_input_level_triggered() -> None:
    pic = chip(icw1=0x1B)
    pic.set_line(0, True)
    assert pic.inta() == 0
    pic.write(0, 0x20)
    assert pic.intr


def test_ocw3_chooses_irr_or_isr() -> None:
    pic = chip()
    pulse(pic, 6)
    pulse(pic, 3)
    pic.inta()
    assert pic.read(0) == 0x40
    pic.write(0, 0x0B)
    assert pic.read(0) == 0x08
    pic.write(0, 0x0A)
    assert pic.read(0) == 0x40


@pytest.mark.parametrize(("line", "spurious"), [(4, 0x27), (12, 0x2F)])
def test_a_request_that_goes_away_is_the_spurious_ir7_of_its_chip(line: int, spurious: int) -> None:
    pics = pair()
    pics.set_irq(line, True)
    if line < 8:
        pics.set_irq(line, False)
    else:
        pics.slave.set_line = lambda *_: None  # type: ignore[method-assign]
        pics.slave.irr = 0  # withdrawn between the two INTA pulses
    assert pics.acknowledge() == spurious
    assert pics.slave.isr == 0
    assert pics.master.isr == (0 if line < 8 else 4), "the master did see a request from the slave"


def test_the_slave_interrupts_through_ir2_and_needs_two_eois() -> None:
    pics = pair()
    pics.set_irq(12, True)
    assert pics.acknowledge() == 0x2C
    assert (pics.master.isr, pics.slave.isr) == (0x04, 0x10)
    pics.set_irq(3, True)
    assert not pics.pending(), "IRQ3 is below the slave"
    pics.set_irq(1, True)
    assert pics.acknowledge() == 0x21
    pics.write(0x20, 0x20, 1)
    pics.write(0xA0, 0x20, 1)
    assert not pics.pending()
    pics.write(0x20, 0x20, 1)
    assert pics.acknowledge() == 0x23


@pytest.mark.parametrize(("icw4", "nests"), [(0x01, False), (0x11, True)])
def test_special_fully_nested_lets_the_slave_interrupt_itself_and_nothing_below(
    icw4: int, nests: bool
) -> None:
    pics = pair(master_icw4=icw4)
    pics.set_irq(12, True)
    pics.acknowledge()
    pics.set_irq(4, True)
    assert not pics.pending()
    pics.set_irq(8, True)
    assert pics.pending() == nests


def test_two_slave_requests_are_both_served_when_the_slave_ends_automatically() -> None:
    pics = pair(slave_icw4=0x03)
    pics.set_irq(8, True)
    pics.set_irq(9, True)
    assert pics.acknowledge() == 0x28
    pics.write(0x20, 0x20, 1)
    assert pics.acknowledge() == 0x29


def test_aeoi_leaves_nothing_in_service_and_can_rotate() -> None:
    pic = chip(icw4=0x03)
    pic.write(0, 0x80)
    for line in (0, 1):
        pic.set_line(line, True)
    assert pic.inta() == 0
    assert pic.isr == 0
    pulse(pic, 0)
    assert pic.inta() == 1, "0 went to the end"
    pic.write(0, 0x00)
    pulse(pic, 1)
    assert [pic.inta(), pic.inta()] == [0, 1]
    pulse(pic, 0)
    pulse(pic, 1)
    assert pic.inta() == 0, "rotation is off: the order stands"


def test_poll_acknowledges_and_names_the_request() -> None:
    pic = chip()
    pic.write(0, 0x0C)
    assert pic.read(0) == 0
    pulse(pic, 5)
    pic.write(0, 0x0C)
    assert pic.read(1) == 0x85
    assert pic.isr == 0x20
    assert pic.read(1) == 0, "IMR again: one read to a poll"


def test_special_mask_lets_lower_lines_through_a_masked_one_in_service() -> None:
    pic = chip()
    pulse(pic, 2)
    pulse(pic, 5)
    assert pic.inta() == 2
    pic.write(1, 0x04)
    assert not pic.intr
    pic.write(0, 0x68)
    assert pic.inta() == 5
    pic.write(0, 0x20)
    assert pic.isr == 0x04, "a non-specific EOI spares the masked one"
    pulse(pic, 5)
    pic.write(0, 0x48)
    assert not pic.intr
    pic.write(0, 0x62)
    assert pic.intr


def test_restoring_tells_the_machine_intr() -> None:
    pics = pair()
    pics.set_irq(9, True)
    fresh, heard = PicPair(), []
    fresh.on_intr(heard.append)
    fresh.restore(pics.state())
    assert heard[-1] is True
    assert fresh.acknowledge() == 0x29


def test_a_state_of_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="no state of Pic8259: irr"):
        chip().restore({k: v for k, v in chip().state().items() if k != "irr"})
