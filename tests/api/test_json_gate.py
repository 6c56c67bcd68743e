from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.api.json_gate import (
    MAX_DEPTH,
    MAX_SCHEMA_DEPTH,
    brackets,
    check_depths,
    check_keys,
    check_shape,
    is_deeper,
    place,
)
from cria.errors import RequestError

JSON = st.recursive(
    st.none() | st.integers() | st.text(alphabet='ab"\\[]{}:,\n\u00e9'),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(alphabet='ab"\\[]{}:', max_size=3), inner, max_size=4)
    ),
    max_leaves=30,
)


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@given(JSON, st.integers(0, 6), st.booleans())
def test_depth_is_that_of_the_value(value: Any, most: int, is_ascii: bool) -> None:
    body = json.dumps(value, ensure_ascii=is_ascii).encode()
    assert is_deeper(brackets(body), most) == (depth_of(value) > most)


@given(st.binary())
def test_any_bytes_are_looked_at(body: bytes) -> None:
    assert set(brackets(body)) <= set(b'[]"')
    assert check_shape(body) is False


def test_brackets_in_strings_do_not_count() -> None:
    assert brackets(rb'{"a[\"[": ["]", "\\", {"[": "\\\"]"}]}') == b"[[[]]]"
    assert check_shape(json.dumps({"code": "[{" * 1000}).encode()) is False


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1, MAX_SCHEMA_DEPTH])
def test_what_only_a_schema_may_be_is_told(depth: int) -> None:
    assert check_shape(b"[" * depth + b"]" * depth) is (depth > MAX_DEPTH)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 129 + b"]" * 129,
        b"[" * 1_000_000,
        b'{"a":' * 100_000,
        (b"[" * 128 + b"[]" + b"]" * 128),
        (b'["x",{"a":' * 70 + b"1" + b"}]" * 70),
    ],
    ids=["array", "open", "objects", "one more", "mixed"],
)
def test_deeper_is_refused_soon(body: bytes) -> None:
    start = time.process_time()
    with pytest.raises(RequestError) as caught:
        check_shape(body)
    assert caught.value.code == "json_too_deep"
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize("item", [b"[],", b"{},", b'["["],', b'{"":"{"},', b"[[[[[[[]]]]]]],"])
def test_millions_of_objects_are_refused_soon(item: bytes) -> None:
    body = b"[" + item * (32 * 2**20 // len(item)) + b"1]"
    start = time.process_time()
    with pytest.raises(RequestError) as caught:
        check_shape(body)
    assert caught.value.code == "json_too_large"
    assert time.process_time() - start < 3


@pytest.mark.parametrize("item", [b"1,", b'"ab",', b'"[[",', b'"\\"[",', b'"\\\\",'])
def test_large_bodies_take_about_a_second(item: bytes) -> None:
    body = b"[" + b"[]," * 100 + item * (32 * 2**20 // len(item)) + b"1]"
    start = time.process_time()
    assert check_shape(body) is False
    assert time.process_time() - start < 3


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_schemas_may_be_deeper() -> None:
    check_depths({"tools": nested(100), "response_format": nested(100), "messages": nested(63)})
    with pytest.raises(RequestError) as caught:
        check_depths({"tools": nested(100), "messages": nested(64)})
    assert (caught.value.param, caught.value.code) == ("messages", "json_too_deep")


def has_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


KEYS = st.sampled_from(["a", "b", ":", "\u003a:", "x:y"])
PAIRS = st.recursive(
    st.sampled_from(["1", '":"', '"\\u003a"', '"\\u003A:"', "1.5", "1e30", "99999999999999999999"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: f"[{','.join(parts)}]")
        | st.lists(st.tuples(KEYS, inner), max_size=3).map(
            lambda pairs: "{" + ", ".join(f"{json.dumps(k)}: {v}" for k, v in pairs) + "}"
        )
    ),
    max_leaves=12,
)


@given(PAIRS)
def test_a_key_that_is_there_twice_is_found_wherever_it_is(text: str) -> None:
    try:
        value = json.loads(text, object_pairs_hook=has_twice)
    except AssertionError:
        with pytest.raises(RequestError) as caught:
            check_keys(text.encode(), json.loads(text))
        assert caught.value.code == "invalid_json"
    else:
        check_keys(text.encode(), value)


def test_the_key_is_named_and_cut() -> None:
    with pytest.raises(RequestError, match="'n' is there twice") as caught:
        check_keys(b'{"n":1,"n":1}', {"n": 1})
    assert caught.value.param == "n"
    name = "k" * 10_000
    with pytest.raises(RequestError) as caught:
        check_keys(f'{{"{name}":1,"{name}":1}}'.encode(), {name: 1})
    assert len(str(caught.value)) < 300


def test_places_are_counted_from_one() -> None:
    assert place(b"ab\ncd", 0) == "line 1, column 1"
    assert place(b"ab\ncd", 4) == "line 2, column 2"
