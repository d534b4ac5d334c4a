"""The command `ringtoll`: every end of it is one clear message and a documented status, never a traceback."""

import sys

from emulator.cli.errors import report


def main() -> None:
    """Run the command line; the entry point of the installed `ringtoll`."""
    from emulator.cli.app import app

    try:
        status = app(prog_name="ringtoll", standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:
        status = report(error)
    sys.exit(status if isinstance(status, int) else 0)
