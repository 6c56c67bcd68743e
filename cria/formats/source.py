"""`Source`: the text of one answer as it comes, and how it is read.

What reads it is a generator that yields whenever it needs more text, so that a reader looks as if
the whole answer were there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

from cria.formats.marks import Marks

T = TypeVar("T")
Reading = Generator[None, None, T]
"""Yields until there is more text, or the end; returns what was read."""

MAX_SPACE = 64
"""Characters of blanks inside a mark: what is tried is held back, and must have an end."""
MAX_WORD = 128
"""Characters of a name or an id."""

_WORD = re.compile(r"[\w.-]*")
_SPACE = re.compile(r"\s*")
_JOINTS = re.compile(r"""\s+|(?<=[{\[,:])(?=["{\[])|(?<=["}\]])(?=[}\],:])""")
"""Where JSON may have blanks or not, whatever a template writes."""


class Source:
    """Text that can be read, and read again from where it was held."""

    def __init__(self) -> None:
        self.text = ""
        self.pos = 0
        """Everything before it has been read."""
        self.is_closed = False
        """No more text will come."""
        self._held: list[int] = []

    def add(self, text: str) -> None:
        """More text; what has been read and is not held is forgotten."""
        if not self._held:
            self.text = self.text[self.pos :] + text
            self.pos = 0
            return
        cut = self._held[0]
        self.text = self.text[cut:] + text
        self.pos -= cut
        self._held = [held - cut for held in self._held]

    @property
    def is_over(self) -> bool:
        """All of the answer has been read."""
        return self.is_closed and self.pos >= len(self.text)

    def hold(self) -> None:
        """`back` will return to here."""
        self._held.append(self.pos)

    def back(self) -> None:
        self.pos = self._held.pop()

    def let_go(self) -> None:
        """There is no way back any more."""
        self._held.pop()

    @property
    def held_text(self) -> str:
        """What has been read since it was held."""
        return self.text[self._held[-1] : self.pos]

    def take(self, end: int) -> str:
        """The text up to this position of `text`."""
        taken = self.text[self.pos : end]
        self.pos = end
        return taken


class _Literal(NamedTuple):
    atoms: tuple[tuple[str, bool], ...]
    """Texts without blanks, and whether there may be blanks before."""
    needs_space: bool
    """A word at its end must not go on."""


@lru_cache(maxsize=512)
def _compile(text: str) -> _Literal:
    atoms = [atom for atom in _JOINTS.split(text.strip()) if atom]
    is_spaced = text[:1].isspace() or text.strip()[:1] in ("}", "]", ",", ":")
    spaced = [is_spaced] + [True] * len(atoms)
    ends_word = text[-1:].isspace() and (not atoms or atoms[-1][-1].isalnum())
    return _Literal(tuple(zip(atoms, spaced, strict=False)), ends_word)


def trigger(literal: str) -> str:
    """The text with which it certainly begins; "" if it is nothing but blanks."""
    atoms = _compile(literal).atoms
    return atoms[0][0] if atoms else ""


def _spaced_trigger(literal: str) -> str:
    return literal[: len(literal) - len(literal.lstrip())] + trigger(literal)


def read_space(source: Source, limit: int | None = None) -> Reading[str]:
    """The blanks that come next, up to a number of characters."""
    found: list[str] = []
    size = 0
    while True:
        end = len(source.text) if limit is None else source.pos + limit - size
        match = _SPACE.match(source.text, source.pos, end)
        assert match
        found.append(source.take(match.end()))
        size += len(found[-1])
        if source.pos < len(source.text) or source.is_closed or size == limit:
            return "".join(found)
        yield


def read_word(source: Source) -> Reading[str]:
    """The name that comes next; "" for none, or one without an end."""
    while True:
        match = _WORD.match(source.text, source.pos)
        assert match
        end = match.end()
        if end - source.pos > MAX_WORD:
            return ""
        if end < len(source.text) or source.is_closed:
            return source.take(end)
        yield


def read_literal(source: Source, literal: str) -> Reading[bool]:
    """Whether this text comes next; it may differ in its blanks, those at its end are left.

    If not, some of it may have been read; all of the answer, if only its end was missing.
    """
    compiled = _compile(literal)
    for atom, is_spaced in compiled.atoms:
        if is_spaced:
            yield from read_space(source, MAX_SPACE)
        if not (yield from _read_atom(source, atom)):
            return False
    while compiled.needs_space and source.pos >= len(source.text) and not source.is_closed:
        yield
    return not compiled.needs_space or source.text[source.pos : source.pos + 1].isspace()


def _read_atom(source: Source, atom: str) -> Reading[bool]:
    while True:
        text = source.text[source.pos : source.pos + len(atom)]
        if text == atom:
            source.pos += len(atom)
            return True
        if not atom.startswith(text):
            return False
        if source.is_closed:
            source.pos += len(text)
            return False
        yield


def skip_exactly(source: Source, text: str) -> Reading[None]:
    """Pass this text if it comes next."""
    source.hold()
    if (yield from _read_atom(source, text)):
        source.let_go()
    else:
        source.back()


def try_literal(source: Source, *literals: str) -> Reading[int | None]:
    """Which of these texts comes next; with none of them nothing is read."""
    for number, literal in enumerate(literals):
        source.hold()
        if (yield from read_literal(source, literal)):
            source.let_go()
            return number
        source.back()
    return None


def read_until(
    source: Source, literals: Sequence[str], sink: Callable[[str], None], limit: int | None = None
) -> Reading[int | None]:
    """Give the text before the first of these to `sink` as it comes; which it was.

    Blanks with which such a text begins are no part of what is before it. None if the answer ends
    before, or if there were more than `limit` characters.
    """
    marks = Marks.of(*map(trigger, literals), *map(_spaced_trigger, literals))
    size = 0
    while True:
        window, base = source.text, 0
        if limit is not None:
            base = source.pos
            window = window[base : base + limit + 1]
        found = marks.search(window, source.pos - base)
        size += base + found.start - source.pos
        sink(source.take(base + found.start))
        if limit is not None and size > limit:
            return None
        if found.is_whole:
            number = yield from try_literal(source, *literals)
            if number is not None:
                return number
            size += 1
            sink(source.take(source.pos + 1))
        elif found.start and base + len(window) < len(source.text):
            continue
        elif source.is_closed:
            sink(source.take(len(source.text)))
            return None
        else:
            yield
