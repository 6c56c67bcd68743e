"""The events of a stream of the Messages API, framed; each has an `event:` line.

One is made for every token of every client, so that all of a delta but its text is encoded once.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from cria.api.anthropic.answer_blocks import BlockSequence, Closed, Grown, Opened, Step
from cria.api.anthropic.message import (
    SIGNATURE,
    MessageBlock,
    MessageHead,
    MessageText,
    MessageThinking,
    MessageToolUse,
    message_usage,
)
from cria.api.chunks import encode_text
from cria.api.events import ChoiceFinished, Event, Heartbeat
from cria.api.usage import Usage

PING = b'event: ping\ndata: {"type":"ping"}\n\n'
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

_DELTAS: dict[type[MessageBlock], tuple[bytes, bytes]] = {
    MessageText: (b"text_delta", b"text"),
    MessageThinking: (b"thinking_delta", b"thinking"),
    MessageToolUse: (b"input_json_delta", b"partial_json"),
}
"""The type of a delta and the name of its text, by the block that grows."""

_encode = msgspec.json.Encoder().encode


def framed(name: str, data: bytes) -> bytes:
    """One event; `data` is JSON without line breaks."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


class MessageStream:
    """One stream: `start`, `feed` with each event of the run, `finish` with the last one."""

    def __init__(self, head: MessageHead) -> None:
        self._head = head
        self._blocks = BlockSequence(hides_thinking=head.hides_thinking)
        self._index = -1
        self._delta_open = b""

    def start(self, usage: Usage) -> bytes:
        """What is known at once; how much of the prompt was in the cache comes at the end."""
        message = self._head.message(usage)
        return _event("message_start", {"message": message})

    def feed(self, event: Event) -> Iterator[bytes]:
        """What an event of the run adds."""
        if isinstance(event, Heartbeat):
            yield PING
        for step in self._blocks.steps(event):
            yield from self._encoded(step)

    def finish(self, event: ChoiceFinished, usage: Usage) -> Iterator[bytes]:
        """The end of the last block and of the message."""
        for step in self._blocks.end():
            yield from self._encoded(step)
        yield self._delta(event, usage)
        yield STOP

    def _encoded(self, step: Step) -> Iterator[bytes]:
        if isinstance(step, Grown):
            yield self._delta_open + encode_text(step.text) + b"}}\n\n"
        elif isinstance(step, Opened):
            yield self._open(step.block)
        else:
            yield from self._close(step)

    def _open(self, block: MessageBlock) -> bytes:
        self._index += 1
        self._delta_open = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta",'
            b'"index":%d,"delta":{"type":"%b","%b":' % (self._index, *_DELTAS[type(block)])
        )
        shown = MessageThinking(signature="") if isinstance(block, MessageThinking) else block
        return _event("content_block_start", {"index": self._index, "content_block": shown})

    def _close(self, step: Closed) -> Iterator[bytes]:
        if isinstance(step.block, MessageThinking):
            delta = {"type": "signature_delta", "signature": SIGNATURE}
            yield _event("content_block_delta", {"index": self._index, "delta": delta})
        yield _event("content_block_stop", {"index": self._index})

    def _delta(self, finished: ChoiceFinished, usage: Usage) -> bytes:
        stop = finished.stop_string
        delta = {
            "stop_reason": self._head.stop_reason(finished, usage),
            "stop_sequence": None if stop is None else msgspec.Raw(encode_text(stop)),
        }
        return _event("message_delta", {"delta": delta, "usage": message_usage(usage)})


def _event(name: str, members: dict[str, object]) -> bytes:
    return framed(name, _encode({"type": name, **members}))
