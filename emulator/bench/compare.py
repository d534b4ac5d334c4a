"""What a benchmark's rows say beside the published ones: order and ratios, in words."""

from collections.abc import Mapping, Sequence
from itertools import combinations

from emulator.bench.published import Published
from emulator.bench.result import Number, Row

AGREES = 0.10  # a ratio within a tenth of the published one is called the same


def compare(
    rows: Sequence[Row], published: Published, profile: str, conditions: Mapping[str, str]
) -> list[str]:
    """The notes under the tables: conditions, caveats, order, ratios."""
    by_name = {row.name: row for row in rows}
    notes = [f"Published: {published.source}. {published.machine}"]
    if profile != published.profile:
        notes.append(
            f"This is {profile}, not {published.profile}, for which the published figures are taken to stand."
        )
    if "dpages" in conditions and "cpages" in conditions:
        notes.append(
            f"Working set of the TLB rows: {conditions['dpages']} data pages and "
            f"{conditions['cpages']} code pages of 4 KB."
        )
    notes += _order([row for row in rows if row.published is not None])
    for pair in published.ratio:
        if pair.of in by_name and pair.to in by_name:
            notes.append(_ratio(by_name[pair.of], by_name[pair.to]))
    return notes


def _order(rows: Sequence[Row]) -> list[str]:
    """One note for each pair of rows that stand in another order than the published ones."""
    wrong = []
    for a, b in combinations(sorted(rows, key=lambda row: row.published or 0), 2):
        if a.median >= b.median and a.published != b.published:
            wrong.append(
                f"Order: modelled, `{a.name}` ({a.median}) is not cheaper than `{b.name}` ({b.median}); "
                f"published, it is ({a.published} against {b.published})."
            )
    return wrong or ["Order: the rows stand in the published order of cost."]


def _ratio(a: Row, b: Row) -> str:
    pair = f"Ratio `{a.name}` : `{b.name}`"
    if not a.published or not b.published:
        return f"{pair}: not published."
    reference = a.published / b.published
    if b.median <= 0:
        return f"{pair}: published {_short(reference)}; modelled, `{b.name}` costs nothing to divide by."
    modelled = a.median / b.median
    off = modelled / reference - 1
    if abs(off) <= AGREES:
        verdict = "agrees within a tenth"
    else:
        verdict = f"differs: {abs(off):.0%} {'higher' if off > 0 else 'lower'}"
    return f"{pair}: modelled {_short(modelled)}, published {_short(reference)}; {verdict}."


def _short(value: Number) -> str:
    return f"{value:.2f}" if abs(value) < 1 else f"{value:.1f}"
