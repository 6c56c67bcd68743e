"""The normaliser against the templates of real models: those in llama.cpp's source.

They are read where the build has fetched them, and skipped if they are gone.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cria.api.chat import ChatCompletionRequest
from cria.errors import RequestError
from cria.prompt.chat_template import ChatTemplate
from tests.prompt.conversations import call, tool
from tests.prompt.fake_vocab import CONTROL
from tests.prompt.source_templates import find_templates

TEMPLATES = find_templates()
SKIPPED = pytest.param("", marks=pytest.mark.skip("llama.cpp's source is not at hand"))

WITHOUT_TOOLS = {
    # Neither tools nor calls.
    "HuggingFaceTB-SmolLM3-3B",
    "google-gemma-2-2b-it",
    "ibm-granite-granite-3.3-2B-Instruct",
    "llama-cpp-rwkv-world",
    "microsoft-Phi-3.5-mini-instruct",
    # Calls, but no tools.
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B",
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
    "deepseek-ai-DeepSeek-V3.1",
    # Tools, but no calls.
    "LFM2-8B-A1B",
    "LFM2.5-Instruct",
}

LONG_ID = "call_abcdefghijklmnopqrst"
TEXT = '{"town": "Tallinn", "count": 3}'


@cache
def template(name: str) -> ChatTemplate:
    return ChatTemplate(TEMPLATES[name].read_text(), "<s>", "</s>", CONTROL)


def messages_of(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    """As a request's messages reach the template."""
    fields = {"model": "m", "messages": messages}
    return msgspec.convert(fields, ChatCompletionRequest).template_messages()


def conversation(arguments: Any, *, id: str = "call_1", count: int = 1) -> list[dict[str, Any]]:
    ids = [id if n == 0 else f"{id}{n}" for n in range(count)]
    calls = [call(arguments, id=each) for each in ids]
    results = [{"role": "tool", "content": '{"sky": "blue"}', "tool_call_id": each} for each in ids]
    return [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        *results,
        {"role": "assistant", "content": "It is fine."},
        {"role": "user", "content": "Thanks!"},
    ]


def hard_conversation() -> list[dict[str, Any]]:
    _, _, answer, *others = conversation(TEXT, id=LONG_ID)
    parts = [{"type": "text", "text": "Be"}, {"type": "text", "text": "brief."}]
    return [
        {"role": "developer", "content": parts},
        {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
        answer | {"content": "Let me see.", "reasoning_content": "I should look."},
        *others,
    ]


CONVERSATIONS = {
    "arguments as an object": conversation({"town": "Tallinn", "count": 3}),
    "arguments as text": conversation(TEXT),
    "everything at once": hard_conversation(),
    "two calls": conversation(TEXT, count=2),
}


def test_all_of_them_are_known() -> None:
    if not TEMPLATES:
        pytest.skip("llama.cpp's source is not at hand")
    assert len(TEMPLATES) == 70
    taking = {name for name in TEMPLATES if template(name).takes_tools}
    assert taking == set(TEMPLATES) - WITHOUT_TOOLS


@pytest.mark.parametrize("kind", CONVERSATIONS)
@pytest.mark.parametrize("name", TEMPLATES or [SKIPPED])
def test_conversations_with_tools(name: str, kind: str) -> None:
    messages = messages_of(*CONVERSATIONS[kind])
    text = "".join(template(name).render(messages, tools=[tool()]))
    for word in ("get_weather", "town", "Tallinn", "sky", "brief.", "Weather?", "Thanks!"):
        assert word in text
    num_calls = sum(len(message.get("tool_calls", ())) for message in messages)
    assert text.count("Tallinn") == num_calls
    assert "'town'" not in text
    assert "'role'" not in text


@pytest.mark.parametrize("name", TEMPLATES or [SKIPPED])
def test_conversations_without_tools(name: str) -> None:
    system, question, _, _, answer, thanks = CONVERSATIONS["arguments as text"]
    messages = messages_of(system, question, answer, thanks)
    (text,) = template(name).render(messages)
    assert all(word in text for word in ("brief.", "Weather?", "It is fine.", "Thanks!"))
    assert "get_weather" not in text
    assert template(name).draw(messages, add_generation_prompt=True) == text


@pytest.mark.parametrize("name", TEMPLATES or [SKIPPED])
def test_nothing_of_the_fallback_is_drawn(name: str) -> None:
    messages = messages_of(*CONVERSATIONS["arguments as text"])
    drawn = template(name).draw(messages, tools=[tool()])
    assert "<name of the function>" not in drawn
    assert drawn or name in WITHOUT_TOOLS


SCHEMAS = {
    "empty": {},
    "no properties": {"type": "object"},
    "several types": {"x": {"type": ["string", "null"]}},
    "no type": {"x": {}, "y": True},
    "a choice": {"x": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}},
    "values": {"x": {"enum": ["a", 1, None]}, "y": {"const": 1}, "z": {"type": "string"}},
    "lists": {"x": {"type": "array", "items": {"type": "object"}}, "y": {"type": "array"}},
    "objects": {"x": {"type": "object", "properties": {"y": {"type": "object"}}}},
    "descriptions": {"x": {"type": "number", "description": None}, "y": {"description": 5}},
    "a reference": {"x": {"$ref": "#/$defs/a"}},
}


@pytest.mark.parametrize("kind", SCHEMAS)
@pytest.mark.parametrize("name", TEMPLATES or [SKIPPED])
def test_schemas_of_all_kinds(name: str, kind: str) -> None:
    schema = SCHEMAS[kind]
    if "x" in schema:
        schema = {"type": "object", "properties": schema, "required": ["x"]}
    tools = [tool(parameters=schema, description=""), tool("other", parameters=schema)]
    messages = messages_of({"role": "user", "content": "Hello"})
    text = "".join(template(name).render(messages, tools=tools))
    assert "get_weather" in text and "other" in text


HANDFUL = [
    name
    for name in (
        "CohereForAI-c4ai-command-r-plus-tool_use",
        "Kimi-K2-Instruct",
        "Qwen-Qwen3-0.6B",
        "deepseek-ai-DeepSeek-R1-Distill-Llama-8B",
        "fireworks-ai-llama-3-firefunction-v2",
        "google-gemma-2-2b-it",
        "meetkai-functionary-medium-v3.2",
        "meta-llama-Llama-3.1-8B-Instruct",
        "mistralai-Mistral-Nemo-Instruct-2407",
        "openai-gpt-oss-120b",
    )
    if name in TEMPLATES
]

PIECES = st.sampled_from(["a", " ", "\n", "{", '"', "é", "<", *CONTROL])
WORDS = st.lists(PIECES, max_size=4).map("".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)
OBJECTS = st.dictionaries(WORDS, VALUES, max_size=2)
ARGUMENTS = st.none() | WORDS | OBJECTS | st.sampled_from([TEXT, "[1]", "null", '"x"', "NaN"])
NAMES = st.sampled_from(["get_weather", "other", "<|im_end|>"])
IDS = st.sampled_from([None, "", "call_1", LONG_ID])
CALLS = st.builds(
    lambda name, arguments, id: {
        "type": "function",
        "id": id,
        "function": {"name": name, "arguments": arguments},
    },
    NAMES,
    ARGUMENTS,
    IDS,
)
MESSAGES = st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user"]), "content": WORDS}),
    st.fixed_dictionaries(
        {
            "role": st.just("assistant"),
            "content": st.none() | WORDS,
            "tool_calls": st.none() | st.lists(CALLS, max_size=3),
            "reasoning_content": st.none() | WORDS,
        }
    ),
    st.fixed_dictionaries(
        {
            "role": st.just("tool"),
            "content": st.none() | WORDS,
            "tool_call_id": st.sampled_from(["", "call_1", LONG_ID]),
        }
    ),
    st.fixed_dictionaries({"role": st.just("function"), "content": WORDS, "name": NAMES}),
)
TOOLS = st.builds(
    lambda name, description, schema: tool(name, description=description, parameters=schema),
    NAMES,
    WORDS,
    OBJECTS
    | st.just(tool()["function"]["parameters"])
    | OBJECTS.map(lambda properties: {"type": "object", "properties": properties}),
)


@pytest.mark.parametrize("name", HANDFUL or [SKIPPED])
@given(
    messages=st.lists(MESSAGES, min_size=1, max_size=6),
    tools=st.none() | st.lists(TOOLS, max_size=2),
    opens=st.booleans(),
)
@settings(max_examples=60)
def test_no_conversation_fails_but_with_a_sentence(
    name: str, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None, opens: bool
) -> None:
    given = messages_of(*messages)
    kept = msgspec.json.encode([given, tools])
    try:
        segments = template(name).render(given, tools=tools, add_generation_prompt=opens)
    except RequestError as error:
        assert error.param == "messages"
    else:
        assert all(isinstance(segment, str) for segment in segments)
    assert isinstance(template(name).draw(given, tools=tools), str)
    assert msgspec.json.encode([given, tools]) == kept
