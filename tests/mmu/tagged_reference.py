"""A tagged TLB in plain Python: an entry belongs to the directory under which it was inserted, or to all."""

from collections import OrderedDict

from tests.mmu.reference import Why

Key = tuple[str, int, int | None]  # "small" and a page or "big" and page // 1024; the directory, None: global


class Array:
    """One translation buffer: a list per set, oldest first."""

    def __init__(self, entries: int, ways: int, fifo: bool) -> None:
        self.ways, self.fifo = ways, fifo
        self.sets: list[list[Key]] = [[] for _ in range(entries // ways)]
        self.frames: dict[Key, int] = {}

    def set_of(self, key: Key) -> list[Key]:
        return self.sets[key[1] % len(self.sets)]


class TaggedTlb:
    """All arrays of one side, the reasons for its misses, and what MOV CR3 and INVLPG do."""

    def __init__(self, arrays: dict[str, Array], directory: int, tags: int) -> None:
        self.arrays = arrays
        self.tags = tags
        self.known: OrderedDict[int, None] = OrderedDict([(directory, None)])  # loaded longest ago first
        self.why: dict[Key, Why] = {}

    @property
    def directory(self) -> int:
        return next(reversed(self.known))

    def keys(self, page: int) -> list[Key]:
        """What may translate `page` now."""
        both = (("small", page), ("big", page // 1024))
        return [(size, number, owner) for size, number in both for owner in (self.directory, None)]

    def held(self) -> set[Key]:
        return {key for array in self.arrays.values() for key in array.frames}

    def lookup(self, page: int) -> int | None:
        """The frame of `page`, or None."""
        found = [key for key in self.keys(page) if key in self.arrays[key[0]].frames]
        if not found:
            return None
        assert len(found) == 1, f"two entries translate page {page:#x}: {found}"
        array = self.arrays[found[0][0]]
        if not array.fifo:
            array.set_of(found[0]).remove(found[0])
            array.set_of(found[0]).append(found[0])
        return array.frames[found[0]] + (page % 1024 if found[0][0] == "big" else 0)

    def drop(self, key: Key, why: Why) -> None:
        array = self.arrays[key[0]]
        if key in array.frames:
            del array.frames[key]
            array.set_of(key).remove(key)
            self.why[key] = why

    def insert(self, key: Key, frame: int) -> None:
        for other in self.held():
            reachable = key[2] is None or other[2] in (key[2], None)
            first, second = (item[1] if item[0] == "big" else item[1] // 1024 for item in (key, other))
            overlap = key[1] == other[1] if key[0] == other[0] else first == second
            if reachable and overlap:
                self.drop(other, "capacity")
        array = self.arrays[key[0]]
        row = array.set_of(key)
        if len(row) == array.ways:
            self.drop(row[0], "capacity")
        row.append(key)
        array.frames[key] = frame
        self.why[key] = "capacity"

    def mov_cr3(self, directory: int) -> None:
        if directory == self.directory:
            for key in self.held():
                if key[2] == directory:
                    self.drop(key, "cr3")
            return
        if directory not in self.known and len(self.known) == self.tags:
            recycled, _ = self.known.popitem(last=False)
            for key in self.held():
                if key[2] == recycled:
                    self.drop(key, "cold")
            self.why = {key: why for key, why in self.why.items() if key[2] != recycled}
        self.known[directory] = None
        self.known.move_to_end(directory)

    def invlpg(self, page: int) -> None:
        for key in self.keys(page):
            self.drop(key, "invlpg")

    def drop_all(self) -> None:
        for key in self.held():
            self.drop(key, "other")
