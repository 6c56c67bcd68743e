"""From the events of a run to blocks, which never interleave."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from cria.api.anthropic.message import (
    MessageBlock,
    MessageText,
    MessageThinking,
    MessageToolUse,
    input_of,
    tool_use_id,
)
from cria.api.events import CallDelta, CallStarted, ChoiceDelta, Event, ReasoningDelta


class Opened(NamedTuple):
    """A block begins: as it is before it has any text."""

    block: MessageBlock


class Grown(NamedTuple):
    """More text of the open block; of a call, more of its arguments."""

    text: str


class Closed(NamedTuple):
    """The open block is complete."""

    block: MessageBlock


Step = Opened | Grown | Closed


class BlockSequence:
    """Of one answer."""

    def __init__(self, *, hides_thinking: bool = False) -> None:
        self._open: MessageBlock | None = None
        self._hides_thinking = hides_thinking

    def steps(self, event: Event) -> Iterator[Step]:
        """What an event does to the blocks; nothing, if it holds no text and begins no call."""
        match event:
            case ChoiceDelta(text=text) if text:
                yield from self._change_kind(MessageText)
                yield Grown(text)
            case CallStarted():
                yield from self._change(MessageToolUse(tool_use_id(event.call_id), event.name))
            case CallDelta(text=text) if text:
                yield Grown(text)
            case ReasoningDelta(text=text) if text:
                yield from self._change_kind(MessageThinking)
                if not self._hides_thinking:
                    yield Grown(text)

    def end(self) -> Iterator[Step]:
        """Close what is open."""
        if self._open is not None:
            yield Closed(self._open)
            self._open = None

    def _change_kind(self, kind: type[MessageText] | type[MessageThinking]) -> Iterator[Step]:
        if not isinstance(self._open, kind):
            yield from self._change(kind())

    def _change(self, block: MessageBlock) -> Iterator[Step]:
        yield from self.end()
        self._open = block
        yield Opened(block)


class BlockList:
    """All blocks of an answer that is not streamed."""

    def __init__(self, *, hides_thinking: bool = False) -> None:
        self._sequence = BlockSequence(hides_thinking=hides_thinking)
        self._blocks: list[MessageBlock] = []
        self._texts: list[str] = []

    def add(self, event: Event) -> None:
        """Take what an event brings."""
        self._take(self._sequence.steps(event))

    def finish(self) -> list[MessageBlock]:
        """The blocks with their texts."""
        self._take(self._sequence.end())
        return self._blocks

    def _take(self, steps: Iterator[Step]) -> None:
        for step in steps:
            if isinstance(step, Grown):
                self._texts.append(step.text)
            elif isinstance(step, Closed):
                self._blocks.append(_filled(step.block, "".join(self._texts)))
                self._texts = []


def _filled(block: MessageBlock, text: str) -> MessageBlock:
    if isinstance(block, MessageText):
        return MessageText(text)
    if isinstance(block, MessageThinking):
        return MessageThinking(text)
    return MessageToolUse(block.id, block.name, input_of(text))
