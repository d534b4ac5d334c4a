"""`ringtoll profiles`: the CPU profiles, and every number in one of them with its unit, source and range."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from emulator.cli.errors import say
from emulator.exitstatus import ExitStatus
from emulator.timing.profile import Number, Profile, ProfileError, load_profile, profile_names, unit_of

app = typer.Typer(help="List CPU profiles, or show every number in one with its source.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.callback(invoke_without_command=True)
def list_profiles(ctx: typer.Context, as_json: Json = False) -> None:
    """List the CPU profiles in the package."""
    if ctx.invoked_subcommand is not None:
        return
    profiles = [_load(name) for name in profile_names()]
    if as_json:
        typer.echo(json.dumps([_summary(profile) for profile in profiles], indent=2))
        return
    table = Table(title="CPU profiles")
    for column in ("name", "CPU", "MHz", "settings", "of them estimates"):
        left = column in ("name", "CPU")
        table.add_column(column, justify="left" if left else "right", no_wrap=column == "name")
    for profile in profiles:
        summary = _summary(profile)
        table.add_row(*(str(summary[key]) for key in ("name", "title", "mhz", "settings", "estimates")))
    Console().print(table)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A profile's name, or the path of a .toml file.")],
    as_json: Json = False,
    estimates: Annotated[bool, typer.Option("--estimates", help="Only what no source gives.")] = False,
) -> None:
    """Show every number of one profile with its unit, source and range; estimates are marked."""
    profile = _load(name)
    rows = [row for row in profile_rows(profile) if row["estimate"] or not estimates]
    if as_json:
        typer.echo(json.dumps({**_summary(profile), "values": rows}, indent=2))
        return
    table = Table(title=f"{profile.title} ({profile.name})")
    for column in ("key", "value", "unit", "range", "source"):
        table.add_column(column, justify="right" if column == "value" else "left", overflow="fold")
    for row in rows:
        style = "yellow" if row["estimate"] else ""
        cells = (row["key"], _text(row), row["unit"], _range(row), row["source"])
        table.add_row(*(Text(cell) for cell in cells), style=style)
    console = Console()
    console.print(table)
    console.print(f"{sum(row['estimate'] for row in rows)} of {len(rows)} are estimates: sweep their ranges.")


def profile_rows(profile: Profile) -> list[dict[str, Any]]:
    """Every setting as plain data: key, value, unit, source, estimate, and its range or alternatives."""
    rows: list[dict[str, Any]] = []
    for key, item in profile.settings():
        row: dict[str, Any] = {
            "key": key,
            "value": item.value,
            "unit": unit_of(key) if isinstance(item, Number) else "",
        }
        if isinstance(item, Number):
            row["range"] = None if item.range is None else list(item.range)
        else:
            row["alternatives"] = list(item.alternatives)
        rows.append({**row, "estimate": item.is_estimate, "source": item.source})
    return rows


def _load(name: str) -> Profile:
    try:
        return load_profile(name)
    except ProfileError as error:
        say(str(error))
        raise typer.Exit(ExitStatus.USAGE) from error


def _summary(profile: Profile) -> dict[str, Any]:
    settings = [item for _, item in profile.settings()]
    return {
        "name": profile.name,
        "title": profile.title,
        "mhz": profile.mhz.value,
        "settings": len(settings),
        "estimates": sum(item.is_estimate for item in settings),
    }


def _text(row: dict[str, Any]) -> str:
    value = row["value"]
    if isinstance(value, bool):
        return "yes" if value else "no"
    if row["unit"] == "hex":
        return f"{value:#010x}"
    return str(value)


def _range(row: dict[str, Any]) -> str:
    if row.get("range"):
        low, high = row["range"]
        return f"{low} to {high}"
    return " or ".join(_text({"value": value, "unit": ""}) for value in row.get("alternatives", ()))
