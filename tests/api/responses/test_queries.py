"""Pages in both orders, and queries that are none."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.api.responses.queries import (
    PageQuery,
    StreamQuery,
    page_of,
    page_query,
    stream_query,
    unused_queries,
)
from cria.errors import RequestError


@pytest.mark.parametrize(
    ("args", "query"),
    [
        ({}, PageQuery(True, 20, None)),
        ({"order": "asc", "limit": "1", "after": "x"}, PageQuery(False, 1, "x")),
        ({"limit": "100", "after": ""}, PageQuery(True, 100, None)),
    ],
)
def test_page_queries(args: dict[str, str], query: PageQuery) -> None:
    assert page_query(args) == query


@pytest.mark.parametrize(
    ("args", "query"),
    [
        ({}, StreamQuery()),
        ({"stream": "false"}, StreamQuery()),
        ({"stream": "true"}, StreamQuery(True, 0)),
        ({"stream": "1", "starting_after": "4"}, StreamQuery(True, 5)),
        ({"stream": "True", "starting_after": "-5"}, StreamQuery(True, 0)),
    ],
)
def test_stream_queries(args: dict[str, str], query: StreamQuery) -> None:
    assert stream_query(args) == query


@pytest.mark.parametrize(
    ("read", "args"),
    [
        (page_query, {"order": "up"}),
        (page_query, {"limit": "0"}),
        (page_query, {"limit": "101"}),
        (page_query, {"limit": "x"}),
        (page_query, {"limit": "١"}),
        (page_query, {"limit": "9" * 30}),
        (stream_query, {"stream": "maybe"}),
        (stream_query, {"stream": "true", "starting_after": "1.5"}),
        (stream_query, {"starting_after": "1"}),
    ],
)
def test_what_is_no_value_is_named(read: object, args: dict[str, str]) -> None:
    with pytest.raises(RequestError) as caught:
        read(args)  # type: ignore[operator]
    assert caught.value.param in args


@given(args=st.dictionaries(st.sampled_from(["order", "limit", "after"]), st.text()))
def test_any_query_is_read_or_refused(args: dict[str, str]) -> None:
    try:
        query = page_query(args)
    except RequestError as error:
        assert error.param in args
    else:
        assert 1 <= query.limit <= 100


@given(args=st.dictionaries(st.sampled_from(["stream", "starting_after"]), st.text()))
def test_any_stream_query_is_read_or_refused(args: dict[str, str]) -> None:
    try:
        assert stream_query(args).first >= 0
    except RequestError as error:
        assert error.param in args


@given(count=st.integers(0, 30), limit=st.integers(1, 10), is_descending=st.booleans())
def test_pages_together_are_the_list(count: int, limit: int, is_descending: bool) -> None:
    items = [(f"id{n}", json.dumps(n).encode()) for n in range(count)]
    found: list[int] = []
    after = None
    has_more = True
    while has_more:
        page = page_of(items, PageQuery(is_descending, limit, after))
        decoded = json.loads(msgspec.json.encode(page))
        assert decoded["object"] == "list" and len(decoded["data"]) <= limit
        found += decoded["data"]
        has_more, after = decoded["has_more"], decoded["last_id"]
        assert decoded["data"] or not has_more
    assert found == list(range(count))[:: -1 if is_descending else 1]


def test_after_nothing_that_is_there() -> None:
    with pytest.raises(RequestError) as caught:
        page_of([("a", b"1")], PageQuery(after="b"))
    assert caught.value.param == "after"


def test_queries_that_change_nothing() -> None:
    assert unused_queries(["include[]", "limit"], ["limit"]) == ("include[]",)
