"""A local APIC timer that counts every bus clock."""

DIVIDE = {0: 2, 1: 4, 2: 8, 3: 16, 8: 32, 9: 64, 10: 128, 11: 1}


class NaiveLapicTimer:
    def __init__(self) -> None:
        self.initial = self.count = self.prescaler = 0
        self.divide = 2
        self.periodic = False
        self.masked = True
        self.expiries: list[int] = []
        self.tick = 0

    def clock(self) -> None:
        self.tick += 1
        self.prescaler += 1
        if self.prescaler < self.divide:
            return
        self.prescaler = 0
        if self.count == 0:
            return
        self.count -= 1
        if self.count == 0:
            if not self.masked:
                self.expiries.append(self.tick)
            if self.periodic:
                self.count = self.initial

    def load(self, value: int) -> None:
        self.initial = self.count = value
        self.prescaler = 0

    def set_divide(self, code: int) -> None:
        if DIVIDE[code] != self.divide:
            self.divide = DIVIDE[code]
            self.prescaler = 0
