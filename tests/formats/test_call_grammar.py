from __future__ import annotations

import pytest

from cria.constraint import sources
from cria.formats.answer_grammar import answer_grammar
from cria.formats.call_grammar import CallableTool, Calls
from cria.formats.known_tools import FUNCTIONARY, LLAMA, tool_format
from cria.formats.special import SpecialTexts
from cria.formats.tool_format import HERMES, ToolFormat, WrittenCall, write_calls
from tests.constraint.byte_grammars import MarkedBytes, make_compiler, takes
from tests.formats.answers import DSML
from tests.formats.families import (
    CALL,
    JSON_TEMPLATES,
    OTHER_CALL,
    TAGGED_TEMPLATES,
    TOOLS,
)
from tests.formats.source_templates import drawing, template_source
from tests.formats.test_known_tools import KNOWN

COMPILER = make_compiler()
WRONG_NAME = CALL._replace(name="nope")
WRONG_TYPE = OTHER_CALL._replace(arguments={"unit": "c", "on": "maybe"})
MISSING = OTHER_CALL._replace(arguments={"unit": "c"})


def accepts(format: ToolFormat, text: str, *, required: bool = True, parallel: bool = True) -> bool:
    calls = Calls(format, TOOLS, required, parallel)
    source = answer_grammar(SpecialTexts({}), calls=calls, thinking=None, content=None)
    return takes(COMPILER.matcher(source), text)


@pytest.mark.parametrize("name", [*JSON_TEMPLATES, *TAGGED_TEMPLATES, *KNOWN])
@pytest.mark.parametrize("required", [True, False])
def test_formats_of_templates(name: str, required: bool) -> None:
    source = template_source(name)
    format = tool_format(source, drawing(source))
    assert format
    before = "" if required or format.is_whole else "I will. "

    def takes_calls(*calls: object, parallel: bool = True) -> bool:
        text = before + write_calls(format, calls)  # type: ignore[arg-type]
        return accepts(format, text, required=required, parallel=parallel)

    assert takes_calls(CALL) and takes_calls(OTHER_CALL, parallel=False)
    assert takes_calls(CALL, OTHER_CALL) == (format.max_calls is None)
    assert not takes_calls(CALL, OTHER_CALL, parallel=False)
    assert not takes_calls(WRONG_TYPE) and not takes_calls(MISSING)
    # Where a call has no mark, an unknown name is text.
    assert takes_calls(WRONG_NAME) == (format is FUNCTIONARY and not required)
    assert accepts(format, "Hello there.", required=required) != required


def test_text_between_calls() -> None:
    call = write_calls(HERMES, [CALL])
    assert accepts(HERMES, f"One: {call} Two: {call} Done.", required=False)
    assert not accepts(HERMES, f"One: {call} Done.")
    assert accepts(HERMES, f"\n{call}\n\n{call}")


def test_a_mark_in_the_text_begins_a_call() -> None:
    assert not accepts(HERMES, "Write <tool_call> for a call.", required=False)
    assert accepts(HERMES, "Write < tool_call > for a call.", required=False)


def test_answers_that_are_a_call_as_a_whole() -> None:
    call = write_calls(LLAMA, [CALL])
    assert accepts(LLAMA, call, required=False)
    assert not accepts(LLAMA, call + " Done.", required=False)
    assert not accepts(LLAMA, '{"name": "Oslo"}', required=False)
    assert accepts(LLAMA, '{"city": "Oslo"}', required=False)


def test_text_of_a_grammar_in_place_of_arguments() -> None:
    schema = {"type": "object"}
    raw = sources.from_grammar('start: "PATCH" /[0-9]+/')
    tool = CallableTool("patch", schema, sources.from_json_schema(schema), raw)
    calls = Calls(HERMES, [*TOOLS, tool], True, True)
    source = answer_grammar(SpecialTexts({}), calls=calls, thinking=None, content=None)
    text = '<tool_call>\n{"name": "patch", "arguments": %s}\n</tool_call>'
    assert takes(COMPILER.matcher(source), text % "PATCH12")
    assert not takes(COMPILER.matcher(source), text % '{"a": 1}')


def test_a_control_token_in_the_middle_of_a_mark() -> None:
    vocabulary = MarkedBytes(["｜DSML｜"])
    tool = CallableTool("f", {}, sources.from_json_schema(TEXTS))
    calls = Calls(DSML, [tool], is_required=False, is_parallel=True)
    special = SpecialTexts(vocabulary.ids)
    source = answer_grammar(special, calls=calls, thinking=None, content=None)

    def written(text: str) -> str:
        return write_calls(DSML, [WrittenCall("f", {"a": text, "b": "xy"}, "", 0)])

    assert vocabulary.takes(source, "If a < b, then </p>.")
    assert vocabulary.takes(source, f"a < b: {written('<p>1 < 2</p> </')} and <so> on")
    assert not vocabulary.takes(source, f"a < b: {written('x')[:-3]}")
    assert not vocabulary.takes(source, written("x").replace("xy", "xyz"))


TEXTS = {
    "type": "object",
    "properties": {"a": {"type": "string"}, "b": {"type": "string", "maxLength": 2}},
    "required": ["a", "b"],
    "additionalProperties": False,
}
