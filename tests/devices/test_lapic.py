"""The local APIC, register by register of the manual, as a guest sees its page."""

import msgspec
import pytest
from board import Board
from guest_view import GuestView
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.devices import lapic_registers as reg
from emulator.devices.lapic import Lapic

BSP_ENABLED = 0xFEE00900


class Bench:
    def __init__(self, xapic: bool = True, on: bool = True) -> None:
        self.board = Board(1_000_000_000)
        self.lapic = Lapic(self.board.clock, self.board.events, xapic=xapic)
        self.guest = GuestView(self.lapic)
        self.intr: list[bool] = []
        self.nmis = 0
        self.eois: list[int] = []
        self.lapic.on_intr(self.intr.append)
        self.lapic.on_eoi = self.eois.append
        self.lapic.on_nmi = self.nmi
        if on:
            self.guest.store(reg.SVR, 0x1FF)

    def nmi(self) -> None:
        self.nmis += 1

    def icr(self, low: int, destination: int = 0) -> None:
        self.guest.store(reg.ICR_HIGH, destination << 24)
        self.guest.store(reg.ICR_LOW, low)

    def esr(self) -> int:
        self.guest.store(reg.ESR, 0)
        return self.guest.load(reg.ESR)


@pytest.fixture
def bench() -> Bench:
    return Bench()


# --- registers and the page ---


def test_power_up_state_of_a_pentium_4() -> None:
    guest = Bench(on=False).guest
    expected = {reg.ID: 0, reg.VERSION: 0x50014, reg.DFR: 0xFFFFFFFF, reg.SVR: 0xFF, reg.TPR: 0}
    expected |= dict.fromkeys(reg.LVT_BITS, reg.LVT_MASKED)
    for offset, value in expected.items():
        assert guest.load(offset) == value


def test_a_p6_has_a_4_bit_id_no_thermal_entry_and_a_spurious_vector_that_ends_in_ones() -> None:
    bench = Bench(xapic=False)
    guest = bench.guest
    guest.store(reg.ID, 0xFFFFFFFF)
    guest.store(reg.SVR, 0x130)
    assert guest.load(reg.VERSION) == 0x40011
    assert bench.lapic.read(reg.ID, 4) == 0x0F000000
    assert guest.load(reg.SVR) == 0x13F
    assert bench.esr() == 0
    assert guest.load(reg.LVT_THERMAL) == 0
    assert bench.esr() == reg.ESR_ILLEGAL_ADDRESS


@pytest.mark.parametrize(
    ("offset", "reads"),
    [
        (reg.VERSION, 0x50014),
        (reg.EOI, 0),
        (reg.PPR, 0),
        (reg.ISR, 0),
        (reg.IRR + 0x70, 0),
        (reg.TCCR, 0),
        (reg.LDR, 0xFF000000),
        (reg.DFR, 0xFFFFFFFF),
        (reg.SVR, 0x3FF),
        (reg.ICR_HIGH, 0xFF000000),
        (reg.TDCR, 0xB),
        (reg.LVT_TIMER, 0x300FF),
        (reg.LVT_LINT0, 0x1A7FF),
        (reg.LVT_ERROR, 0x100FF),
        (reg.ID + 4, 0),
    ],
)
def test_what_a_guest_reads_after_it_wrote_ones(bench: Bench, offset: int, reads: int) -> None:
    bench.guest.store(offset, 0xFFFFFFFF)
    assert bench.guest.load(offset) == reads


def test_the_id_is_read_from_the_page_without_a_call(bench: Bench) -> None:
    bench.guest.store(reg.ID, 0x03000000)
    bench.guest.store(reg.TPR, 0x20)
    bench.guest.store(reg.TICR, 12345)
    assert [bench.guest.load(offset) for offset in (reg.ID, reg.TPR, reg.TICR)] == [0x03000000, 0x20, 12345]
    assert bench.guest.refreshes == 0
    assert bench.lapic.fixups() == []


def test_reserved_bits_of_the_id_wait_as_fixup_for_the_next_refresh(bench: Bench) -> None:
    bench.guest.store(reg.ID, 0x03FFFFFF)
    assert bench.lapic.fixups() == [reg.ID]
    bench.guest.load(reg.SVR)
    assert bench.lapic.fixups() == []
    assert bench.guest.load(reg.ID) == 0x03000000


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(reg.IMPLEMENTED | {0x000, 0x024, 0x3A0, 0x400, 0xFF0})),
            st.sampled_from([(0, 4), (0, 4), (0, 1), (1, 1), (0, 2), (2, 2)]),
            st.integers(0, 0xFFFFFFFF),
        ),
        max_size=30,
    )
)
@settings(max_examples=150, deadline=None)
def test_a_guest_of_the_page_and_one_that_calls_read_the_same(stores: list) -> None:
    paged, called = Bench(), Bench()
    for register, (byte, size), value in stores:
        value &= (1 << 8 * size) - 1
        paged.guest.store(register + byte, value, size)
        called.lapic.write(register + byte, value, size)
        for offset in paged.lapic.fixups():
            paged.lapic.refresh(offset)
            called.lapic.refresh(offset)
        assert paged.guest.load(register) == called.lapic.read(register, 4)
        for offset in reg.STABLE:
            assert paged.guest.load(offset) == called.lapic.read(offset, 4)
    assert paged.lapic.state() == called.lapic.state()


def test_a_byte_store_changes_its_byte_of_the_register(bench: Bench) -> None:
    bench.guest.store(reg.TPR, 0x30, 1)
    bench.guest.store(reg.ID + 3, 7, 1)
    assert bench.lapic.read(reg.TPR, 4) == 0x30
    assert bench.lapic.read(reg.ID, 4) == 0x07000000
    assert bench.lapic.read(reg.ID + 3, 1) == 7


# --- acceptance and priority ---


def test_an_accepted_vector_goes_through_irr_and_isr_to_eoi(bench: Bench) -> None:
    assert bench.lapic.accept(0x41)
    assert bench.guest.load(reg.IRR + 0x20) == 2
    assert bench.lapic.pending()
    assert bench.lapic.acknowledge() == 0x41
    assert bench.guest.load(reg.IRR + 0x20) == 0
    assert bench.guest.load(reg.ISR + 0x20) == 2
    assert bench.guest.load(reg.PPR) == 0x40
    bench.guest.store(reg.EOI, 0)
    assert bench.guest.load(reg.ISR + 0x20) == bench.guest.load(reg.PPR) == 0
    assert bench.intr == [True, False]
    assert bench.eois == []


def test_a_level_vector_sets_tmr_and_its_eoi_is_told(bench: Bench) -> None:
    bench.lapic.accept(0x51, level=True)
    assert bench.guest.load(reg.TMR + 0x20) == 1 << 17
    bench.lapic.acknowledge()
    bench.guest.store(reg.EOI, 0)
    assert bench.eois == [0x51]


def test_tpr_holds_back_its_class_and_below(bench: Bench) -> None:
    bench.guest.store(reg.TPR, 0x40)
    bench.lapic.accept(0x4F)
    assert not bench.lapic.pending()
    bench.lapic.accept(0x50)
    assert bench.lapic.acknowledge() == 0x50
    bench.guest.store(reg.EOI, 0)
    assert bench.intr == [True, False]
    bench.guest.store(reg.TPR, 0x3F)
    assert bench.intr == [True, False, True]
    assert bench.lapic.acknowledge() == 0x4F


def test_an_interrupt_that_went_before_its_acknowledge_is_the_spurious_vector(bench: Bench) -> None:
    bench.guest.store(reg.SVR, 0x1EF)
    bench.lapic.accept(0x60)
    bench.guest.store(reg.TPR, 0xF0)
    assert bench.lapic.acknowledge() == 0xEF
    assert bench.guest.load(reg.ISR + 0x30) == 0
    assert bench.guest.load(reg.ISR + 0x70) == 0


def test_disabled_by_software_it_accepts_nothing_masks_all_and_lets_the_8259_through(bench: Bench) -> None:
    bench.guest.store(reg.LVT_TIMER, 0x20)
    bench.guest.store(reg.SVR, 0x0FF)
    assert bench.guest.load(reg.LVT_TIMER) == reg.LVT_MASKED | 0x20
    bench.guest.store(reg.LVT_TIMER, 0x21)
    assert bench.guest.load(reg.LVT_TIMER) == reg.LVT_MASKED | 0x21
    assert not bench.lapic.accept(0x41)
    assert bench.lapic.extint
    bench.lapic.lint0(True)
    assert bench.intr == [True]
    assert bench.lapic.external()


def test_disabled_by_its_msr_it_is_as_after_power_up_and_out_of_the_way(bench: Bench) -> None:
    assert bench.lapic.base_msr == BSP_ENABLED
    bench.lapic.accept(0x41)
    bench.lapic.set_base_msr(0xFEE00100)
    assert bench.intr == [True, False]
    bench.lapic.lint0(True)
    assert bench.lapic.external()
    bench.lapic.lint0(False)
    bench.lapic.set_base_msr(BSP_ENABLED)
    assert bench.guest.load(reg.SVR) == 0xFF
    with pytest.raises(ValueError, match="IA32_APIC_BASE"):
        bench.lapic.set_base_msr(BSP_ENABLED | 1 << 10)


# --- local sources ---


def test_the_timer_interrupts_periodically_at_the_bus_clock(bench: Bench) -> None:
    bench.guest.store(reg.TDCR, 0xB)
    bench.guest.store(reg.LVT_TIMER, reg.LVT_PERIODIC | 0x20)
    bench.guest.store(reg.TICR, 100_000)  # 1 ms of 100 MHz
    bench.board.run(1_500_000)
    assert bench.guest.load(reg.TCCR) == 50_000
    taken = []
    for _ in range(3):
        taken.append(bench.lapic.acknowledge())
        bench.guest.store(reg.EOI, 0)
        bench.board.run(1_000_000)
    assert taken == [0x20, 0x20, 0x20]
    bench.guest.store(reg.TICR, 0)
    assert bench.lapic.cycles_to_event(bench.board.cycle) is None


def test_virtual_wire_passes_the_8259_on_until_lint0_is_masked(bench: Bench) -> None:
    bench.lapic.virtual_wire()
    assert bench.lapic.extint
    bench.lapic.lint0(True)
    assert bench.intr == [True]
    assert not bench.lapic.pending()
    bench.guest.store(reg.LVT_LINT0, reg.LVT_MASKED)
    assert bench.intr == [True, False]


def test_lint0_in_fixed_mode_interrupts_by_edge(bench: Bench) -> None:
    bench.guest.store(reg.LVT_LINT0, 0x31)
    for level in (True, True, False, True):
        bench.lapic.lint0(level)
    assert bench.lapic.acknowledge() == 0x31
    assert bench.lapic.acknowledge() == 0xFF, "the second edge merged in IRR"


def test_lint0_by_level_is_held_back_until_eoi(bench: Bench) -> None:
    bench.guest.store(reg.LVT_LINT0, reg.LVT_LEVEL | 0x31)
    bench.lapic.lint0(True)
    assert bench.guest.load(reg.LVT_LINT0) & reg.LVT_REMOTE_IRR
    assert bench.lapic.acknowledge() == 0x31
    assert not bench.lapic.pending()
    bench.guest.store(reg.EOI, 0)
    assert bench.lapic.acknowledge() == 0x31
    bench.lapic.lint0(False)
    bench.guest.store(reg.EOI, 0)
    assert not bench.lapic.pending()
    assert not bench.guest.load(reg.LVT_LINT0) & reg.LVT_REMOTE_IRR


def test_lint1_as_nmi(bench: Bench) -> None:
    bench.lapic.virtual_wire()
    bench.lapic.lint1(True)
    bench.lapic.lint1(True)
    assert bench.nmis == 1


# --- errors ---


def test_esr_shows_errors_after_a_write_and_the_error_entry_interrupts(bench: Bench) -> None:
    bench.guest.store(reg.LVT_ERROR, 0x33)
    bench.lapic.accept(0x0F)
    assert bench.guest.load(reg.ESR) == 0
    assert bench.lapic.acknowledge() == 0x33
    assert bench.esr() == reg.ESR_RECEIVE_ILLEGAL
    assert bench.esr() == 0


def test_an_illegal_error_vector_is_no_endless_error(bench: Bench) -> None:
    bench.guest.store(reg.LVT_ERROR, 0x05)
    bench.icr(0x40003)
    assert bench.esr() == reg.ESR_SEND_ILLEGAL


def test_an_unimplemented_register_is_an_illegal_address(bench: Bench) -> None:
    assert bench.guest.load(0x3A0) == 0
    assert bench.esr() == reg.ESR_ILLEGAL_ADDRESS
    bench.guest.store(0x800, 1)
    assert bench.esr() == reg.ESR_ILLEGAL_ADDRESS


# --- IPIs ---

SELF, ALL, OTHERS = 1 << 18, 2 << 18, 3 << 18
ASSERT = 1 << 14
LOGICAL = 1 << 11


@pytest.mark.parametrize(
    ("low", "destination"),
    [
        (SELF | 0x45, 0),
        (ALL | 0x45, 0),
        (ASSERT | 0x45, 0),
        (ASSERT | 0x45, 0xFF),
        (ASSERT | LOGICAL | 0x45, 0x03),
        (ASSERT | LOGICAL | 0x145, 0x01),
    ],
)
def test_an_ipi_that_means_this_processor_arrives(bench: Bench, low: int, destination: int) -> None:
    bench.guest.store(reg.LDR, 0x01000000)
    bench.icr(low, destination)
    assert bench.lapic.acknowledge() == 0x45
    assert bench.guest.load(reg.ICR_LOW) == low, "and is sent at once"


@pytest.mark.parametrize(
    ("low", "destination"),
    [
        (OTHERS | 0x45, 0),
        (ASSERT | 0x45, 1),
        (ASSERT | LOGICAL | 0x45, 0x02),
        (ASSERT | 0x500, 1),
        (ASSERT | 0x607, 1),
        (ALL | 1 << 15 | 0x500, 0),
    ],
)
def test_an_ipi_for_others_is_lost_and_icr_idle(bench: Bench, low: int, destination: int) -> None:
    bench.guest.store(reg.LDR, 0x01000000)
    bench.icr(low, destination)
    assert not bench.lapic.pending()
    assert not bench.guest.load(reg.ICR_LOW) & 1 << 12
    assert bench.esr() == 0


def test_a_p6_reports_an_ipi_that_nobody_accepts() -> None:
    bench = Bench(xapic=False)
    bench.icr(ASSERT | 0x45, 5)
    assert bench.esr() == reg.ESR_SEND_ACCEPT


def test_in_the_cluster_model_the_cluster_must_match(bench: Bench) -> None:
    bench.guest.store(reg.DFR, 0x0FFFFFFF)
    bench.guest.store(reg.LDR, 0x21000000)
    for destination, arrives in ((0x11, False), (0x22, False), (0x23, True), (0xFF, True)):
        bench.icr(ASSERT | LOGICAL | 0x45, destination)
        assert bench.lapic.pending() is arrives
        bench.lapic.acknowledge()
        bench.guest.store(reg.EOI, 0)


def test_an_nmi_can_be_sent_to_the_own_id(bench: Bench) -> None:
    bench.icr(ASSERT | 0x400, 0)
    assert bench.nmis == 1


# --- state ---


def test_a_restored_lapic_continues_identically(bench: Bench) -> None:
    bench.guest.store(reg.TDCR, 0x3)
    bench.guest.store(reg.LVT_TIMER, reg.LVT_PERIODIC | 0x20)
    bench.guest.store(reg.TICR, 1000)
    bench.lapic.accept(0xF5, level=True)
    bench.lapic.lint0(True)
    bench.board.run(123_456)
    twin = Bench(on=False)
    twin.board.cycle = bench.board.cycle
    twin.lapic.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(bench.lapic.state())))
    twin.board.events.restore(bench.board.events.state())
    assert twin.intr == [True]
    bench.eois.clear()
    for each in (bench, twin):
        each.board.run(200_000)
        assert each.lapic.acknowledge() == 0xF5
        each.guest.store(reg.EOI, 0)
        assert each.lapic.acknowledge() == 0x20
    assert bench.eois == twin.eois
    assert bench.lapic.state() == twin.lapic.state()
    for offset in sorted(reg.IMPLEMENTED):
        assert bench.guest.load(offset) == twin.guest.load(offset)
