"""A naive counter of an 8254, clocked pulse by pulse."""

from dataclasses import dataclass, field


@dataclass
class NaiveCounter:
    """One CLK pulse at a time, no shortcuts."""

    mode: int = 0
    modulus: int = 0x10000
    count: int | None = None  # what CR says, None before it is written
    ce: int = 0
    out: bool = True
    gate: bool = True
    null: bool = True
    loading: bool = False
    running: bool = False
    strobe: bool = False
    half_odd: bool = False
    edges: list[tuple[int, bool]] = field(default_factory=list)
    now: int = 0

    def drive(self, level: bool) -> None:
        if level != self.out:
            self.edges.append((self.now, level))
        self.out = level

    def control(self, mode: int, bcd: bool) -> None:
        self.mode, self.modulus = mode, 10000 if bcd else 0x10000
        self.count, self.null = None, True
        self.loading = self.running = self.strobe = False
        self.drive(mode != 0)

    def write(self, count: int) -> None:
        self.count, self.null = count or self.modulus, True
        if self.mode == 0:
            self.drive(False)
        if self.mode in (0, 4) or (self.mode in (2, 3) and not self.running):
            self.loading = True

    def set_gate(self, level: bool) -> None:
        rising, falling = level and not self.gate, self.gate and not level
        self.gate = level
        if rising and self.count is not None and self.mode in (1, 2, 3, 5):
            self.loading = True
        if falling and self.mode in (2, 3):
            self.drive(True)

    def reload(self) -> None:
        assert self.count is not None
        self.loading, self.null, self.running = False, False, True
        self.ce = self.count - self.count % 2 if self.mode == 3 else self.count
        self.half_odd = self.count % 2 == 1
        self.strobe = self.mode in (4, 5)

    def clock(self) -> None:
        self.now += 1
        if self.loading:
            self.reload()
            if self.mode != 0:
                self.drive(self.mode != 1)
            return
        if self.mode in (4, 5) and not self.out:
            self.drive(True)
        if not self.running or (not self.gate and self.mode in (0, 2, 3, 4)):
            return
        if self.mode == 2:
            if self.ce == 1:
                self.reload()
                self.drive(True)
            else:
                self.ce -= 1
                if self.ce == 1:
                    self.drive(False)
        elif self.mode == 3:
            ends_at = 0 if self.half_odd and self.out else 2
            if self.ce == ends_at:
                self.reload()
                self.drive(not self.out)
            else:
                self.ce -= 2
        else:
            self.ce = (self.ce - 1) % self.modulus
            if self.ce == 0:
                if self.mode in (0, 1):
                    self.drive(True)
                elif self.strobe:
                    self.strobe = False
                    self.drive(False)
