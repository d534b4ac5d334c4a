"""The curves as a picture, PNG or SVG: working set on x, cycles on y. The same bytes every time."""

from pathlib import Path
from typing import Any, Final

from emulator.bench.errors import BenchError
from emulator.bench.ipc.curves import SIDES, Curves
from emulator.bench.ipc.mechanisms import MECHANISMS
from emulator.bench.result import Result
from emulator.exitstatus import ExitStatus

SUFFIXES: Final = (".png", ".svg")
_COLOURS: Final = {
    "floor": "black",
    "uls": "tab:blue",
    "thread": "tab:gray",
    "process": "tab:red",
    "small": "tab:green",
    "tagged": "tab:purple",
}
_STYLES: Final = ("-", "--", "-.", ":")
_MARKERS: Final = "osv^Dx+*"
# Neither dates nor versions, and identifiers that don't depend on chance.
_RC: Final = {
    "svg.hashsalt": "ringtoll",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 8,
}
_METADATA: Final[dict[str, dict[str, Any]]] = {
    ".svg": {"Date": None, "Creator": None},
    ".png": {"Software": None},
}


def check_plot(path: Path) -> None:
    """Before anything is measured: is this a picture that can be drawn? Raises: BenchError."""
    if path.suffix.lower() not in SUFFIXES:
        raise BenchError(f"{path}: a plot is a .png or .svg file", ExitStatus.USAGE)
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise BenchError("--plot needs the package matplotlib: pip install 'ringtoll[plot]'") from None
    if not path.parent.is_dir():
        raise BenchError(f"{path}: there is no folder {path.parent}")


def plot(result: Result, path: Path) -> None:
    """Draw the round trips of every mechanism. Raises: BenchError, OSError."""
    check_plot(path)
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    curves = Curves(result.rows)
    sides = [side for side in SIDES if len(curves.sizes(side)) > 1] or ["data"]
    with mpl.rc_context(_RC):
        figure = Figure(figsize=(6 + 4 * len(sides), 5.5), dpi=100, layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(1, len(sides), sharey=True, squeeze=False)[0]
        for panel, side in zip(panels, sides, strict=True):
            _draw(panel, curves, side)
        panels[0].set_ylabel("cycles of a round trip (working set included)")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper", frameon=False)
        figure.suptitle(f"4-byte message there and back, {result.profile}")
        figure.savefig(path, metadata=_METADATA[path.suffix.lower()])


def _draw(panel: Any, curves: Curves, side: str) -> None:
    seen: dict[str, int] = {}
    for name in curves.mechanisms:
        family = MECHANISMS[name].family
        nth = seen[family] = seen.get(family, -1) + 1
        curve = curves.curve(name, side, "round_trip")
        sizes = sorted(curve)
        panel.plot(
            sizes,
            [curve[size].median for size in sizes],
            label=name,
            color=_COLOURS[family],
            linestyle=_STYLES[nth % len(_STYLES)],
            marker=_MARKERS[nth % len(_MARKERS)],
            markersize=3,
            linewidth=1,
        )
    panel.set_xscale("symlog", base=2, linthresh=8)
    panel.set_yscale("log")
    ticks = [0, *(1 << n for n in range(3, 10) if 1 << n <= max(curves.sizes(side)))]
    panel.set_xticks(ticks, [str(tick) for tick in ticks])
    panel.set_xlabel(f"{side} pages of 4 KB touched by the client")
    panel.grid(visible=True, which="both", linewidth=0.3)
