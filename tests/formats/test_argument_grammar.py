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


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "array", "items": {"enum": ["x", "y"]}}, '[<|"|>x<|"|>]', '[<|"|>z<|"|>]'),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 2}, "[1,2]", "[1,2,3]"),
        ({"type": "array", "items": {}, "minItems": 2}, "[1,true]", "[1]"),
        ({"type": "array", "maxItems": 0}, "[]", "[1]"),
        ({"type": "object", "properties": {"k": {"const": 5}}, "required": ["k"]}, "{k:5}", "{}"),
        ({"type": "object", "additionalProperties": {"type": "null"}}, "{a:null}", "{a:1}"),
        ({"type": "object", "properties": {"a,b": {}}}, '{<|"|>a,b<|"|>:1}', "{a,b:1}"),
        ({"type": "integer", "minimum": 3}, "3", "2"),
        ({"anyOf": [{"const": "x"}, {"type": "null"}]}, "null", '<|"|>y<|"|>'),
        ({"$ref": "#/$defs/tree"}, "{kids:[{kids:[]}]}", "{kids:[1]}"),
    ],
)
def test_quoted_values_inside_of_values(schema: Any, good: str, bad: str) -> None:
    kids = {"type": "array", "items": {"$ref": "#/$defs/tree"}}
    tree = {"type": "object", "properties": {"kids": kids}, "additionalProperties": False}
    for value, is_good in ((good, True), (bad, False)):
        text = f"{{k:{value}}}"
        assert accepts(GEMMA.keyed, {"k": schema}, text, **{"$defs": {"tree": tree}}) == is_good


@pytest.mark.parametrize(
    ("whole", "good", "bad"),
    [
        ({"$ref": "#/$defs/x"}, "<k>x</k><v>1</v>", ""),
        ({"anyOf": [{"$ref": "#/$defs/x"}, {"$ref": "#/$defs/y"}]}, "<k>y</k><v>1</v>", ""),
        ({"allOf": [{"$ref": "#/$defs/x"}]}, "<k>x</k><v>1</v>", "<k>x</k><v>a</v>"),
        ({"properties": {"x": {}}, "minProperties": 1}, "<k>x</k><v>1</v>", ""),
        ({"additionalProperties": {"type": "integer"}}, "<k>z</k><v>1</v>", "<k>z</k><v>a</v>"),
        ({"properties": {"x": {"$ref": "#"}}}, '<k>x</k><v>{"x": {}}</v>', "<k>x</k><v>1</v>"),
    ],
)
def test_what_the_whole_says(whole: Any, good: str, bad: str) -> None:
    def needs(key: str) -> dict[str, Any]:
        inside = {"type": "object", "properties": {key: {"type": "integer"}}, "required": [key]}
        return inside | {"additionalProperties": False}

    schema = {"type": "object", "$defs": {"x": needs("x"), "y": needs("y")}, **whole}
    if "$ref" in whole:
        del schema["type"]
    rules = Rules(SpecialTexts({}))
    rule = ArgumentGrammar(rules, TAGGED, sources.from_json_schema(schema)).rule()
    matcher = COMPILER.matcher(rules.source(rule))
    assert takes(matcher, good)
    assert not takes(COMPILER.matcher(rules.source(rule)), bad)


def test_schemas_that_refer_to_themselves_are_followed_once() -> None:
    loop = {"anyOf": [{"$ref": "#/$defs/loop"}] * 500 + [{"type": "string", "maxLength": 2}]}
    schema = {"a": {"$ref": "#/$defs/loop"}}
    for keyed, text in ((TAGGED, "<k>a</k><v>%s</v>"), (GEMMA.keyed, '{a:<|"|>%s<|"|>}')):
        assert accepts(keyed, schema, text % "xy", **{"$defs": {"loop": loop}})
        assert not accepts(keyed, schema, text % "xyz", **{"$defs": {"loop": loop}})


def test_a_constrained_text_holds_no_mark() -> None:
    schema = {"a": {"type": "string", "minLength": 3}}
    assert accepts(TAGGED, schema, "<k>a</k><v>abc</v>")
    assert not accepts(TAGGED, schema, "<k>a</k><v></v><</v>")


def test_a_control_token_as_mark_does_not_make_text_empty() -> None:
    rules = Rules(SpecialTexts({"</v>": 256}))
    assert "?" not in rules.until("</v>", ("b+",))
    assert "?" in rules.until("</v>", ("b*",))


def test_more_than_could_be_compiled_is_refused() -> None:
    big = {"enum": ["x" * 1000] * 300}
    properties = {
        f"k{n}": {"type": "array", "items": {"$ref": "#/$defs/n"}, "maxItems": n} for n in range(9)
    }
    with pytest.raises(sources.GrammarError, match="bytes"):
        accepts(KIMI_K3.keyed, properties, "", **{"$defs": {"n": {"type": "integer"}, "big": big}})


@pytest.mark.parametrize("most", [500, 5000, 100_000])
def test_texts_of_any_length_can_be_asked_for(most: int) -> None:
    properties = {f"k{n}": {"type": "string", "maxLength": most} for n in range(40)}
    text = f"<k>k0</k><v>{'x' * 300}</v><k>k39</k><v></v>"
    assert accepts(TAGGED, properties, text)


@pytest.mark.parametrize("values", [["</v>"], []])
def test_a_value_that_could_not_be_read_is_refused(values: list[str]) -> None:
    with pytest.raises(sources.GrammarError, match="none of the texts"):
        accepts(TAGGED, {"a": {"enum": values}}, "")
    assert accepts(TAGGED, {"a": {"enum": [*values, "b"]}}, "<k>a</k><v>b</v>")


@pytest.mark.parametrize("keyed", [TAGGED, GEMMA.keyed, KIMI_K3.keyed])
def test_thousands_of_values(keyed: KeyedArguments) -> None:
    schema = {"a": {"enum": [f"value {number}" for number in range(20_000)]}}
    written = {
        TAGGED: "<k>a</k><v>%s</v>",
        GEMMA.keyed: '{a:<|"|>%s<|"|>}',
        KIMI_K3.keyed: '<|open|>argument key="a" type="string"<|sep|>%s<|close|>argument<|sep|>',
    }[keyed]
    assert accepts(keyed, schema, written % "value 19999")
    assert not accepts(keyed, schema, written % "value 20000")


def test_a_blank_before_the_mark_is_the_marks() -> None:
    keyed = KeyedArguments("<k>", "</k><v>", "\n</v>")
    for schema in ({"enum": ["x", "x\n"]}, {"type": "string", "pattern": "^x\n?$"}):
        good = ["x\n", "x\n\n"]
        assert all(accepts(keyed, {"a": schema}, f"<k>a</k><v>{text}</v>") for text in good)
        assert not accepts(keyed, {"a": schema}, "<k>a</k><v>x</v>")
    assert accepts(keyed, {"a": {"type": "string"}}, "<k>a</k><v>x</v>")
