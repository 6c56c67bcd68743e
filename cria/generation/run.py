"""`Run`: all generations of one HTTP request, as one stream of events.

Each choice is a sequence of the engine's. Their outputs arrive in one queue and leave as text;
what is left when the reader stops, for whatever reason, is cancelled.
"""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from cria.api.usage import Usage
from cria.errors import ClientGone, CriaError, EngineError
from cria.generation.engine_link import EngineLink
from cria.ipc.messages import FinishReason, SequenceOutput
from cria.output.processor import OutputProcessor
from cria.sampling_params import SamplingParams


class ChoiceDelta(msgspec.Struct, frozen=True):
    """More text of one choice; never empty."""

    index: int
    text: str


class ChoiceFinished(msgspec.Struct, frozen=True):
    """The choice is complete; `finish_reason` is `stop` or `length`."""

    index: int
    finish_reason: str


class Heartbeat(msgspec.Struct, frozen=True):
    """Nothing has happened for a while; the run goes on."""


Event = ChoiceDelta | ChoiceFinished | Heartbeat


class RunHead(NamedTuple):
    """What the answer says about itself."""

    id: str
    created: int
    model: str

    @classmethod
    def new(cls, prefix: str, model: str) -> RunHead:
        """A fresh id, `prefix` being `chatcmpl` or `cmpl`."""
        return cls(f"{prefix}-{uuid.uuid4().hex}", int(time.time()), model)


class _Choice:
    """One generation: its sequence in the engine and the state of its text."""

    def __init__(self, processor: OutputProcessor, *, counts_cached: bool) -> None:
        self.processor = processor
        self.counts_cached = counts_cached
        """The prompt's first choice: what the others find in the cache is its work."""
        self.request_id = -1
        self.num_tokens = 0
        self.done = False


class Run:
    """Read `events()` once, to its end or not; `cancel()` from anywhere ends it early."""

    def __init__(
        self,
        head: RunHead,
        client: EngineLink,
        *,
        priority: int = 0,
        service_tier: str | None = None,
    ) -> None:
        self.id, self.created, self.model = head
        self.service_tier = service_tier
        self._client = client
        self._priority = priority
        self._queue: queue.SimpleQueue[tuple[int, SequenceOutput | CriaError | Heartbeat]] = (
            queue.SimpleQueue()
        )
        self._is_quiet = False
        self._choices: list[_Choice] = []
        self._num_prompt_tokens = self._num_cached_tokens = 0
        self._cancelled = False
        self.warnings: tuple[str, ...] = ()
        """Paths of request fields that could not be honoured to the letter."""

    @property
    def num_choices(self) -> int:
        return len(self._choices)

    @property
    def usage(self) -> Usage:
        """Tokens so far; complete when `events()` has ended."""
        return Usage(
            self._num_prompt_tokens,
            sum(choice.num_tokens for choice in self._choices),
            self._num_cached_tokens,
        )

    def add_prompt(
        self,
        token_ids: list[int],
        params: Sequence[SamplingParams],
        make_processor: Callable[[], OutputProcessor],
    ) -> None:
        """Submit one generation per `params`; EngineUnavailable if there is no engine for it."""
        self._num_prompt_tokens += len(token_ids)
        for number, each in enumerate(params):
            choice = _Choice(make_processor(), counts_cached=number == 0)
            self._choices.append(choice)
            sink = partial(self._put, len(self._choices) - 1)
            choice.request_id = self._client.submit(token_ids, each, sink, self._priority)

    def events(self) -> Iterator[Event]:
        """What happens, as it happens.

        Raises EngineDied or EngineError if the engine fails, ClientGone after `cancel()`.
        """
        try:
            while not all(choice.done for choice in self._choices):
                yield from self._next_events()
        finally:
            self._cancel_open_choices()

    def cancel(self) -> None:
        """Free all sequences; idempotent, and callable from any thread."""
        if not self._cancelled:
            self._cancelled = True
            self._cancel_open_choices()
            self._put(-1, ClientGone("The client closed the connection."))

    def pulse(self) -> None:
        """Half of the longest silence has passed; the second one in silence is a heartbeat."""
        if self._is_quiet:
            self._put(-1, Heartbeat())
        self._is_quiet = True

    def _put(self, index: int, output: SequenceOutput | CriaError | Heartbeat) -> None:
        self._queue.put((index, output))

    def _next_events(self) -> Iterator[Event]:
        index, output = self._queue.get()
        self._is_quiet = False
        if isinstance(output, CriaError):
            raise output
        if isinstance(output, Heartbeat):
            yield output
        elif not self._choices[index].done:
            yield from self._advance(index, self._choices[index], output)

    def _advance(self, index: int, choice: _Choice, output: SequenceOutput) -> Iterator[Event]:
        if output.finish_reason is FinishReason.ERROR:
            raise EngineError(f"The engine could not go on: {output.error}.")
        choice.num_tokens += len(output.token_ids)
        if choice.counts_cached:
            self._num_cached_tokens += output.num_cached_tokens
        text = choice.processor.feed(output.token_ids)
        reason = _wire_reason(output.finish_reason)
        if reason is not None:
            choice.num_tokens = output.num_generated_tokens
            text += choice.processor.flush()
        if choice.processor.stopped:
            self._client.cancel(choice.request_id)
            reason = "stop"
        if text:
            yield ChoiceDelta(index, text)
        if reason is not None:
            choice.done = True
            yield ChoiceFinished(index, reason)

    def _cancel_open_choices(self) -> None:
        for choice in self._choices:
            if not choice.done and choice.request_id >= 0:
                self._client.cancel(choice.request_id)


def _wire_reason(reason: FinishReason | None) -> str | None:
    return None if reason is None else reason.value
