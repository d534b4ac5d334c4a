"""The tree of commands; each command is a file of its own."""

import typer

from emulator.cli import bench, boot, extension, images, key, profiles, run_report, sign, verify
from emulator.cli.options import version_option

app = typer.Typer(
    name="ringtoll",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Examples: [bold]ringtoll bench uls[/bold], [bold]ringtoll boot kernel.elf --append quiet[/bold]",
)
app.command(name="boot", epilog=boot.EPILOG)(boot.boot)
app.command(name="images", epilog=images.EPILOG)(images.images)
app.command(name="report", epilog=run_report.EPILOG)(run_report.report)
app.command(name="sign", epilog=sign.EPILOG, no_args_is_help=True)(sign.sign)
app.command(name="verify", epilog=verify.EPILOG, no_args_is_help=True)(verify.verify)
app.add_typer(extension.app, name="ext")
app.add_typer(key.app, name="key")
app.add_typer(bench.app, name="bench")
app.add_typer(profiles.app, name="profiles")


@app.callback()
def root(version: bool = version_option) -> None:
    """A cycle-approximate IA-32 machine that shows what it costs to cross a protection boundary, and why."""
