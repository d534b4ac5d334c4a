"""`python -m emulator.cli` is `ringtoll`."""

from emulator.cli import main

main()
