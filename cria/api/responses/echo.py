"""A response as it is before anything has happened: what was asked for, said again."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from cria.api.responses.encoder import Shown
from cria.api.responses.ids import new_id
from cria.api.responses.request import ENCRYPTED, ResponsesRequest
from cria.api.responses.response_object import ReasoningEcho, Response, TextEcho
from cria.api.responses.tool_fields import (
    BuiltIn,
    FlatFunction,
    FlatTool,
    Namespace,
    namespaces,
    placed,
)


def new_response(
    request: ResponsesRequest, model: str, tier: str | None, *, is_stored: bool
) -> Response:
    """With a fresh id; `model` and `tier` are those that serve it."""
    text = request.text
    return Response(
        id=new_id("resp"),
        created_at=int(time.time()),
        status="queued" if request.background else "in_progress",
        background=request.background,
        instructions=request.instructions,
        max_output_tokens=request.max_output_tokens,
        max_tool_calls=request.max_tool_calls,
        metadata=request.metadata or {},
        model=model,
        parallel_tool_calls=request.parallel_tool_calls is not False,
        previous_response_id=request.previous_response_id,
        prompt_cache_key=request.prompt_cache_key,
        prompt_cache_retention=request.prompt_cache_retention,
        reasoning=ReasoningEcho(request.reasoning.effort, request.reasoning.wanted_summary),
        safety_identifier=request.safety_identifier,
        service_tier=tier or "default",
        store=is_stored,
        temperature=request.temperature,
        text=TextEcho(_plain(text.format) or {"type": "text"}, text.verbosity or "medium"),
        tool_choice=_plain(request.tool_choice)
        or ("auto" if any(placed(request.tools)) else "none"),
        tools=[_told(tool) for tool in request.tools if not isinstance(tool, BuiltIn)],
        top_logprobs=request.top_logprobs or 0,
        top_p=request.top_p,
        truncation=request.truncation or "disabled",
        user=request.user,
    )


def shown_by(request: ResponsesRequest) -> Shown:
    """What the answer shows beside its text."""
    return Shown(
        logprobs=request.shows_logprobs,
        encrypted_reasoning=ENCRYPTED in request.include,
        reasoning_summary=request.reasoning.wanted_summary is not None,
        namespaces=namespaces(request.tools),
    )


def _told(tool: FlatTool) -> dict[str, Any]:
    """OpenAI's clients read these keys of a function without asking."""
    made: dict[str, Any] = _plain(tool)
    if isinstance(tool, FlatFunction):
        return {**made, "parameters": tool.parameters or {}, "strict": tool.strict is not False}
    if isinstance(tool, Namespace):
        made["tools"] = [_told(inner) for inner in tool.tools]
    return made


def _plain(value: Any) -> Any:
    """As JSON has it, without what was not said."""
    made = msgspec.to_builtins(value)
    if isinstance(made, dict):
        return {key: _plain(each) for key, each in made.items() if each is not None}
    return made
