"""From a request for a response to the same request for a chat, which can be run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from cria.api.chat import ChatCompletionRequest
from cria.api.field_paths import said_names
from cria.api.generation_request import GenerationRequest
from cria.api.responses.conversation import to_messages
from cria.api.responses.input_items import Kept
from cria.api.responses.paths import own_words
from cria.api.responses.request import ResponsesRequest
from cria.api.responses.tool_fields import chat_choice, chat_tools, placed
from cria.errors import RequestError

_SHARED = frozenset(GenerationRequest.__struct_fields__) - {"service_tier", "response_format"}
_FASTEST = "ultrafast"
"""A tier that chats have not; it is as soon as `priority`."""


def to_chat(request: ResponsesRequest, items: Sequence[Kept], model: str) -> ChatCompletionRequest:
    """The chat of these items, the newest last; RequestError names the response's fields."""
    messages = to_messages(request.instructions, items)
    if not messages:
        raise RequestError(
            "Invalid 'input': it says nothing to the model.", param="input", code="invalid_value"
        )
    fields: dict[str, Any] = {name: getattr(request, name) for name in _SHARED}
    fields |= {"model": model, "messages": messages, **_renamed(request)}
    if request.truncation == "auto":
        fields["context_overflow"] = "truncate_left"
    with own_words(tool_paths(request)):
        # An answer of the assistant's at the end is an answer: the new one does not go on in it.
        chat = ChatCompletionRequest(**fields, add_generation_prompt=True)
    overflow = {"context_overflow"} if request.truncation else set()
    chat.note(given=request.given | overflow | said_names(chat))
    return chat


def tell_settled(request: ResponsesRequest, chat: ChatCompletionRequest) -> None:
    """Have the response say what the operator's settings have made of its request."""
    if not chat.settled.filled:
        return
    request.temperature, request.top_p = chat.temperature, chat.top_p
    if chat.token_limit() != -1:
        request.max_output_tokens = chat.token_limit()
    effort = chat.reasoning_effort
    request.reasoning = msgspec.structs.replace(request.reasoning, effort=effort)
    request.text = msgspec.structs.replace(request.text, verbosity=chat.verbosity)


def tool_paths(request: ResponsesRequest) -> list[str]:
    """Where the tools of the chat stand in the request."""
    return [each.path for each in placed(request.tools)]


def _renamed(request: ResponsesRequest) -> dict[str, Any]:
    tier = request.service_tier
    return {
        "service_tier": "priority" if tier == _FASTEST else tier,
        "response_format": request.text.chat_format,
        "max_completion_tokens": request.max_output_tokens,
        "logprobs": request.shows_logprobs,
        "top_logprobs": request.top_logprobs if request.shows_logprobs else None,
        "tools": chat_tools(request.tools),
        "tool_choice": chat_choice(request.tool_choice),
        "parallel_tool_calls": request.parallel_tool_calls,
        "reasoning_effort": request.reasoning.effort,
        "reasoning_budget": request.reasoning_budget,
        "verbosity": request.text.verbosity,
        "chat_template_kwargs": request.chat_template_kwargs,
    }
