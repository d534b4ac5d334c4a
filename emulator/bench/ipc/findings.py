"""What the curves say, in words: the published claim, where curves rise, and where the TLB is full."""

from collections.abc import Sequence
from typing import Final

from emulator.bench.ipc.curves import DTLB_CAUSES, ITLB_CAUSES, SIDES, Curves, misses
from emulator.bench.result import Row

ULS: Final = "uls-sysexit-invlpg"
SEGMENTS: Final = "small-yield"
LEVEL: Final = 0.1  # a curve that changes by less than a tenth of its start is called level


def findings(rows: Sequence[Row]) -> list[str]:
    """The notes of the report."""
    curves = Curves(rows)
    return [
        *_break_points(curves),
        *_claim(curves),
        *(note for side in SIDES for name in curves.mechanisms for note in _course(curves, name, side)),
    ]


def _reach(curves: Curves, side: str) -> tuple[int, int] | None:
    """The greatest size whose warm working set misses nothing, and the next one, which does."""
    causes = DTLB_CAUSES if side == "data" else ITLB_CAUSES
    for name in curves.mechanisms:
        warm = curves.curve(name, side, "touch_warm")
        full = [size for size, row in warm.items() if misses(row, causes) > 0]
        fits = [size for size in warm if not full or size < min(full)]
        if full and fits:
            return max(fits), min(full)
    return None


def _break_points(curves: Curves) -> list[str]:
    notes = []
    for side in SIDES:
        if reach := _reach(curves, side):
            notes.append(
                f"TLB reach: {reach[0]} {side} pages still hit when touched warm, with {reach[1]} they miss "
                "by capacity, flush or no flush; a flush adds less from there on."
            )
    return notes


def _claim(curves: Curves) -> list[str]:
    notes = []
    for side in SIDES:
        for measure, what in (("round_trip", "round trips"), ("added", "added cycles")):
            uls, small = (curves.curve(name, side, measure) for name in (ULS, SEGMENTS))
            sizes = [size for size in sorted(uls) if size in small and small[size].median > 0]
            if not sizes or (side == "code" and sizes == [0]):
                continue
            ratios = [uls[size].median / small[size].median for size in sizes]
            each = ", ".join(f"{size}: {ratio:.2f}" for size, ratio in zip(sizes, ratios, strict=True))
            notes.append(
                f"Claim (ULS costs are close to those of segmentation): {what} of {ULS} : {SEGMENTS} "
                f"by {side} pages {each}; between {min(ratios):.2f} and {max(ratios):.2f}."
            )
    return notes


def _course(curves: Curves, name: str, side: str) -> list[str]:
    """Added cycles from the empty working set to the largest that still fits, and to those beyond."""
    added = curves.curve(name, side, "added")
    if len(added) < 2 or 0 not in added:
        return []
    within = _fits(curves, name, side)
    start, top = added[0].median, added[within].median
    change = top - start
    course = "level" if abs(change) < LEVEL * abs(start) else "rises" if change > 0 else "falls"
    slope = f", {change / within:.0f} cycles a page" if within and course != "level" else ""
    note = f"{name}, {side}: {course}, {start} added with no pages, {top} with {within}{slope}"
    beyond = sorted(size for size in added if size > within)
    if beyond:
        ends = dict.fromkeys((beyond[0], beyond[-1]))
        note += "; beyond the TLB " + ", ".join(f"{added[size].median} with {size}" for size in ends)
    return [f"{note}."]


def _fits(curves: Curves, name: str, side: str) -> int:
    """The greatest size that, with the mechanism's own pages, misses nothing by capacity."""
    fits = 0
    for size, row in sorted(curves.curve(name, side, "round_trip").items()):
        if misses(row, ["dtlb_capacity" if side == "data" else "itlb_capacity"]):
            break
        fits = size
    return fits
