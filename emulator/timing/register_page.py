"""Loads from a page of device registers, compiled: most of them need no Python.

An MMIO region and not memory with hooks: any hook for loads or stores, wherever it is, makes Unicorn
translate every load and store of the guest for its slow path.
"""

from typing import Any

from emulator.compiled import call3, callback, load_u8
from emulator.jit import carray, types
from emulator.timing.state import STATE_POINTER


@callback(types.uint64(types.int64, types.int64, types.uint32, STATE_POINTER))
def on_register_read(engine: Any, offset: Any, size: Any, state: Any) -> Any:
    """uc_cb_mmio_read_t: the bytes in `register_page`, once Python has brought a volatile one up to date."""
    s = carray(state, (1,))[0]
    if load_u8(s.register_volatile + offset):
        call3(s.register_refresh, offset, 0, 0)
    value = 0
    for i in range(size):
        value |= load_u8(s.register_page + offset + i) << (8 * i)
    return value
