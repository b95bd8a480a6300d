"""What an ingest did, and the small tools that its families share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

T = TypeVar("T")

Advance = Callable[[int], object]
"""Called with the number of items finished since the last call."""

FILES_PER_TRANSACTION = 200
ROWS_PER_TRANSACTION = 2000


class Failure(NamedTuple):
    """A file or line that was left out, and why."""

    name: str
    reason: str


@dataclass
class Report:
    """Counts of what was written, and the names of what was not."""

    registered: int = 0
    updated: int = 0
    unchanged: int = 0
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def fail(self, name: object, reason: object) -> None:
        """Note something that was left out."""
        self.failures.append(Failure(str(name), str(reason)))

    def known(self, *, changed: bool) -> None:
        """Count what was registered before: its row has other values now, or the same ones."""
        self.updated += changed
        self.unchanged += not changed

    @property
    def summary(self) -> str:
        """One line for people."""
        unchanged = f"{self.unchanged} unchanged, " if self.unchanged else ""
        return f"{self.registered} registered, {self.updated} updated, {unchanged}{len(self.failures)} failed"


def ignore(_finished: int) -> None:
    """An :data:`Advance` for callers that show no progress."""


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Consecutive lists of at most ``size`` items."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def absolute(path: Path) -> Path:
    """The path from the root, ``..`` resolved and symbolic links kept, as it is stored."""
    return Path(os.path.abspath(path))


def walk(paths: Iterable[Path], is_wanted: Callable[[Path], bool], *, directories: bool) -> list[Path]:
    """Wanted files (or directories) at and below some paths, absolute, sorted, each once.

    A file or a CASA table that was named itself is always taken. No search goes into a CASA table.
    """
    found: dict[Path, None] = {}
    for start in map(absolute, paths):
        if not start.is_dir() or is_wanted(start) or (directories and _is_casa_table(start)):
            found[start] = None
            continue
        for folder, subfolders, names in os.walk(start):
            candidates = [Path(folder, name) for name in sorted(subfolders if directories else names)]
            found.update(dict.fromkeys(filter(is_wanted, candidates)))
            below = [name for name in sorted(subfolders) if not _is_casa_table(Path(folder, name))]
            subfolders[:] = [name for name in below if not (directories and is_wanted(Path(folder, name)))]
    return list(found)


def _is_casa_table(directory: Path) -> bool:
    return (directory / "table.dat").is_file() or (directory / "table.info").is_file()
