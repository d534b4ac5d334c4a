"""Progress on stderr for whatever takes longer than two seconds; silent if stderr is no terminal."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

DELAY = 2.0  # seconds

Advance = Callable[[float, str], None]


class _Shown:
    """A progress bar that appears after the delay, if it is still needed then."""

    def __init__(self, console: Console, title: str, total: float | None) -> None:
        self._lock = threading.Lock()
        self._over = False
        self._started = False
        columns: list[ProgressColumn] = [SpinnerColumn(), TextColumn("{task.description}")]
        if total is not None:  # no bar and no end in sight without a limit
            columns += [BarColumn(), TextColumn("ETA"), TimeRemainingColumn(compact=True)]
        self._progress = Progress(
            *columns,
            TextColumn("{task.fields[detail]}", markup=False),
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task: TaskID = self._progress.add_task(title, total=total, detail="")
        self._timer = threading.Timer(DELAY, self._start)
        self._timer.daemon = True
        self._timer.start()

    def _start(self) -> None:
        with self._lock:
            if not self._over:
                self._started = True
                self._progress.start()

    def advance(self, completed: float, detail: str) -> None:
        """Say how far it is."""
        self._progress.update(self._task, completed=completed, detail=detail)

    def stop(self) -> None:
        """Take it away."""
        self._timer.cancel()
        with self._lock:
            self._over = True
            if self._started:
                self._progress.stop()


@contextlib.contextmanager
def progress(title: str, total: float | None) -> Iterator[Advance]:
    """Show progress while this is open; call what it gives with the amount done and a word about it."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda completed, detail: None
        return
    shown = _Shown(console, title, total)
    try:
        yield shown.advance
    finally:
        shown.stop()
