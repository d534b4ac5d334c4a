"""Unicorn alone, with its own MMU and no hooks: what the model's speed is compared with."""

import time

from unicorn import UC_ARCH_X86, UC_MODE_32, Uc

from loader.image import Image


def run_bare(image: Image, memory_bytes: int, until: int) -> float:
    """Run a flat 32-bit image until linear address `until`; host CPU seconds."""
    engine = Uc(UC_ARCH_X86, UC_MODE_32)
    engine.mem_map(0, memory_bytes)
    for segment in image.segments:
        engine.mem_write(segment.address, segment.data)
    start = time.thread_time()
    engine.emu_start(image.entry.eip, until)
    return time.thread_time() - start
