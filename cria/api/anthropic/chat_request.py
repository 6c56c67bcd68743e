"""From a request of the Messages API to the chat request that does the same, and back: what is
wrong with that is wrong with a field of this.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from cria.api.anthropic.request import (
    CountTokensRequest,
    MessagesRequest,
    ThinkingAdaptive,
    ThinkingDisabled,
    ThinkingEnabled,
)
from cria.api.anthropic.tools import function_tool, kept_tools, parallel_calls, tool_choice
from cria.api.anthropic.turns import turns
from cria.api.chat import ChatCompletionRequest
from cria.api.constraints import JsonSchema, JsonSchemaFormat
from cria.api.field_paths import said_names
from cria.api.reasoning import Reasoning
from cria.errors import ContextLengthExceeded, RequestError

FORMAT_NAME = "output"
"""OpenAI's schemas have names."""

_INDEXED = re.compile(r"(messages|tools)\.?\[(\d+)\](.*)")
_CONTINUING = re.compile(r"Send 'continue_final_message'.*")
"""Advice that is none here: an assistant's last message is always continued."""
_NAMES = {
    "stop": "stop_sequences",
    "max_completion_tokens": "max_tokens",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "reasoning_budget": "thinking.budget_tokens",
    "reasoning_effort": "output_config.effort",
}
"""Fields of a chat that have another name here."""
_UNCHANGED = frozenset({"max_tokens", "temperature", "top_p", "top_k"})
"""Those that have the same name and meaning."""


class Origins(NamedTuple):
    """Where the parts of a chat request came from."""

    messages: tuple[str, ...]
    """The path of each message's source."""
    tools: tuple[int, ...]
    """The index of each tool's source."""
    format_field: str

    def path(self, path: str) -> str:
        """The path here of a path in the chat request."""
        if found := _INDEXED.fullmatch(path):
            return self._indexed(found[1], int(found[2]), found[3]) or found[1]
        root, dot, rest = path.partition(".")
        if root == "response_format":
            schema = rest.removeprefix("json_schema").removeprefix(".")
            return f"{self.format_field}.{schema}" if schema else self.format_field
        if root in ("tool_choice", "reasoning"):
            return "tool_choice" if root == "tool_choice" else "thinking"
        return _NAMES.get(root, root) + dot + rest

    def error(self, error: RequestError) -> RequestError:
        """The same error about the fields of this request."""
        if error.param is None or isinstance(error, ContextLengthExceeded):
            return error
        path, message = self.path(error.param), str(error)
        for theirs, ours in ((error.param, path), ("response_format", self.format_field)):
            message = message.replace(f"'{theirs}'", f"'{ours}'")
        message = message.replace("for response_format", f"for {self.format_field}")
        message = _CONTINUING.sub("End the conversation with the user's turn.", message)
        made = RequestError(message, param=path, code=error.code)
        return made if type(error) is RequestError else error

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Errors that are raised inside name the fields of this request."""
        try:
            yield
        except RequestError as error:
            raise self.error(error) from error

    def _indexed(self, name: str, index: int, rest: str) -> str | None:
        if name == "messages":
            return self.messages[index] if index < len(self.messages) else None
        if index >= len(self.tools):
            return None
        rest = rest.removeprefix(".function").replace(".parameters", ".input_schema", 1)
        return f"tools[{self.tools[index]}]{rest}"


def chat_request(wanted: CountTokensRequest) -> tuple[ChatCompletionRequest, Origins]:
    """The chat request; RequestError if it cannot be made."""
    said = turns(wanted.system, wanted.messages)
    kept = kept_tools(wanted.tools)
    origins = Origins(tuple(turn.path for turn in said), tuple(kept), wanted.format_field)
    with origins.translating():
        chat = ChatCompletionRequest(
            model=wanted.model,
            messages=[turn.message for turn in said],
            tools=[function_tool(wanted.tools[index]) for index in kept],
            **_choice(wanted, has_tools=bool(kept)),
            **_thinking(wanted),
            **_format(wanted),
            **_generating(wanted),
        )
    chat.note(given=wanted.given & _UNCHANGED | said_names(chat))
    return chat, origins


def _choice(wanted: CountTokensRequest, *, has_tools: bool) -> dict[str, Any]:
    """Of tools that are all dropped none can be called, and nobody has to say so."""
    if wanted.tools and not has_tools:
        return {}
    choice = wanted.tool_choice
    return {"tool_choice": tool_choice(choice), "parallel_tool_calls": parallel_calls(choice)}


def _thinking(wanted: CountTokensRequest) -> dict[str, Any]:
    """Without a word of it the model does what it does by itself."""
    thinking, effort = wanted.thinking, wanted.effort
    if isinstance(thinking, ThinkingDisabled):
        return {"reasoning": Reasoning(enabled=False)}
    fields: dict[str, Any] = {"reasoning_effort": effort}
    if isinstance(thinking, ThinkingEnabled):
        fields["reasoning_budget"] = thinking.budget_tokens
    if isinstance(thinking, (ThinkingEnabled, ThinkingAdaptive)):
        fields["reasoning"] = Reasoning(enabled=True)
    return fields


def _format(wanted: CountTokensRequest) -> dict[str, Any]:
    if wanted.format is None:
        return {}
    schema = JsonSchema(FORMAT_NAME, schema=wanted.format.schema)
    return {"response_format": JsonSchemaFormat(schema)}


def _generating(wanted: CountTokensRequest) -> dict[str, Any]:
    if not isinstance(wanted, MessagesRequest):
        return {}
    return {
        "stream": wanted.stream,
        "max_tokens": wanted.max_tokens,
        "stop_field": list(wanted.stop_sequences),
        "temperature": wanted.temperature,
        "top_p": wanted.top_p,
        "top_k": wanted.top_k,
    }
