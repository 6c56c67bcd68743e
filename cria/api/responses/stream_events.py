"""The events of a stream: their names and members; `frame` puts one on the wire."""

from __future__ import annotations

import msgspec

from cria.api.chunks import escape_line_ends
from cria.api.logprobs import TokenLogprob
from cria.api.responses.output_items import OutputItem, Part, Status, SummaryText
from cria.api.responses.response_object import Response

_encode = msgspec.json.Encoder().encode


class StreamEvent(msgspec.Struct, frozen=True, tag_field="type"):
    """`sequence_number` counts from 0, by one, in each response."""

    sequence_number: int


class ResponseCreated(StreamEvent, frozen=True, tag="response.created"):
    response: Response


class ResponseQueued(StreamEvent, frozen=True, tag="response.queued"):
    response: Response


class ResponseInProgress(StreamEvent, frozen=True, tag="response.in_progress"):
    response: Response


class ResponseCompleted(StreamEvent, frozen=True, tag="response.completed"):
    response: Response


class ResponseIncomplete(StreamEvent, frozen=True, tag="response.incomplete"):
    response: Response


class ResponseFailed(StreamEvent, frozen=True, tag="response.failed"):
    response: Response


class ErrorEvent(StreamEvent, frozen=True, tag="error"):
    """There is no response that could fail."""

    code: str
    message: str
    param: str | None


class ItemAdded(StreamEvent, frozen=True, tag="response.output_item.added"):
    output_index: int
    item: OutputItem


class ItemDone(StreamEvent, frozen=True, tag="response.output_item.done"):
    output_index: int
    item: OutputItem


class OfItem(StreamEvent, frozen=True):
    """Something about one item."""

    item_id: str
    output_index: int


class PartAdded(OfItem, frozen=True, tag="response.content_part.added"):
    content_index: int
    part: Part


class PartDone(OfItem, frozen=True, tag="response.content_part.done"):
    content_index: int
    part: Part


class TextDelta(OfItem, frozen=True, tag="response.output_text.delta"):
    content_index: int
    delta: str
    logprobs: list[TokenLogprob] = []


class TextDone(OfItem, frozen=True, tag="response.output_text.done"):
    content_index: int
    text: str
    logprobs: list[TokenLogprob] = []


class ReasoningTextDelta(OfItem, frozen=True, tag="response.reasoning_text.delta"):
    content_index: int
    delta: str


class ReasoningTextDone(OfItem, frozen=True, tag="response.reasoning_text.done"):
    content_index: int
    text: str


class SummaryPartAdded(OfItem, frozen=True, tag="response.reasoning_summary_part.added"):
    summary_index: int
    part: SummaryText


class SummaryPartDone(
    OfItem, frozen=True, tag="response.reasoning_summary_part.done", omit_defaults=True
):
    summary_index: int
    part: SummaryText
    status: Status | None = None
    """`incomplete` for one that was cut."""


class SummaryTextDelta(OfItem, frozen=True, tag="response.reasoning_summary_text.delta"):
    summary_index: int
    delta: str


class SummaryTextDone(OfItem, frozen=True, tag="response.reasoning_summary_text.done"):
    summary_index: int
    text: str


class ArgumentsDelta(OfItem, frozen=True, tag="response.function_call_arguments.delta"):
    delta: str


class ArgumentsDone(OfItem, frozen=True, tag="response.function_call_arguments.done"):
    name: str
    arguments: str


class InputDelta(OfItem, frozen=True, tag="response.custom_tool_call_input.delta"):
    delta: str


class InputDone(OfItem, frozen=True, tag="response.custom_tool_call_input.done"):
    input: str


def frame(event: StreamEvent) -> bytes:
    """The event as it is sent: its name, and one line of JSON."""
    name = str(event.__struct_config__.tag).encode()
    return b"event: %b\ndata: %b\n\n" % (name, escape_line_ends(_encode(event)))
