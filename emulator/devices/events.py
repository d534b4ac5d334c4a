"""Deadlines in modelled cycles: what the devices want to do, and when."""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any


class Handle:
    """One recurring wish of one device, armed for at most one cycle at a time."""

    __slots__ = ("_order", "callback", "deadline", "name")

    def __init__(self, name: str, callback: Callable[[int], None]) -> None:
        self.name = name
        self.callback = callback
        self.deadline: int | None = None
        self._order = -1


def cycles_left(now: int, *handles: Handle) -> int | None:
    """Cycles from `now` to the earliest armed handle (0 when overdue), None if none is armed."""
    deadlines = [handle.deadline for handle in handles if handle.deadline is not None]
    return max(0, min(deadlines) - now) if deadlines else None


class EventQueue:
    """The machine's agenda. Equal deadlines run in the order in which they were scheduled.

    `on_change` is called with the new `next_deadline()` whenever that has changed; during
    `run_due` only once, at its end.
    """

    def __init__(self, on_change: Callable[[int | None], None] | None = None) -> None:
        self.on_change = on_change
        self._handles: dict[str, Handle] = {}
        self._heap: list[tuple[int, int, Handle]] = []
        self._order = 0
        self._told: int | None = None
        self._running = False

    def handle(self, name: str, callback: Callable[[int], None]) -> Handle:
        """A new handle; `callback(deadline)` runs when due, with the cycle it was scheduled for."""
        if name in self._handles:
            raise ValueError(f"two events are called {name}")
        handle = self._handles[name] = Handle(name, callback)
        return handle

    def schedule(self, handle: Handle, at_cycle: int) -> None:
        """Arm `handle` for `at_cycle`, instead of what it was armed for."""
        if handle.deadline == at_cycle:
            return
        self._push(handle, at_cycle)
        self._tell()

    def cancel(self, handle: Handle) -> None:
        """Disarm `handle`."""
        if handle.deadline is not None:
            handle.deadline = None
            handle._order = -1
            self._tell()

    def next_deadline(self) -> int | None:
        """The earliest armed cycle."""
        heap = self._heap
        while heap and heap[0][2]._order != heap[0][1]:
            heappop(heap)
        return heap[0][0] if heap else None

    def run_due(self, now: int) -> int:
        """Run every event with a deadline up to `now`, also those scheduled meanwhile; how many ran."""
        deadline = self.next_deadline()
        if deadline is None or deadline > now:
            return 0
        ran = 0
        self._running = True
        try:
            while (deadline := self.next_deadline()) is not None and deadline <= now:
                handle = heappop(self._heap)[2]
                handle.deadline = None
                handle._order = -1
                handle.callback(deadline)
                ran += 1
        finally:
            self._running = False
        self._tell()
        return ran

    def state(self) -> dict[str, Any]:
        """The armed events as (name, cycle), in the order in which they would run."""
        armed = sorted(entry for entry in self._heap if entry[2]._order == entry[1])
        return {"armed": [[handle.name, at] for at, _, handle in armed]}

    def restore(self, state: dict[str, Any]) -> None:
        """Arm exactly what `state` says; every name must have its handle already."""
        unknown = [name for name, _ in state["armed"] if name not in self._handles]
        if unknown:
            raise ValueError(f"no device has the event {unknown[0]}")
        for handle in self._handles.values():
            handle.deadline = None
            handle._order = -1
        self._heap.clear()
        for name, at in state["armed"]:
            self._push(self._handles[name], at)
        self._tell()

    def _push(self, handle: Handle, at: int) -> None:
        handle.deadline = at
        handle._order = self._order
        heappush(self._heap, (at, self._order, handle))
        self._order += 1
        if len(self._heap) > 4 * len(self._handles) + 16:  # mostly entries that were re-armed
            self._heap = [entry for entry in self._heap if entry[2]._order == entry[1]]
            heapify(self._heap)

    def _tell(self) -> None:
        if self._running:
            return
        deadline = self.next_deadline()
        if deadline != self._told:
            self._told = deadline
            if self.on_change is not None:
                self.on_change(deadline)
