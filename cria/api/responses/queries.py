"""The query of a GET: pages of items, and where a stream is told again from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from cria.errors import RequestError

MAX_LIMIT = 100
DEFAULT_LIMIT = 20
FLAGS = {"true": True, "1": True, "false": False, "0": False}


class PageQuery(NamedTuple):
    """Which part of a list to show."""

    is_descending: bool = True
    limit: int = DEFAULT_LIMIT
    after: str | None = None
    """The id of the last one that the client has."""


class ItemPage(msgspec.Struct):
    """One page."""

    data: list[msgspec.Raw]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: str = "list"


class StreamQuery(NamedTuple):
    """Whether a stored response is wanted as a stream, and the number of its first event."""

    stream: bool = False
    first: int = 0


def page_query(args: Mapping[str, str]) -> PageQuery:
    """RequestError for a value that is none."""
    order = args.get("order", "desc")
    if order not in ("asc", "desc"):
        raise _invalid("order", order, "'asc' or 'desc'")
    limit = _number(args, "limit", DEFAULT_LIMIT)
    if not 1 <= limit <= MAX_LIMIT:
        raise _invalid("limit", args["limit"], f"an integer from 1 to {MAX_LIMIT}")
    return PageQuery(order == "desc", limit, args.get("after") or None)


def stream_query(args: Mapping[str, str]) -> StreamQuery:
    """RequestError for a value that is none."""
    text = args.get("stream", "false").lower()
    if text not in FLAGS:
        raise _invalid("stream", args["stream"], "true or false")
    number = _number(args, "starting_after", -1)
    if FLAGS[text]:
        return StreamQuery(True, max(0, number + 1))
    if "starting_after" in args:
        raise RequestError(
            "Invalid 'starting_after': it is only allowed with 'stream=true'.",
            param="starting_after",
            code="invalid_value",
        )
    return StreamQuery()


def page_of(items: Sequence[tuple[str, bytes]], query: PageQuery) -> ItemPage:
    """The page of items that are in the order of time; RequestError if `after` is none of them."""
    ordered = list(reversed(items)) if query.is_descending else list(items)
    start = 0 if query.after is None else _index_of(query.after, ordered) + 1
    shown = ordered[start : start + query.limit]
    return ItemPage(
        data=[msgspec.Raw(body) for _, body in shown],
        first_id=shown[0][0] if shown else None,
        last_id=shown[-1][0] if shown else None,
        has_more=start + len(shown) < len(ordered),
    )


def unused_queries(args: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """The names of the query that change nothing."""
    return tuple(sorted(set(args) - set(known)))


def _index_of(item_id: str, items: Sequence[tuple[str, bytes]]) -> int:
    for index, (each, _) in enumerate(items):
        if each == item_id:
            return index
    raise _invalid("after", item_id, "the id of an item of this response")


def _number(args: Mapping[str, str], name: str, default: int) -> int:
    text = args.get(name)
    if text is None:
        return default
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        raise _invalid(name, text, "an integer")
    return int(text)


def _invalid(name: str, value: str, expected: str) -> RequestError:
    return RequestError(
        f"Invalid '{name}': expected {expected}, but got '{value[:60]}' instead.",
        param=name,
        code="invalid_value",
    )
