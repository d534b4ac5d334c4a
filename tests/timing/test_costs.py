import msgspec
import pytest

from emulator.timing import causes
from emulator.timing.costs import Costs
from emulator.timing.profile import Number, load_profile


@pytest.fixture
def profile():
    return load_profile("pentium4-willamette-1400")


def test_ordinary_instructions_cost_256ths_of_a_cycle(profile):
    costs = Costs.from_profile(profile)
    assert costs.classes["mov"] == (87, causes.INSTRUCTION, 0)  # 0.34
    assert costs.classes["imul"] == (1088, causes.INSTRUCTION, 0)  # 4.25


def test_other_causes_cost_whole_cycles(profile):
    assert Costs.from_profile(profile).classes["mov_cr3"] == (0, causes.MOV_CR3, 500)


@pytest.mark.parametrize(("value", "cycles"), [(2.4, 2), (2.5, 3), (3.5, 4), (0.49, 0)])
def test_half_a_cycle_rounds_up(profile, value, cycles):
    classes = profile.classes | {"cli": Number(value=value, source="definition: test")}
    costs = Costs.from_profile(msgspec.structs.replace(profile, classes=classes))
    assert costs.classes["cli"].cycles == cycles


def test_the_core_finds_the_price_of_delivery(profile):
    costs = Costs.from_profile(profile)
    assert (costs.interrupt_entry, costs.exception_entry, costs.irq_entry) == (644, 644, 644)
    assert (costs.call_gate_extra, costs.ret_far_outer_extra) == (410, 410)


def test_the_first_iteration_of_rep_pays_the_start_up(profile):
    first, later = Costs.from_profile(profile).rep["movs", "d"]
    assert later == round(0.54 * 256)
    assert first == round(163.54 * 256)


def test_two_profiles_do_not_share_a_memo(profile):
    assert Costs.from_profile(profile).memo is not Costs.from_profile(profile).memo
