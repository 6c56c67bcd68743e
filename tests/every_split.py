"""A streaming stage must not care how its input is cut: try every cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol


class Stage(Protocol):
    """What all output stages are."""

    def feed(self, piece: Any) -> str: ...
    def flush(self) -> str: ...


def run_stage(stage: Stage, pieces: Iterable[Sequence[Any]]) -> str:
    """Everything that comes out of a stage."""
    return "".join([stage.feed(piece) for piece in pieces]) + stage.flush()


def splits(whole: Sequence[Any]) -> Iterator[list[Sequence[Any]]]:
    """The whole, item by item, and every cut in two."""
    yield [whole]
    yield [whole[i : i + 1] for i in range(len(whole))]
    for i in range(len(whole) + 1):
        yield [whole[:i], whole[i:]]


def check_every_split(make_stage: Callable[[], Stage], whole: Sequence[Any], expected: str) -> None:
    """A fresh stage gives `expected` for each way to cut the input."""
    for pieces in splits(whole):
        assert run_stage(make_stage(), pieces) == expected, pieces
