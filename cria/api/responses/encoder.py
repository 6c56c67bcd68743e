"""`ResponseEncoder`: from the events of a run to the events of a response, and to the response.

One class for all: a stream sends its events as they come, an answer that is not streamed takes the
response at the end, and a run in the background stores both.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import msgspec

from cria.api.events import (
    CallDelta,
    CallStarted,
    ChoiceDelta,
    ChoiceFinished,
    Event,
    ReasoningDelta,
)
from cria.api.responses.open_items import (
    OpenCall,
    OpenCustomCall,
    OpenItem,
    OpenMessage,
    OpenReasoning,
    OpenSummary,
)
from cria.api.responses.output_items import OutputItem
from cria.api.responses.output_items import Status as ItemStatus
from cria.api.responses.response_object import (
    IncompleteDetails,
    Response,
    ResponseError,
    response_usage,
)
from cria.api.responses.stream_events import (
    ResponseCompleted,
    ResponseCreated,
    ResponseFailed,
    ResponseIncomplete,
    ResponseInProgress,
    ResponseQueued,
    StreamEvent,
)
from cria.api.usage import Usage

MAX_OUTPUT_TOKENS = IncompleteDetails("max_output_tokens")


class Shown(NamedTuple):
    """What the answer shows beside its text."""

    logprobs: bool = False
    encrypted_reasoning: bool = False
    reasoning_summary: bool = False
    """Thinking is told as a summary."""
    namespaces: Mapping[str, str] = {}
    """Of tools, by their names."""


class ResponseEncoder:
    """`start`, `feed` for each event of the run, then one of `finish`, `cancel` and `fail`."""

    def __init__(
        self,
        response: Response,
        shown: Shown = Shown(),  # noqa: B008 - a tuple
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`response` as it is before anything has happened."""
        self.response = response
        self._shown = shown
        self._clock = clock
        self._numbers = itertools.count()
        self._output: list[OutputItem] = []
        self._open: OpenItem | None = None
        self._is_cut = False

    def start(self) -> list[StreamEvent]:
        """What is told before the run has said anything."""
        events: list[StreamEvent] = [ResponseCreated(next(self._numbers), self.response)]
        if self.response.status == "queued":
            events.append(ResponseQueued(next(self._numbers), self.response))
        self._become(status="in_progress")
        return [*events, ResponseInProgress(next(self._numbers), self.response)]

    def feed(self, event: Event) -> list[StreamEvent]:
        """The events that one event of the run's only choice becomes."""
        if isinstance(event, ChoiceDelta):
            return self._text(event)
        if isinstance(event, ReasoningDelta):
            return self._reasoning(event)
        if isinstance(event, CallStarted):
            return self._switch_to(self._call(event))
        if isinstance(event, CallDelta):
            return self._open.add(event.text) if self._open else []
        if isinstance(event, ChoiceFinished):
            return self._end(event)
        return []

    def finish(self, usage: Usage) -> list[StreamEvent]:
        """The run has ended by itself."""
        self._become(
            status="incomplete" if self._is_cut else "completed",
            incomplete_details=MAX_OUTPUT_TOKENS if self._is_cut else None,
            completed_at=None if self._is_cut else int(self._clock()),
            output=[*self._output],
            usage=response_usage(usage),
        )
        kind = ResponseIncomplete if self._is_cut else ResponseCompleted
        return [kind(next(self._numbers), self.response)]

    def cancel(self, usage: Usage) -> list[StreamEvent]:
        """Somebody has stopped it: what there is so far remains."""
        events = self._close("incomplete")
        self._become(status="cancelled", output=[*self._output], usage=response_usage(usage))
        return [*events, ResponseIncomplete(next(self._numbers), self.response)]

    def fail(self, code: str, message: str, usage: Usage | None = None) -> list[StreamEvent]:
        """It could not go on; items that were not complete stay open."""
        self._become(
            status="failed",
            error=ResponseError(code, message),
            output=[*self._output],
            usage=None if usage is None else response_usage(usage),
        )
        return [ResponseFailed(next(self._numbers), self.response)]

    def _text(self, event: ChoiceDelta) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        if event.text and not isinstance(self._open, OpenMessage):
            events = self._switch_to(OpenMessage(self._numbers, self._next_index))
        if isinstance(self._open, OpenMessage):
            tokens = event.tokens if self._shown.logprobs else ()
            events += self._open.add(event.text, tokens)
        return events

    def _reasoning(self, event: ReasoningDelta) -> list[StreamEvent]:
        if not event.text:
            return []
        events: list[StreamEvent] = []
        if not isinstance(self._open, OpenReasoning):
            kind = OpenSummary if self._shown.reasoning_summary else OpenReasoning
            is_sealed = self._shown.encrypted_reasoning
            events = self._switch_to(kind(self._numbers, self._next_index, is_sealed=is_sealed))
        return events + (self._open.add(event.text) if self._open else [])

    def _call(self, event: CallStarted) -> OpenItem:
        kind = OpenCustomCall if event.kind == "custom" else OpenCall
        namespace = self._shown.namespaces.get(event.name)
        return kind(self._numbers, self._next_index, event.call_id, event.name, namespace)

    def _end(self, event: ChoiceFinished) -> list[StreamEvent]:
        self._is_cut = event.finish_reason == "length"
        events: list[StreamEvent] = []
        if self._open is None and not self._output:  # not a word: still a message
            events = self._switch_to(OpenMessage(self._numbers, 0))
        return events + self._close("incomplete" if self._is_cut else "completed")

    @property
    def _next_index(self) -> int:
        return len(self._output) + (self._open is not None)

    def _switch_to(self, item: OpenItem) -> list[StreamEvent]:
        events = self._close("completed")
        self._open = item
        return events + item.start()

    def _close(self, status: Literal["completed", "incomplete"]) -> list[StreamEvent]:
        if self._open is None:
            return []
        item, self._open = self._open, None
        final: ItemStatus = status
        events = item.finish(final)
        self._output.append(item.made(final))
        return events

    def _become(self, **changes: object) -> None:
        self.response = msgspec.structs.replace(self.response, **changes)
