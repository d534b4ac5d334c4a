"""A block that goes on into a page that can't be fetched: what lies before the page's end runs first.

The engine translates a whole block before it runs any of it, so the fetch faults while EIP is still at the
block's start::

    EIP -> | inst | inst | inst |in|st   <- the fault's page begins here, or the instruction behind does
           '------- run these -------'      with the page
                                 ^ the fault belongs here

So the block is run once more with an exit in front of that instruction; then the fetch fails again, at it.
"""

from emulator.cpu.decode import whole_instructions
from emulator.cpu.engine import Engine
from emulator.cpu.registers import HF_CS32


class PageEnd:
    """Runs up to the end of a page, for one processor."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._start = self._size = 0

    def begins(self, code: bytes) -> bool:
        """Set an exit in front of the instruction that can't be fetched whole. False: EIP is there already.

        `code` is what lies between CS:EIP and the end of its page.
        """
        r = self.engine.registers
        last = whole_instructions(code, 32 if r.hflags & HF_CS32 else 16)
        if not last:
            return False
        self._start, self._size = r.linear_eip, last
        # a translation of both pages would be found, and fault again
        self.engine.retranslate(self._start, last)
        self.engine.uc.ctl_set_exits([self._start + last])
        return True

    def ends(self) -> bool:
        """After a run: take the exit away. Did the engine stop at it?"""
        if not self._size:
            return False
        engine, s = self.engine, self.engine.state
        engine.uc.ctl_set_exits([])
        reached = engine.registers.linear_eip == self._start + self._size and not s.stop and not s.fault
        if reached:
            engine.retranslate(self._start, self._size)
        else:
            engine.forget_translations()  # a handler may have switched to where the block isn't mapped
        self._size = 0
        return reached
