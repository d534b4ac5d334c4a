"""Local APIC priorities with lists of vectors."""


class NaiveVectors:
    def __init__(self) -> None:
        self.waiting: set[int] = set()
        self.serving: list[int] = []
        self.levels: set[int] = set()
        self.tpr = 0

    def accept(self, vector: int, level: bool) -> None:
        self.waiting.add(vector)
        self.levels.discard(vector)
        if level:
            self.levels.add(vector)

    def processor_class(self) -> int:
        return max([self.tpr // 16, *(vector // 16 for vector in self.serving)])

    def take(self) -> int | None:
        allowed = [vector for vector in self.waiting if vector // 16 > self.processor_class()]
        if not allowed:
            return None
        vector = max(allowed)
        self.waiting.discard(vector)
        self.serving.append(vector)
        return vector

    def finish(self) -> tuple[int, bool] | None:
        if not self.serving:
            return None
        vector = max(self.serving)
        self.serving.remove(vector)
        return vector, vector in self.levels
