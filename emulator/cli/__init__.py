"""The command `ringtoll`: every end of it is one clear message and a documented status, never a traceback."""

import sys

from emulator.cli.errors import report


def main() -> None:
    """Run the command line; the entry point of the installed `ringtoll`."""
    from emulator.cli.app import app

    try:
        app(prog_name="ringtoll")
    except (Exception, KeyboardInterrupt) as error:
        sys.exit(report(error))
