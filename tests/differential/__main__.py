"""`python -m tests.differential SEED [COUNT [SCENARIO]]`: runs fragments, and tells what differs."""

import sys

from tests.differential.compare import show
from tests.differential.session import run


def main() -> int:
    """Exit status 1 when something differs."""
    seed, count = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    scenario = sys.argv[3] if len(sys.argv) > 3 else ""
    failures = run(range(seed, seed + count), scenario)
    for failure in failures:
        print(failure.text())
    if count == 1:
        from tests.differential.session import last

        for machine, records in last.items():
            print(f"  {machine}:")
            print(show(records))
    print(f"{count} fragments, {len(failures)} differ")
    return bool(failures)


sys.exit(main())
