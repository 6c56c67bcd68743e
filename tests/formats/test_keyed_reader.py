from __future__ import annotations

import pytest

from cria.formats.keyed_reader import MAX_KEY, KeyedReader, ReadableTool
from cria.formats.source import Source
from cria.formats.tool_format import KeyedArguments
from tests.every_split import splits
from tests.formats.answers import DSML, GEMMA, GLM, LFM2, QWEN_CODER, SCHEMA
from tests.formats.test_source import run

TOOL = ReadableTool("f", SCHEMA)


def read(keyed: KeyedArguments | None, text: str, tool: ReadableTool = TOOL) -> tuple[str, str]:
    """The arguments, and what is left of the text; "cut" if they are not complete."""
    assert keyed
    results = set()
    for chunks in splits(text):
        source, found = Source(), list[str]()
        reader = KeyedReader(source, keyed, '<|"|>', tool, found.append)
        is_complete = run(source, reader.read(), list(chunks))
        results.add(("".join(found), source.text[source.pos :] if is_complete else "cut"))
    assert len(results) == 1
    return results.pop()


def test_text_and_json() -> None:
    text = "<parameter=text>\n5\n\n</parameter>\n<parameter=number>5</parameter>\n</function>"
    assert read(QWEN_CODER.keyed, text) == ('{"text": "5\\n", "number": 5}', "</function>")


def test_keys_between_marks() -> None:
    text = "<arg_key>a</arg_key>\n<arg_value>[1]</arg_value>\n</tool_call>"
    assert read(GLM.keyed, text) == ('{"a": [1]}', "</tool_call>")


def test_the_format_tells_text() -> None:
    text = (
        '<｜DSML｜parameter name="a" string="true">5</｜DSML｜parameter>\n'
        '<｜DSML｜parameter name="b" string="false">5</｜DSML｜parameter>'
    )
    assert read(DSML.keyed, text + "<") == ('{"a": "5", "b": 5', "cut")
    assert read(DSML.keyed, text + "</f") == ('{"a": "5", "b": 5}', "</f")


@pytest.mark.parametrize(
    ("keyed", "text", "arguments"),
    [
        (LFM2.keyed, "(a='b', c=[1, 2])]", '{"a": "b", "c": [1, 2]}'),
        (LFM2.keyed, "()]", "{}"),
        (GEMMA.keyed, '{a:<|"|>}<|"|>,b:{c:1}}]', '{"a": "}", "b": {"c": 1}}'),
        (GEMMA.keyed, "{}]", "{}"),
        (QWEN_CODER.keyed, "]", "{}"),
    ],
)
def test_brackets(keyed: KeyedArguments, text: str, arguments: str) -> None:
    assert read(keyed, text) == (arguments, "]")


@pytest.mark.parametrize(
    ("keyed", "text", "arguments"),
    [
        (LFM2.keyed, "(a='b', c='", '{"a": "b"'),
        (LFM2.keyed, "(a", ""),
        (QWEN_CODER.keyed, "<parameter=a>\n5</parameter>\n<parameter=b", '{"a": 5'),
        (QWEN_CODER.keyed, "<parameter=a>\n5</param", ""),
    ],
)
def test_arguments_that_are_cut(keyed: KeyedArguments, text: str, arguments: str) -> None:
    assert read(keyed, text) == (arguments, "cut")


def test_what_is_no_argument_is_left() -> None:
    assert read(LFM2.keyed, f"(a=1, {'b' * (MAX_KEY + 1)}")[0] == '{"a": 1}'


@pytest.mark.parametrize(("value", "text"), [("a\nb", "a\nb"), ("5", "5")])
def test_a_tool_that_takes_text(value: str, text: str) -> None:
    tool = ReadableTool("f", {"properties": {"input": {"type": "string"}}}, is_text=True)
    written = f"<parameter=input>\n{value}\n</parameter>\n</function>"
    assert read(QWEN_CODER.keyed, written, tool) == (text, "</function>")


def test_keys_that_hold_the_mark_behind_them_are_known_by_the_schema() -> None:
    keys = ["<a>", "b>", "plain"]
    tool = ReadableTool("f", {"properties": {key: {"type": "integer"} for key in keys}})
    text = "".join(f"<parameter={key}>\n1\n</parameter>\n" for key in [*keys, "other"])
    arguments = '{"<a>": 1, "b>": 1, "plain": 1, "other": 1}'
    assert read(QWEN_CODER.keyed, text + "</function>", tool) == (arguments, "</function>")


def test_a_text_that_the_schema_names_is_text() -> None:
    tool = ReadableTool("f", {"properties": {"a": {"enum": ["1", 2.5]}}})
    text = "<arg_key>a</arg_key>\n<arg_value>%s</arg_value></tool_call>"
    assert read(GLM.keyed, text % "1", tool)[0] == '{"a": "1"}'
    assert read(GLM.keyed, text % "2.5", tool)[0] == '{"a": 2.5}'
