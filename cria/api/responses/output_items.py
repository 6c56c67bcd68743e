"""The items of an answer, as they go over the wire.

They are never changed: an item that grows is told anew at its end.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from cria.api.logprobs import TokenLogprob

Status = Literal["in_progress", "completed", "incomplete"]


class OutputText(msgspec.Struct, frozen=True, tag_field="type", tag="output_text"):
    """Text of a message."""

    text: str
    annotations: list[Any] = []
    logprobs: list[TokenLogprob] = []
    """If the request includes them."""


class ReasoningText(msgspec.Struct, frozen=True, tag_field="type", tag="reasoning_text"):
    """Thinking as it came."""

    text: str


class SummaryText(msgspec.Struct, frozen=True, tag_field="type", tag="summary_text"):
    """The same, for those who asked for a summary: what is short enough needs no other one."""

    text: str


class OutputMessage(msgspec.Struct, frozen=True, tag_field="type", tag="message"):
    """What the model says."""

    id: str
    status: Status
    content: list[OutputText] = []
    role: str = "assistant"


class ReasoningItem(
    msgspec.Struct, frozen=True, tag_field="type", tag="reasoning", omit_defaults=True
):
    """What it thought before."""

    id: str
    summary: list[SummaryText]
    status: Status
    content: list[ReasoningText] | None = None
    encrypted_content: str | None = None
    """The thinking in a form that a client gives back, if the request includes it."""


class FunctionCallItem(
    msgspec.Struct, frozen=True, tag_field="type", tag="function_call", omit_defaults=True
):
    """A call of a function; `arguments` is JSON text."""

    id: str
    call_id: str
    name: str
    arguments: str
    status: Status
    namespace: str | None = None
    """The one that the request declares the tool in."""


class CustomCallItem(
    msgspec.Struct, frozen=True, tag_field="type", tag="custom_tool_call", omit_defaults=True
):
    """A call of a tool that takes text."""

    id: str
    call_id: str
    name: str
    input: str
    status: Status
    namespace: str | None = None


CallItem = FunctionCallItem | CustomCallItem
OutputItem = ReasoningItem | OutputMessage | FunctionCallItem | CustomCallItem
Part = OutputText | ReasoningText
