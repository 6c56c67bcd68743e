from __future__ import annotations

import pytest

from cria.api.constraints import JsonSchemaFormat
from cria.errors import ContextLengthExceeded, ModelNotFound, RequestError
from tests.api.anthropic.asking import HI, TOOL, as_chat


def test_numbers_are_passed_on() -> None:
    chat, _ = as_chat(temperature=0.5, top_p=0.9, top_k=7, stop_sequences=["a", "b"], stream=True)
    assert (chat.temperature, chat.top_p, chat.top_k) == (0.5, 0.9, 7)
    assert (chat.max_tokens, chat.stop, chat.stream) == (5, ("a", "b"), True)


@pytest.mark.parametrize(
    ("thinking", "enabled", "budget"),
    [
        (None, None, None),
        ({"type": "enabled", "budget_tokens": 9}, True, 9),
        ({"type": "adaptive"}, True, None),
        ({"type": "between_tools"}, None, None),
        ({"type": "disabled"}, False, None),
    ],
)
def test_thinking(thinking: object, enabled: bool | None, budget: int | None) -> None:
    chat, _ = as_chat(thinking=thinking)
    found = chat.reasoning and chat.reasoning.enabled
    assert (found, chat.reasoning_budget) == (enabled, budget)


def test_effort() -> None:
    assert as_chat(output_config={"effort": "max"})[0].reasoning_effort == "max"
    quiet, _ = as_chat(output_config={"effort": "max"}, thinking={"type": "disabled"})
    assert quiet.reasoning_effort is None


def test_a_format_is_a_schema() -> None:
    wanted = {"type": "json_schema", "schema": {"type": "object"}}
    chat, origins = as_chat(output_config={"format": wanted})
    assert isinstance(chat.response_format, JsonSchemaFormat)
    assert chat.constraint is not None
    assert chat.constraint.value == {"type": "object"}
    assert origins.path(chat.constraint.param) == "output_config.format.schema"
    chat, origins = as_chat(output_format=wanted)
    assert chat.constraint is not None
    assert origins.path(chat.constraint.param) == "output_format.schema"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("messages[0].content", "system"),
        ("messages[1].content[3].text", "messages[0]"),
        ("messages.[1].role", "messages[0]"),
        ("messages[9]", "messages"),
        ("messages", "messages"),
        ("tools[0].function.name", "tools[0].name"),
        ("tools[0].function.parameters.properties.a", "tools[0].input_schema.properties.a"),
        ("tools[9].function", "tools"),
        ("tool_choice.function.name", "tool_choice"),
        ("parallel_tool_calls", "tool_choice.disable_parallel_tool_use"),
        ("reasoning_effort", "output_config.effort"),
        ("reasoning.enabled", "thinking"),
        ("reasoning_budget", "thinking.budget_tokens"),
        ("response_format", "output_config.format"),
        ("response_format.json_schema.schema", "output_config.format.schema"),
        ("stop", "stop_sequences"),
        ("max_completion_tokens", "max_tokens"),
        ("model", "model"),
    ],
)
def test_paths_lead_back(theirs: str, ours: str) -> None:
    _, origins = as_chat(system="s", messages=[HI], tools=[TOOL])
    assert origins.path(theirs) == ours


def test_errors_speak_of_the_fields_that_were_sent() -> None:
    _, origins = as_chat()
    theirs = "response_format.json_schema.schema"
    error = RequestError(
        f"Invalid schema for response_format 'output': '{theirs}' is odd.",
        param=theirs,
        code="invalid_value",
    )
    with pytest.raises(RequestError) as caught, origins.translating():
        raise error
    ours = "output_config.format.schema"
    assert (caught.value.param, caught.value.code) == (ours, "invalid_value")
    assert str(caught.value) == (
        f"Invalid schema for output_config.format 'output': '{ours}' is odd."
    )


def test_advice_is_about_this_api() -> None:
    _, origins = as_chat()
    theirs = RequestError("No. Send 'continue_final_message': false.", param="messages")
    assert str(origins.error(theirs)) == "No. End the conversation with the user's turn."


def test_other_errors_stay_what_they_are() -> None:
    _, origins = as_chat()
    for error in (
        ModelNotFound("x"),
        ContextLengthExceeded(9, 8, param="messages"),
        RequestError("The engine cannot go on."),
    ):
        assert origins.error(error) is error
