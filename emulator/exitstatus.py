"""The exit statuses of `ringtoll`: a guest's own status, or one of these when the emulator ends the run.

A guest that ends itself through the debug exit port may choose any value from 0 to 255, these included;
`--stats` tells the two apart (`outcome.kind`).
"""

from enum import IntEnum


class ExitStatus(IntEnum):
    """Why a run ended, when it was not the guest that ended it; the text is in `MEANING`."""

    OK = 0
    USAGE = 2
    IMAGE_REFUSED = 120
    TRIPLE_FAULT = 121
    UNMAPPED_EXECUTION = 122
    HALTED = 123
    CYCLE_LIMIT = 124
    ERROR = 125
    INTERRUPTED = 130
    TERMINATED = 143


MEANING = {
    ExitStatus.OK: "the command did what it was asked (for `boot`: the guest said 0)",
    ExitStatus.USAGE: "the command line is wrong: an unknown option, value or profile",
    ExitStatus.IMAGE_REFUSED: "the image, a module or an extension was refused before anything ran",
    ExitStatus.TRIPLE_FAULT: "triple fault: an exception met no handler, nor did the double fault",
    ExitStatus.UNMAPPED_EXECUTION: "the guest executed an address where there is no memory",
    ExitStatus.HALTED: "HLT with interrupts off and nothing pending: the guest can never go on",
    ExitStatus.CYCLE_LIMIT: "the limit of --max-cycles was reached",
    ExitStatus.ERROR: "any other error: a file that cannot be written, a benchmark that failed",
    ExitStatus.INTERRUPTED: "Ctrl-C (SIGINT) stopped the run",
    ExitStatus.TERMINATED: "SIGTERM stopped the run",
}
