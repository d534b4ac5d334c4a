import json

import pytest
from typer.testing import CliRunner

from emulator.cli.profiles import app

P4 = "pentium4-willamette-1400"


def run(*arguments: str, columns: int = 200):
    return CliRunner().invoke(app, arguments, env={"COLUMNS": str(columns), "TERM": "dumb"})


def test_profiles_lists_the_cpus():
    result = run()
    assert result.exit_code == 0
    assert P4 in result.output
    assert "pentium3-katmai-550" in result.output


def test_profiles_lists_as_json():
    assert [row["mhz"] for row in json.loads(run("--json").output)] == [550, 1400]


def test_show_prints_every_number_with_unit_range_and_source():
    output = run("show", P4).output
    row = next(line for line in output.splitlines() if " class.mov_cr3 " in line)
    for cell in ("500", "cycles", "200 to 1500", "estimate: published context-switch totals"):
        assert cell in row


def test_show_as_json_leaves_nothing_out():
    data = json.loads(run("show", P4, "--json").output)
    assert len(data["values"]) == data["settings"]
    assert sum(row["estimate"] for row in data["values"]) == data["estimates"] > 50
    assert all(row["source"] for row in data["values"])


def test_show_can_be_narrowed_to_estimates():
    rows = json.loads(run("show", P4, "--estimates", "--json").output)["values"]
    assert all(row["source"].startswith("estimate") for row in rows)


@pytest.mark.parametrize("name", ["i386", "none.toml"])
def test_an_unknown_profile_is_a_clear_error(name):
    result = run("show", name)
    assert result.exit_code == 2
    assert f"ringtoll: {name}:" in result.output
