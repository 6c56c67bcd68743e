"""What code for chats calls a field is called as the client has sent it."""

from __future__ import annotations

import pytest

from cria.api.responses.paths import own_error, own_path, own_words
from cria.errors import ContextLengthExceeded, RequestError

TOOLS = ("tools[0]", "tools[1].tools[0]")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("messages[3].content", "input"),
        ("messages", "input"),
        ("max_completion_tokens", "max_output_tokens"),
        ("max_tokens", "max_output_tokens"),
        ("reasoning_effort", "reasoning.effort"),
        ("verbosity", "text.verbosity"),
        ("response_format", "text.format"),
        ("response_format.json_schema.schema", "text.format.schema"),
        ("response_format.json_schema.schema.items[0].type", "text.format.schema.items[0].type"),
        ("tools[0].function.parameters", "tools[0].parameters"),
        ("tools[0].function.parameters.a.function", "tools[0].parameters.a.function"),
        ("tools[1].custom.format.grammar.definition", "tools[1].tools[0].format.definition"),
        ("tools[7].function.name", "tools[7].name"),
        ("tool_choice.function.name", "tool_choice.name"),
        ("tool_choice.allowed_tools.tools[0].custom.name", "tool_choice.tools[0].name"),
        ("tool_choice", "tool_choice"),
        ("temperature", "temperature"),
        ("messages_of_others", "messages_of_others"),
    ],
)  # fmt: skip
def test_paths(theirs: str, ours: str) -> None:
    assert own_path(theirs, TOOLS) == ours


def test_an_error_speaks_of_the_same_field() -> None:
    error = RequestError(
        "Invalid 'tools[0].function.parameters': no.",
        param="tools[0].function.parameters",
        code="invalid_function_parameters",
    )
    found = own_error(error, TOOLS)
    assert found is error
    assert (str(found), found.param) == (
        "Invalid 'tools[0].parameters': no.",
        "tools[0].parameters",
    )
    assert found.code == "invalid_function_parameters"


def test_a_schema_that_cannot_be_used_has_a_code_of_its_own() -> None:
    message = "Invalid schema for response_format 'n': no."
    error = RequestError(message, param="response_format.json_schema.schema", code="invalid_value")
    found = own_error(error)
    assert (str(found), found.param, found.code) == (
        message,
        "text.format.schema",
        "invalid_json_schema",
    )


def test_a_prompt_that_is_too_long_is_the_input() -> None:
    with pytest.raises(ContextLengthExceeded) as caught, own_words():
        raise ContextLengthExceeded(9, 8, param="messages")
    assert caught.value.param == "input"
    assert "your input resulted in 9 tokens" in str(caught.value)
    assert "maximum context length" in str(caught.value)
    assert "messages" not in str(caught.value)


def test_other_fields_that_it_mentions_are_this_routes_too() -> None:
    error = RequestError("'grammar' contradicts 'response_format'.", param="grammar")
    found = own_error(error)
    assert (str(found), found.param) == ("'grammar' contradicts 'text.format'.", "grammar")


def test_other_errors_stay_as_they_are() -> None:
    error = RequestError("No.", param=None)
    assert own_error(error) is error
    with pytest.raises(ValueError, match="no"), own_words():
        raise ValueError("no")
