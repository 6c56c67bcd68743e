from __future__ import annotations

from typing import Any

import pytest

from cria.api.constraints import Constraint
from cria.constraint.compiler import GrammarCompiler
from cria.errors import RequestError
from cria.generation.constraining import Constraining, paths_of
from tests.constraint.byte_grammars import make_compiler, takes

PARAM = "response_format.json_schema.schema"


def schema(value: Any, **more: Any) -> Constraint:
    return Constraint("schema", value, PARAM, **more)


def refusal(constraint: Constraint) -> RequestError:
    with pytest.raises(RequestError) as caught:
        Constraining(make_compiler).grammar(constraint)
    assert caught.value.param == constraint.param
    return caught.value


@pytest.mark.parametrize(
    ("constraint", "text"),
    [
        (schema({"type": "object"}), '{"a":1}'),
        (Constraint("regex", "a+", "regex"), "aa"),
        (Constraint("choice", ["x", "y"], "guided_choice"), "y"),
        (Constraint("grammar", 'root ::= "z"', "grammar"), "z"),
    ],
)
def test_each_kind_becomes_a_grammar(constraint: Constraint, text: str) -> None:
    grammar = Constraining(make_compiler).grammar(constraint)
    assert takes(make_compiler().matcher(grammar.source), text)
    assert (grammar.param, grammar.warnings) == (constraint.param, ())


def test_a_refused_schema_is_named_with_the_place() -> None:
    array = {"type": "array", "uniqueItems": True}
    value = {"type": "object", "properties": {"uniqueItems": {"type": "null"}, "a": array}}
    error = refusal(schema(value, name="list"))
    assert str(error).startswith(
        "Invalid schema for response_format 'list': In context=(properties.a.uniqueItems), "
        'Unimplemented keys: ["uniqueItems"].'
    )
    assert "unless 'strict' is false" in str(error)


def test_other_fields_are_named_as_they_are() -> None:
    error = refusal(Constraint("schema", {"format": "made-up"}, "guided_json"))
    assert str(error).startswith("Invalid schema for 'guided_json': In context=(format), Unknown")
    error = refusal(Constraint("regex", "(", "regex"))
    assert str(error).startswith("Invalid 'regex': ")
    assert error.code == "invalid_value"


def test_what_is_lenient_lists_what_it_does_not_enforce() -> None:
    value = {
        "type": "object",
        "properties": {"a": {"not": {}}, "b": {"format": "made-up"}, "\u00e9\n": {"not": {}}},
    }
    grammar = Constraining(make_compiler).grammar(schema(value, is_lenient=True))
    assert grammar.warnings == (
        f"{PARAM}.properties.a.not",
        f"{PARAM}.properties.b.format",
        f"{PARAM}.properties.??.not",
    )
    assert takes(make_compiler().matcher(grammar.source), '{"a":1}')


def test_what_is_lenient_and_enforceable_has_no_warning() -> None:
    grammar = Constraining(make_compiler).grammar(schema({"type": "null"}, is_lenient=True))
    assert grammar.warnings == ()


def test_lenient_or_not_what_is_no_schema_is_refused() -> None:
    assert "strnig" in str(refusal(schema({"type": "strnig"}, is_lenient=True, name="x")))


def test_a_vocabulary_without_grammars() -> None:
    def make() -> GrammarCompiler:
        raise ValueError("no end")

    constraining = Constraining(make)
    constraining.prepare()
    with pytest.raises(RequestError, match="no end"):
        constraining.grammar(Constraint("regex", "a", "regex"))


def test_paths_go_through_lists_and_not_through_data() -> None:
    deep: Any = {"not": {}}
    for _ in range(3000):
        deep = {"items": deep}
    value = {"anyOf": [{"enum": [{"not": 1}]}, {"not": {}}], "$defs": {"not": {}}, "items": deep}
    first, last = paths_of(value, 'keys: ["not"]')
    assert first == ".anyOf[1].not" and last.endswith(".items.not")
