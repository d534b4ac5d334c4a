"""Published figures, one TOML file per benchmark: the figure, its source, and the title of its row."""

import tomllib
from importlib import resources

import msgspec
from msgspec import Struct


class PublishedRow(Struct, frozen=True, forbid_unknown_fields=True):
    """One row; `text` is the source's own wording."""

    name: str
    title: str
    short: str
    published: int | None = None
    text: str = ""


class PublishedRatio(Struct, frozen=True, forbid_unknown_fields=True):
    """Two rows whose quotient is worth comparing."""

    of: str
    to: str


class Published(Struct, frozen=True, forbid_unknown_fields=True):
    """The reference figures of one benchmark."""

    source: str
    machine: str
    profile: str
    row: list[PublishedRow]
    ratio: list[PublishedRatio]

    def find(self, name: str) -> PublishedRow:
        """The row of that name; a row nobody published gets its name as title."""
        for row in self.row:
            if row.name == name:
                return row
        return PublishedRow(name=name, title=name, short=name)


def load_published(benchmark: str) -> Published:
    """Read the reference figures of a benchmark."""
    text = (resources.files(__name__) / f"{benchmark}.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), Published)
