from __future__ import annotations

import json
import re
from typing import Any

import pytest

from cria.constraint import sources
from cria.constraint.sources import GrammarError
from tests.constraint.byte_grammars import make_compiler, takes

GBNF = 'root ::= "a" tail\ntail ::= [0-9]+\n'
LARK = 'start: "a" /[0-9]+/ | "::="'


def accepts(source: str, text: str, **options: int) -> bool:
    return takes(make_compiler(**options).matcher(source), text)


@pytest.mark.parametrize(
    ("source", "good", "bad"),
    [
        (sources.from_regex("[ab]{2}"), "ab", "abc"),
        (sources.from_choice(['yes "', "no\n"]), 'yes "', "yes"),
        (sources.from_grammar(GBNF), "a12", "a"),
        (sources.from_grammar(LARK), "::=", "b1"),
        (sources.from_json_schema({"type": "integer"}), "12", "1.5"),
        (sources.from_json_schema(True), '{"a": [1]}', "x"),
    ],
)
def test_what_a_grammar_takes(source: str, good: str, bad: str) -> None:
    assert accepts(source, good) and not accepts(source, bad)


def test_blanks_are_bounded() -> None:
    source = sources.from_json_schema({"type": "object"})
    assert accepts(source, '{"a":' + " " * 8 + "1}")
    assert not accepts(source, '{"a":' + " " * 9 + "1}")
    assert not accepts(source, ' {"a":1}')


def test_json_may_begin_with_a_blank_where_all_texts_do() -> None:
    source = sources.from_json_schema({"type": "object"})
    assert accepts(source, ' {"a":1}', opens_with_blank=True)
    assert accepts(source, '{"a":1}', opens_with_blank=True)
    assert not accepts(source, '   {"a":1}', opens_with_blank=True)
    assert not accepts(sources.from_choice(["a"]), " a", opens_with_blank=True)


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"properties": {"a": schema}}
    return schema


@pytest.mark.parametrize("depth", [100, 300, 2000])
def test_a_schema_that_is_nested_deeply(depth: int) -> None:
    with pytest.raises(GrammarError, match="recursion limit|too deeply"):
        make_compiler().matcher(sources.from_json_schema(nested(depth)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("root ::= foo", "foo"),
        ("root ::= " + "(" * 5000, "recursion|deeply"),
        ("start: " + "(" * 5000, "nested"),
        ("hello", "Expected"),
        (' {"grammars": []}', "neither GBNF nor Lark"),
        ('start: "\ud800"', "surrogate"),
        ("x" * (sources.MAX_SOURCE_BYTES + 1), "the most"),
    ],
)
def test_bad_grammars(text: str, reason: str) -> None:
    with pytest.raises(GrammarError, match=reason) as caught:
        make_compiler().matcher(sources.from_grammar(text))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_schema_cannot_loosen_its_own_enforcement() -> None:
    for setting in ({"lenient": True}, {"whitespace_pattern": " *"}, {"coerce_one_of": True}):
        with pytest.raises(GrammarError, match="x-guidance"):
            sources.from_json_schema({"type": "object", "x-guidance": setting})


def test_a_schema_is_as_large_as_it_may_be() -> None:
    with pytest.raises(GrammarError, match="the most"):
        sources.from_json_schema({"enum": ["x" * 1000] * 600})


def test_grammars_together() -> None:
    named = {"number": sources.from_json_schema({"type": "integer"}), "word": "start: /[a-z]+/"}
    source = sources.combine('start: @word "=" @number', named)
    assert accepts(source, "ab=12") and not accepts(source, "ab=c")


def test_the_schema_of_a_grammar() -> None:
    source = sources.from_json_schema({"type": "integer"})
    schema = sources.json_schema_of(source)
    assert schema and schema["type"] == "integer"
    assert accepts(sources.of_json_schema(schema), "12")
    assert sources.json_schema_of("start: /a/") is None


@pytest.mark.parametrize("pattern", ['^[^"]*$', "^[^a]{1,4}$", '^x[^]"]*$'])
def test_a_negated_class_excludes_escapes_too(pattern: str) -> None:
    """In JSON strings llguidance would else take any escape for such a class."""
    source = sources.from_json_schema({"type": "string", "pattern": pattern})
    assert takes(make_compiler().matcher(source), '"xb"' if pattern[1] == "x" else '"b"')
    for escape in ('"\\""', '"x\\""', '"\\u0061"'):
        value = json.loads(escape)
        if not re.search(pattern, value):
            assert not takes(make_compiler().matcher(source), escape)


@pytest.mark.timeout(20)
def test_a_property_named_like_a_keyword_is_no_pattern() -> None:
    schema = {"properties": {"pattern": {"type": "integer"}}, "required": ["pattern"]}
    source = sources.from_json_schema({"type": "object", **schema})
    assert takes(make_compiler().matcher(source), '{"pattern":1}')
