"""Items that are still growing: each tells its own beginning, its text as it comes, and its end.

The order of the events is OpenAI's: item added, part added, deltas, text done, part done,
item done.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

from cria.api.logprobs import ScoredToken, TokenLogprob, chat_logprobs
from cria.api.responses.ids import new_id
from cria.api.responses.output_items import (
    CallItem,
    CustomCallItem,
    FunctionCallItem,
    OutputItem,
    OutputMessage,
    OutputText,
    ReasoningItem,
    ReasoningText,
    Status,
    SummaryText,
)
from cria.api.responses.sealed import sealed
from cria.api.responses.stream_events import (
    ArgumentsDelta,
    ArgumentsDone,
    InputDelta,
    InputDone,
    ItemAdded,
    ItemDone,
    PartAdded,
    PartDone,
    ReasoningTextDelta,
    ReasoningTextDone,
    StreamEvent,
    SummaryPartAdded,
    SummaryPartDone,
    SummaryTextDelta,
    SummaryTextDone,
    TextDelta,
    TextDone,
)


class OpenItem(ABC):
    """One item: `start` once, `add` as often as text comes, `finish` once."""

    PREFIX: ClassVar[str]
    """Of its id."""

    def __init__(self, numbers: Iterator[int], output_index: int) -> None:
        self._numbers = numbers
        self._index = output_index
        self._id = new_id(self.PREFIX)
        self._texts: list[str] = []

    @property
    def text(self) -> str:
        """All that has come."""
        return "".join(self._texts)

    @property
    def _at(self) -> tuple[int, str, int]:
        """What every event about the item begins with."""
        return next(self._numbers), self._id, self._index

    @abstractmethod
    def made(self, status: Status) -> OutputItem:
        """The item with the text so far."""

    def start(self) -> list[StreamEvent]:
        """To be told before any text."""
        return [ItemAdded(next(self._numbers), self._index, self.made("in_progress"))]

    def add(self, text: str, tokens: Sequence[ScoredToken] = ()) -> list[StreamEvent]:
        """More of it."""
        self._texts.append(text)
        return [self._delta(text)]

    def finish(self, status: Status) -> list[StreamEvent]:
        """It is complete, or cut."""
        return [
            *self._ending(status),
            ItemDone(next(self._numbers), self._index, self.made(status)),
        ]

    @abstractmethod
    def _delta(self, text: str) -> StreamEvent: ...

    @abstractmethod
    def _ending(self, status: Status) -> list[StreamEvent]: ...


class OpenMessage(OpenItem):
    """Text; its tokens, if they are to be shown, travel with the text that they make."""

    PREFIX = "msg"

    def __init__(self, numbers: Iterator[int], output_index: int) -> None:
        super().__init__(numbers, output_index)
        self._logprobs: list[TokenLogprob] = []
        self._num_told = 0

    def made(self, status: Status) -> OutputMessage:
        content = [] if status == "in_progress" else [self._part]
        return OutputMessage(self._id, status, content)

    def start(self) -> list[StreamEvent]:
        return [*super().start(), PartAdded(*self._at, 0, OutputText(""))]

    def add(self, text: str, tokens: Sequence[ScoredToken] = ()) -> list[StreamEvent]:
        if tokens and (made := chat_logprobs(tokens)):
            self._logprobs += made.content
        return super().add(text) if text else []

    @property
    def _part(self) -> OutputText:
        return OutputText(self.text, [], [*self._logprobs])

    def _delta(self, text: str) -> StreamEvent:
        new = self._logprobs[self._num_told :]
        self._num_told += len(new)
        return TextDelta(*self._at, 0, text, new)

    def _ending(self, status: Status) -> list[StreamEvent]:
        part = self._part
        return [
            TextDone(*self._at, 0, part.text, part.logprobs),
            PartDone(*self._at, 0, part),
        ]


class OpenReasoning(OpenItem):
    """Thinking as it is."""

    PREFIX = "rs"

    def __init__(self, numbers: Iterator[int], output_index: int, *, is_sealed: bool) -> None:
        super().__init__(numbers, output_index)
        self._is_sealed = is_sealed

    def made(self, status: Status) -> ReasoningItem:
        if status == "in_progress":
            return ReasoningItem(self._id, [], status)
        content = [ReasoningText(self.text)]
        return ReasoningItem(self._id, [], status, content, self._seal())

    def start(self) -> list[StreamEvent]:
        return [*super().start(), PartAdded(*self._at, 0, ReasoningText(""))]

    def _seal(self) -> str | None:
        return sealed(self.text) if self._is_sealed else None

    def _delta(self, text: str) -> StreamEvent:
        return ReasoningTextDelta(*self._at, 0, text)

    def _ending(self, status: Status) -> list[StreamEvent]:
        return [
            ReasoningTextDone(*self._at, 0, self.text),
            PartDone(*self._at, 0, ReasoningText(self.text)),
        ]


class OpenSummary(OpenReasoning):
    """Thinking for clients that read summaries only."""

    def made(self, status: Status) -> ReasoningItem:
        if status == "in_progress":
            return ReasoningItem(self._id, [], status)
        return ReasoningItem(self._id, [SummaryText(self.text)], status, None, self._seal())

    def start(self) -> list[StreamEvent]:
        return [*OpenItem.start(self), SummaryPartAdded(*self._at, 0, SummaryText(""))]

    def _delta(self, text: str) -> StreamEvent:
        return SummaryTextDelta(*self._at, 0, text)

    def _ending(self, status: Status) -> list[StreamEvent]:
        cut: Status | None = "incomplete" if status == "incomplete" else None
        return [
            SummaryTextDone(*self._at, 0, self.text),
            SummaryPartDone(*self._at, 0, SummaryText(self.text), cut),
        ]


class OpenCall(OpenItem):
    """A call of a function."""

    PREFIX = "fc"

    def __init__(
        self,
        numbers: Iterator[int],
        output_index: int,
        call_id: str,
        name: str,
        namespace: str | None = None,
    ) -> None:
        super().__init__(numbers, output_index)
        self._call_id, self._name, self._namespace = call_id, name, namespace

    def made(self, status: Status) -> CallItem:
        return FunctionCallItem(
            self._id, self._call_id, self._name, self.text, status, self._namespace
        )

    def add(self, text: str, tokens: Sequence[ScoredToken] = ()) -> list[StreamEvent]:
        return super().add(text) if text else []

    def _delta(self, text: str) -> StreamEvent:
        return ArgumentsDelta(*self._at, text)

    def _ending(self, status: Status) -> list[StreamEvent]:
        return [ArgumentsDone(*self._at, self._name, self.text)]


class OpenCustomCall(OpenCall):
    """A call of a tool that takes text."""

    PREFIX = "ctc"

    def made(self, status: Status) -> CallItem:
        return CustomCallItem(
            self._id, self._call_id, self._name, self.text, status, self._namespace
        )

    def _delta(self, text: str) -> StreamEvent:
        return InputDelta(*self._at, text)

    def _ending(self, status: Status) -> list[StreamEvent]:
        return [InputDone(*self._at, self.text)]
