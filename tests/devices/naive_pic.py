"""A naive priority resolver of an 8259A: a list of priorities and three sets."""


class NaivePic:
    """Priorities as a list, highest first; sets of lines for IRR, ISR and IMR."""

    def __init__(self) -> None:
        self.order = list(range(8))
        self.lines: set[int] = set()
        self.irr: set[int] = set()
        self.isr: set[int] = set()
        self.imr: set[int] = set()
        self.special = False

    def best(self) -> int | None:
        for line in self.order:
            serviced = line in self.isr and not (self.special and line in self.imr)
            if serviced:
                return None
            if line in self.irr and line not in self.imr:
                return line
        return None

    def put_last(self, line: int) -> None:
        while self.order[-1] != line:
            self.order.append(self.order.pop(0))

    def end(self, rotate: bool, line: int | None) -> None:
        if line is None:
            candidates = [x for x in self.order if x in self.isr and not (self.special and x in self.imr)]
            if not candidates:
                return
            line = candidates[0]
        self.isr.discard(line)
        if rotate:
            self.put_last(line)

    def do(self, name: str, value: int) -> int | None:
        line = value & 7
        if name == "raise":
            if line not in self.lines:
                self.irr.add(line)
            self.lines.add(line)
        elif name == "lower":
            self.lines.discard(line)
            self.irr.discard(line)
        elif name == "mask":
            self.imr = {i for i in range(8) if value >> i & 1}
        elif name == "ack":
            best = self.best()
            if best is not None:
                self.irr.discard(best)
                self.isr.add(best)
            return best
        elif name == "special":
            self.special = bool(value & 1)
        elif name == "priority":
            self.put_last(line)
        else:
            self.end("rotate" in name, line if "specific" in name else None)
        return None
