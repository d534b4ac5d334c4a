import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.timing.classes import CLASS_CAUSE
from emulator.timing.costs import Costs
from emulator.timing.profile import (
    Number,
    ProfileError,
    load_profile,
    parse_profile,
    profile_names,
    unit_of,
)

NAMES = ["pentium3-katmai-550", "pentium4-willamette-1400"]
FOLDER = Path(__file__).parents[2] / "emulator/timing/profiles"


@pytest.fixture
def text() -> str:
    return (FOLDER / "pentium3-katmai-550.toml").read_text()


def test_the_two_machines_of_the_experiments_are_in_the_package():
    assert profile_names() == NAMES


def test_a_profile_loads_by_path_too(tmp_path, text):
    copy = tmp_path / "mine.toml"
    copy.write_text(text.replace('name = "pentium3-katmai-550"', 'name = "mine"'))
    assert load_profile(copy).name == load_profile(str(copy)).name == "mine"


@pytest.mark.parametrize("name", NAMES)
class TestEveryProfile:
    def test_carries_its_file_name(self, name):
        assert load_profile(name).name == name

    def test_has_a_source_that_begins_with_a_mark_beside_every_number(self, name):
        for key, item in load_profile(name).settings():
            assert re.match(r"(doc|meas|deriv|definition|estimate)\b", item.source), key

    def test_has_a_range_around_every_estimated_number(self, name):
        numbers = [
            (k, i) for k, i in load_profile(name).settings() if isinstance(i, Number) and i.is_estimate
        ]
        assert len(numbers) > 50
        for key, number in numbers:
            assert number.range is not None, key
            assert number.range[0] <= number.value <= number.range[1], key

    def test_prices_every_class_and_no_other(self, name):
        assert load_profile(name).classes.keys() == CLASS_CAUSE.keys()

    def test_leaves_no_number_in_the_file_without_source(self, name):
        for line in (FOLDER / f"{name}.toml").read_text().splitlines():
            if re.search(r"=.*\d", line) and not line.startswith(("#", "title", "name", "btb")):
                assert "source =" in line, line


def test_the_pentium_4_keeps_the_published_difference_between_int_and_sysenter():
    cost = load_profile("pentium4-willamette-1400").classes
    trap = cost["int"].value + cost["iret"].value
    fast = cost["sysenter"].value + cost["sysexit"].value
    assert 1350 <= trap <= 1450
    assert 1120 <= trap - fast <= 1135  # LK-LT1


def test_the_pentium_3_round_trip_is_the_estimate_of_the_notes():
    cost = load_profile("pentium3-katmai-550").classes
    assert cost["int"].value + cost["iret"].value == 240


def test_miss_penalties_follow_from_load_use_latencies():
    p3, p4 = (load_profile(name) for name in NAMES)
    assert (p3.l1d_miss, p3.l2_miss) == (22 - 3, 120 - 3)
    assert (p4.l1d_miss, p4.l2_miss) == (18 - 2, 290 - 2)


def test_the_pentium_4_shares_its_tlbs_between_page_sizes():
    tlb = load_profile("pentium4-willamette-1400").tlb
    assert tlb.geometry("dtlb_4m") is tlb.dtlb_4k
    assert tlb.geometry("itlb_4m") is tlb.itlb_4k
    assert load_profile("pentium3-katmai-550").tlb.geometry("dtlb_4m").entries.value == 8


def test_the_trace_cache_has_a_code_equivalent():
    cache = load_profile("pentium4-willamette-1400").cache.l1i
    assert (cache.lines, cache.line_bytes) == (2048, 8)
    cache = load_profile("pentium3-katmai-550").cache.l1i
    assert (cache.lines, cache.line_bytes) == (512, 32)


@pytest.mark.parametrize(
    ("key", "unit"),
    [("mhz", "MHz"), ("cache.l2.kb", "KB"), ("tlb.dtlb_4k.ways", "ways"), ("cache.l1d.line", "bytes"),
     ("class.mov", "cycles"), ("cpuid.signature", "hex"), ("cache.store_exposed_percent", "%")],
)  # fmt: skip
def test_every_number_has_a_unit(key, unit):
    assert unit_of(key) == unit


NOP = 'nop = { value = 0.5, source = "meas:ILx throughput" }'
ENTRIES = 'entries = { value = 64, source = "doc SDM2A descriptor 03; ILx" }'


@pytest.mark.parametrize(
    ("old", "new", "key", "rule"),
    [
        (NOP, "nop = ", "syntax", "Invalid value"),
        (NOP, "nop = 0.5", "class.nop", "Expected `object`, got `float`"),
        (NOP, "nop = { value = 0.5 }", "class.nop", "missing required field `source`"),
        (NOP, 'nop = { source = "doc ILx" }', "class.nop", "missing required field `value`"),
        (NOP, NOP.replace("0.5", '"much"'), "class.nop.value", "Expected `int | float`, got `str`"),
        (NOP, NOP.replace("0.5", "true"), "class.nop.value", "got `bool`"),
        (NOP, NOP.replace("0.5", "-1"), "class.nop.value", "not negative"),
        (NOP, NOP.replace("0.5", "nan"), "class.nop.value", "finite"),
        (NOP, NOP.replace("0.5", "inf"), "class.nop.value", "finite"),
        (NOP, NOP.replace("value", "valu"), "class.nop", "valu"),
        (NOP, NOP.replace("meas:ILx throughput", ""), "class.nop.source", "begin with one of"),
        (NOP, NOP.replace("meas:ILx", "guess: ILx"), "class.nop.source", "begin with one of"),
        (NOP, NOP.replace("meas:ILx throughput", "meas: it is so"), "class.nop.source", "name a document"),
        (NOP, NOP.replace("meas:ILx", "estimate:"), "class.nop.range", "an estimate needs a range"),
        (NOP, NOP.replace(" }", ", range = [1, 2] }"), "class.nop.range", "around the value"),
        (NOP, NOP.replace(" }", ", range = [2] }"), "class.nop.range", "length 2"),
        (NOP, "", "class.nop", "missing"),
        (NOP, NOP + '\nhcf = { value = 1, source = "doc ILx" }', "class.hcf", "no such instruction class"),
        (ENTRIES, ENTRIES.replace("64", "48"), "tlb.dtlb_4k.entries.value", "power of two"),
        (ENTRIES, "", "tlb.dtlb_4k", "needs entries, ways and replacement"),
        (ENTRIES, ENTRIES.replace("64", "2"), "tlb.dtlb_4k.ways", "must not exceed entries"),
        ('kind = "cache"', 'kind = "trace"', "cache.l1i.uops", "missing"),
        ('kind = "cache"', 'kind = "magic"', "cache.l1i.kind", "magic"),
        ("page_hit = { value = 90", "page_hit = { value = 95.5", "mhz", ""),
        ("[branch]", "[brunch]", "profile", "brunch"),
        ('alternatives = ["lru", "fifo"]', 'alternatives = ["lru"]', "replacement.alternatives", "to try"),
        ('"lru", "fifo"]', '"lru", "dice"]', "tlb.dtlb_4k.replacement", "one of"),
    ],
)  # fmt: skip
def test_a_broken_profile_is_refused_with_its_file_key_and_rule(text, old, new, key, rule):
    assert old in text
    changed = text.replace(old, new, 1)
    if not rule:  # the control: a change within the rules is no error
        parse_profile(changed, "x.toml")
        return
    with pytest.raises(ProfileError) as caught:
        parse_profile(changed, "x.toml")
    assert caught.value.file == "x.toml"
    assert key in caught.value.key
    assert rule in caught.value.rule
    assert str(caught.value) == f"x.toml: {caught.value.key}: {caught.value.rule}"


def test_a_shared_tlb_must_name_another_with_a_geometry(text):
    own = text[text.index("[tlb.dtlb_4m]") : text.index("[tlb.itlb_4k]")]
    for target in ("dtlb_4m", "nowhere"):
        shared = f'[tlb.dtlb_4m]\nshared_with = {{ value = "{target}", source = "doc HT" }}\n'
        with pytest.raises(ProfileError, match=r"tlb\.dtlb_4m\.shared_with: must name another TLB"):
            parse_profile(text.replace(own, shared), "x.toml")


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ProfileError, match="no such profile; there are pentium3-katmai-550"):
        load_profile("i386")


def test_a_file_that_cannot_be_read_is_a_profile_error(tmp_path):
    with pytest.raises(ProfileError, match="file: No such file"):
        load_profile(tmp_path / "none.toml")
    with pytest.raises(ProfileError, match="file: Is a directory"):
        load_profile(tmp_path)
    binary = tmp_path / "b.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(ProfileError, match="not UTF-8"):
        load_profile(binary)
    with pytest.raises(ProfileError, match=r"empty\.toml: profile: .*missing required field"):
        parse_profile("", "empty.toml")


LINES = (FOLDER / "pentium4-willamette-1400.toml").read_text().splitlines()
TOKENS = [
    "0",
    "-1",
    "0.5",
    "3",
    "nan",
    "inf",
    "1e300",
    "true",
    '""',
    '"x"',
    "[]",
    "{}",
    "[1, 2]",
    "=",
    "0x80000000",
]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(range(len(LINES))), st.sampled_from([None, *TOKENS]))
def test_any_one_line_spoiled_gives_a_profile_or_a_profile_error(index, token):
    lines = LINES.copy()
    lines[index] = (
        "" if token is None else re.sub(r"(= \{ value = |= )[^,]+", rf"\g<1>{token}", lines[index], count=1)
    )
    try:
        profile = parse_profile("\n".join(lines), "x.toml")
    except ProfileError as error:
        parts = (error.file, error.key, error.rule)
    else:
        parts = ("x.toml", "none", "none")
        Costs.from_profile(profile)
        assert profile.cache.l1i.lines > 0
    assert parts[0] == "x.toml"
    assert all(parts)


def test_a_what_if_says_in_its_name_and_title_that_no_such_cpu_existed(tmp_path, text):
    plain = load_profile("pentium3-katmai-550")
    changed = load_profile("pentium3-katmai-550+tagged-tlb")
    assert plain.tlb.tagged.value is False
    assert changed.tlb.tagged.value is True
    assert changed.name == "pentium3-katmai-550+tagged-tlb"
    assert "no such CPU existed" in changed.title
    assert "no such CPU existed" in changed.tlb.tagged.source
    differing = {
        key
        for (key, one), (_, other) in zip(plain.settings(), changed.settings(), strict=True)
        if one != other
    }
    assert differing == {"tlb.tagged"}
    (tmp_path / "mine.toml").write_text(text)
    assert load_profile(f"{tmp_path / 'mine.toml'}+tagged-tlb").tlb.tagged.value is True
    with pytest.raises(ProfileError, match="no such what-if; there are tagged-tlb"):
        load_profile("pentium3-katmai-550+wings")


def test_whether_a_tlb_is_tagged_is_true_or_false(text):
    with pytest.raises(ProfileError, match=r"tlb\.tagged\.value: must be true or false"):
        parse_profile(text.replace("tagged = { value = false", 'tagged = { value = "no"'), "mine")
