from __future__ import annotations

from typing import Any

import pytest

from cria.constraint import sources
from cria.formats.argument_grammar import ArgumentGrammar
from cria.formats.known_tools import GEMMA, KIMI_K3, LFM2
from cria.formats.rules import Rules
from cria.formats.special import SpecialTexts
from cria.formats.tool_format import KeyedArguments
from tests.constraint.byte_grammars import make_compiler, takes

TAGGED = KeyedArguments("<k>", "</k><v>", "</v>")
COMPILER = make_compiler()


def accepts(keyed: KeyedArguments | None, properties: Any, text: str, **schema: Any) -> bool:
    assert keyed
    whole = {"type": "object", "properties": properties, **schema}
    rules = Rules(SpecialTexts({}))
    source = sources.from_json_schema(whole)
    rule = ArgumentGrammar(rules, keyed, source).rule()
    return takes(COMPILER.matcher(rules.source(rule)), text)


def test_order_and_presence() -> None:
    properties = {"a": {"type": "string"}, "b": {"type": "integer"}, "c": {"type": "string"}}
    a, b, c = "<k>a</k><v>x</v>", "<k>b</k><v>1</v>", "<k>c</k><v>y</v>"
    good = [b, a + b, b + c, a + b + c]
    bad = ["", a, b + a, a + c, b + b]
    assert all(accepts(TAGGED, properties, text, required=["b"]) for text in good)
    assert not any(accepts(TAGGED, properties, text, required=["b"]) for text in bad)
    assert accepts(TAGGED, properties, "")


@pytest.mark.parametrize("keys", ["", "a", "b", "ab"])
def test_what_stands_between(keys: str) -> None:
    assert LFM2.keyed
    text = "(" + ", ".join(f"{key}='x'" for key in keys) + ")"
    properties = {key: {"type": "string"} for key in "ab"}
    assert accepts(LFM2.keyed, properties, text)
    assert not accepts(LFM2.keyed, properties, text.replace("(", "(, "))


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string"}, "a <b> </k>\n", None),
        ({"enum": ["red", "blue"]}, "red", "green"),
        ({"const": "red"}, "red", "re"),
        ({"type": "string", "pattern": "^[0-9]{3}$"}, "123", "12"),
        ({"type": "string", "pattern": "b"}, "abc", "ac"),
        ({"type": "integer"}, "12", "1.5"),
        ({"type": "boolean"}, "true", "True"),
        ({"type": "array", "items": {"type": "integer"}}, "[1, 2]", '["a"]'),
        ({"$ref": "#/$defs/n"}, '{"n": {"n": {}}}', '{"n": 1}'),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "null", "x"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "x", None),
        ({}, "anything", None),
    ],
)
def test_tagged_values(schema: Any, good: str, bad: str | None) -> None:
    node = {"properties": {"n": {"$ref": "#/$defs/n"}}, "type": "object"}
    node["additionalProperties"] = False
    options = {"required": ["a"], "$defs": {"n": node}}
    assert accepts(TAGGED, {"a": schema}, f"<k>a</k><v>{good}</v>", **options)
    assert bad is None or not accepts(TAGGED, {"a": schema}, f"<k>a</k><v>{bad}</v>", **options)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string"}, ["'it'", '"it"', r"'i\'t'"], ["it", "'i't'"]),
        ({"type": "integer"}, ["12", "-1"], ["1.5", "'1'", "01"]),
        ({"type": "number"}, ["1.5", "1e3"], ["x"]),
        ({"type": "boolean"}, ["True"], ["true"]),
        ({"type": ["integer", "null"]}, ["None", "1"], ["null"]),
        ({"type": "array"}, ["[]", "[1, 'a', [True]]"], ["[", "[1,]"]),
        ({"type": "object"}, ["{}", "{'a': 1, 'b': ['c']}"], ["{a: 1}"]),
        ({"enum": ["a", 1]}, ["'a'", "1"], ["a", "2"]),
    ],
)
def test_values_of_python(schema: Any, good: list[str], bad: list[str]) -> None:
    taken = [accepts(LFM2.keyed, {"k": schema}, f"(k={text})") for text in (*good, *bad)]
    assert taken == [True] * len(good) + [False] * len(bad)


def test_quoted_values() -> None:
    schema = {"s": {"type": "string"}, "o": {"type": "object"}, "b": {"type": "boolean"}}
    text = '{s:<|"|>it\'s "x"<|"|>,o:{a:[1,<|"|>y<|"|>]},b:true}'
    assert accepts(GEMMA.keyed, schema, text, required=["s", "o", "b"])
    assert not accepts(GEMMA.keyed, schema, text.replace("true", "yes"))


def test_a_format_that_tells_text_from_json() -> None:
    argument = '<|open|>argument key="a" type="%s"<|sep|>%s<|close|>argument<|sep|>'
    schema = {"a": {"type": ["string", "integer"]}}
    assert accepts(KIMI_K3.keyed, schema, argument % ("string", "x"))
    assert accepts(KIMI_K3.keyed, schema, argument % ("number", "1"))
    assert not accepts(KIMI_K3.keyed, schema, argument % ("number", "x"))


def test_an_object_without_properties() -> None:
    assert accepts(TAGGED, {}, "<k>any</k><v>1</v><k>key</k><v>x</v>")
    assert accepts(TAGGED, {}, "", additionalProperties=False)
    assert not accepts(TAGGED, {}, "<k>any</k><v>1</v>", additionalProperties=False)
