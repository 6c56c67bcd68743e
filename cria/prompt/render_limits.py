"""How much time and memory the rendering of one prompt may take.

A template is a program that came with a model. What can run long in it ticks (`template_compiler`),
what can make much of little asks first (`template_guards`), and both end the rendering with a
`RenderLimit`. Time is that of the processor, in the thread that renders: that others keep the
machine busy is no fault of the template. The clock on the wall is asked first, being cheaper.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf
from time import perf_counter
from typing import Any, TypeVar

from jinja2 import TemplateError

CPU_SECONDS = 5.0
MAX_CHARACTERS = 32 * 1024 * 1024
"""Of one text that a template makes; or the items of one list."""
MAX_TOTAL = 16 * MAX_CHARACTERS
"""Of all such texts together, as far as they are `LARGE`."""
LARGE = 10_000
_ITEM_CHARACTERS = 4
"""Of quotes, commas and blanks around each part of a list."""

Item = TypeVar("Item")


class RenderLimit(TemplateError):
    """The rendering would take too long, or too much memory."""


class Budget:
    """What is left for one rendering."""

    def __init__(self, seconds: float = inf, total: float = inf) -> None:
        self.cpu_end = time.thread_time() + seconds
        self.deadline = perf_counter() + seconds
        """Before it, the processor time cannot be over either."""
        self.left = total
        """Characters that large texts may still have."""

    def look(self) -> None:
        """The deadline is over; put it off by the processor time that is left, or end."""
        left = self.cpu_end - time.thread_time()
        if left <= 0:
            raise RenderLimit("it takes too long")
        self.deadline = perf_counter() + left

    def take(self, size: int) -> None:
        self.left -= size
        if size > MAX_CHARACTERS or self.left < 0:
            raise RenderLimit("it makes too much of them")


_budget: ContextVar[Budget] = ContextVar("render_budget", default=Budget())  # noqa: B039 - unlimited


@contextmanager
def limited() -> Iterator[None]:
    """Whatever is rendered inside, in this thread, has all limits; without, single texts have."""
    token = _budget.set(Budget(CPU_SECONDS, MAX_TOTAL))
    try:
        yield
    finally:
        _budget.reset(token)


def current_budget() -> Budget:
    """Of the rendering in this thread."""
    return _budget.get()


def tick() -> None:
    """RenderLimit if the time is over; called wherever something may be repeated."""
    budget = _budget.get()
    if perf_counter() > budget.deadline:
        budget.look()


def take(size: int) -> None:
    """Account for a text of so many characters that is about to be made."""
    if size > LARGE:
        _budget.get().take(size)


def fits(value: Any) -> Any:
    """The same value, which has just been made."""
    if isinstance(value, (str, list, tuple)) and len(value) > LARGE:
        _budget.get().take(len(value))
    return value


def watched(items: Iterable[Item]) -> Iterator[Item]:
    """The same items, with a tick for each."""
    for item in items:
        tick()
        yield item


def size_of(value: Any) -> int:
    """About how many characters a value has when it is written; RenderLimit if too many.

    Lists that hold each other twice, again and again, are long in writing and short in memory.
    """
    if isinstance(value, str):
        return len(value)
    size, rest = 0, [value]
    while rest:
        item = rest.pop()
        if isinstance(item, str):
            size += len(item)
        elif isinstance(item, (dict, list, tuple, set, frozenset)):
            tick()
            rest += item
            rest += item.values() if isinstance(item, dict) else ()
        size += _ITEM_CHARACTERS
        if size > MAX_CHARACTERS:
            raise RenderLimit("it makes too much of them")
    return size
