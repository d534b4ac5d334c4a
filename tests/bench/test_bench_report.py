"""What the report says in words and tables."""

import io
from typing import Any

from canned_guest import PUBLISHED
from rich.console import Console

from emulator.bench.compare import compare
from emulator.bench.published import load_published
from emulator.bench.report import show
from emulator.bench.result import ImageInfo, Result, Row

ULS = load_published("uls")
P4 = "pentium4-willamette-1400"


def rows(**changed: int) -> list[Row]:
    cycles: dict[str, int] = {**PUBLISHED, **changed}
    return [
        Row(
            name=name,
            title=ULS.find(name).title,
            min=n,
            median=n,
            max=n,
            runs=1,
            published=PUBLISHED.get(name),
            ratio=n / PUBLISHED[name] if name in PUBLISHED else None,
            ledger={"instruction": n - 1, "iret": 1},
        )
        for name, n in cycles.items()
    ]


def notes(profile: str = P4, conditions: dict[str, str] | None = None, **changed: int) -> list[str]:
    return compare(rows(**changed), ULS, profile, conditions or {})


def printed(**changed: int) -> str:
    console = Console(file=io.StringIO(), width=120)
    options: dict[str, Any] = {"flush": "cr3"}
    result = Result(
        benchmark="uls",
        ringtoll="0.1.0",
        profile=P4,
        image=ImageInfo("kernel.elf", "ab"),
        options=options,
        rows=rows(**changed),
        notes=notes(**changed),
    )
    show(result, ULS, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_published_figures_agree_with_themselves() -> None:
    said = notes()
    assert "Order: the rows stand in the published order of cost." in said
    assert sum("agrees within a tenth" in note for note in said) == 5


def test_the_published_ratios_are_those_of_the_slide() -> None:
    ratios = [note.split("published ")[1].split(";")[0] for note in notes() if note.startswith("Ratio")]
    assert ratios == ["4.4", "2.4", "0.55", "4.2", "18.4"]


def test_a_pair_in_another_order_is_named_with_all_four_figures() -> None:
    said = notes(signal_current=9000)
    assert (
        "Order: modelled, `signal_current` (9000) is not cheaper than `tlb_flush_reload` (8500); "
        "published, it is (6000 against 8500)." in said
    )
    assert not any("stand in the published order" in note for note in said)


def test_a_ratio_that_differs_is_named_with_direction_and_size() -> None:
    assert (
        "Ratio `signal_different` : `raw_upcall`: modelled 9.2, published 18.4; differs: 50% lower."
        in notes(signal_different=23000)
    )


def test_another_cpu_than_the_published_one_is_pointed_out() -> None:
    assert any(note.startswith("This is pentium3-katmai-550, not") for note in notes("pentium3-katmai-550"))
    assert not any(note.startswith("This is") for note in notes())


def test_the_working_set_is_told() -> None:
    said = notes(conditions={"dpages": "56", "cpages": "40"})
    assert "Working set of the TLB rows: 56 data pages and 40 code pages of 4 KB." in said


def test_the_table_has_modelled_published_and_ratio_in_one_line() -> None:
    line = next(line for line in printed().splitlines() if "Raw upcall" in line)
    assert line.replace("│", "").split() == ["Raw", "upcall", "2,500", "2,500", "2,500", "2,500", "1.00"]


def test_the_ledger_table_sums_to_the_medians() -> None:
    line = next(line for line in printed().splitlines() if "sum" in line.split())
    assert line.replace("│", "").split() == ["sum", "11,000", "8,500", "2,500", "6,000", "46,000"]


def test_rows_without_published_figure_have_a_ledger_table_of_their_own() -> None:
    text = printed(null_syscall_int80=900)
    assert "published rows" in text
    assert "further rows" in text


def test_every_note_is_printed_in_full() -> None:
    text = printed(signal_current=9000)
    for note in notes(signal_current=9000):
        assert note in text
