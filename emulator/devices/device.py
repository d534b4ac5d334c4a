"""What every device is: ports, a next event, and a state that can be saved and put back."""

from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

State = dict[str, Any]
"""Plain data (int, bool, None, str, bytes, list, dict): any serialiser takes it."""

IrqLine = Callable[[bool], None]
"""One interrupt request line: called with its level."""


class Device(Protocol):
    """A device on the port bus."""

    def read(self, port: int, size: int) -> int:
        """IN from one of its ports."""
        ...

    def write(self, port: int, value: int, size: int) -> None:
        """OUT to one of its ports."""
        ...

    def cycles_to_event(self, now: int) -> int | None:
        """Cycles from `now` until it next does something by itself, None if it will not."""
        ...

    def state(self) -> State:
        """Everything needed to continue identically."""
        ...

    def restore(self, state: State) -> None:
        """Put `state()` back."""
        ...


class Stateful:
    """state() and restore() of the attributes named in FIELDS."""

    FIELDS: ClassVar[tuple[str, ...]] = ()

    def state(self) -> State:
        """The named attributes, copied into plain data."""
        return {name: _plain(getattr(self, name)) for name in self.FIELDS}

    def restore(self, state: State) -> None:
        """Put the attributes back; a state with other names is refused whole."""
        if state.keys() != set(self.FIELDS):
            odd = sorted(state.keys() ^ set(self.FIELDS))
            raise ValueError(f"this is no state of {type(self).__name__}: {', '.join(odd)}")
        for name in self.FIELDS:
            value, current = state[name], getattr(self, name)
            setattr(
                self, name, type(current)(value) if isinstance(current, bytearray | list | deque) else value
            )


class PassiveDevice(Stateful):
    """A device that does nothing by itself."""

    def cycles_to_event(self, now: int) -> int | None:
        """Never."""
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, bytearray):
        return bytes(value)
    return list(value) if isinstance(value, list | deque) else value
