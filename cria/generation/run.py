"""`Run`: all generations of one HTTP request, as one stream of events.

Each choice is a sequence of the engine's. Their outputs arrive in one queue and leave as text;
what is left when the reader stops, for whatever reason, is cancelled.
"""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import msgspec

from cria.api.logprobs import ScoredToken
from cria.api.usage import Usage
from cria.errors import ClientGone, CriaError, EngineError, EngineUnavailable
from cria.generation.answer_tokens import PLAIN, AnswerTokens, Display, prompt_tokens
from cria.generation.engine_link import EngineLink
from cria.ipc.messages import FinishReason, SequenceOutput
from cria.logprobs import TokenLogprobs
from cria.output.processor import OutputProcessor
from cria.sampling_params import SamplingParams


class ChoiceDelta(msgspec.Struct, frozen=True):
    """More text of one choice, with its tokens if the answer shows them; not both are empty."""

    index: int
    text: str
    tokens: tuple[ScoredToken, ...] = ()


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

    def __init__(
        self, processor: OutputProcessor, display: Display, *, counts_cached: bool
    ) -> None:
        self.processor = processor
        self.display = display
        self.prompt_logprobs: list[TokenLogprobs] = []
        self.tokens = (
            AnswerTokens(display.texts, processor, len(display.prompt_text))
            if display.texts
            else None
        )
        self.echoes = display.echo
        """The prompt is still to be shown."""
        self.counts_cached = counts_cached
        """The prompt's first choice: what the others find in the cache is its work."""
        self.prompt: list[int] = []
        self.request_id = -1
        self.num_tokens = 0
        self.done = False

    def echo(self) -> tuple[ScoredToken, ...]:
        """The tokens of the prompt, once; none if the answer shows no tokens."""
        self.echoes = False
        texts, first = self.display.texts, self.display.first_token
        return prompt_tokens(texts, self.prompt, self.prompt_logprobs, first) if texts else ()

    def feed(self, output: SequenceOutput) -> str:
        """The text that is released by what the engine sent."""
        if self.tokens is None:
            return self.processor.feed(output.token_ids)
        return self.tokens.feed(output.token_ids, output.logprobs)


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
    def shows_tokens(self) -> bool:
        """Whether the deltas carry the tokens of their text."""
        return any(choice.tokens is not None for choice in self._choices)

    def num_echoed_tokens(self, index: int) -> int:
        """How many tokens of the prompt are shown in front of a choice's own."""
        choice = self._choices[index]
        return len(choice.prompt) - choice.display.first_token if choice.display.echo else 0

    @property
    def usage(self) -> Usage:
        """Tokens so far; complete when `events()` has ended."""
        return Usage(
            self._num_prompt_tokens,
            sum(choice.num_tokens for choice in self._choices),
            self._num_cached_tokens,
        )

    @contextmanager
    def submitting(self) -> Iterator[None]:
        """If the engine goes away while prompts are added, those that were are cancelled."""
        try:
            yield
        except EngineUnavailable:
            self.cancel()
            raise

    def add_prompt(
        self,
        token_ids: list[int],
        params: Sequence[SamplingParams],
        make_processor: Callable[[], OutputProcessor],
        display: Display = PLAIN,
    ) -> None:
        """Submit one generation per `params`; EngineUnavailable if there is no engine for it."""
        self._num_prompt_tokens += len(token_ids)
        for number, each in enumerate(params):
            choice = _Choice(make_processor(), display, counts_cached=number == 0)
            choice.prompt = token_ids
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
        choice.prompt_logprobs += output.prompt_logprobs
        reason = _wire_reason(output.finish_reason)
        if choice.echoes and (output.token_ids or reason):
            yield ChoiceDelta(index, choice.display.prompt_text, choice.echo())
        text = choice.feed(output)
        if reason is not None:
            choice.num_tokens = output.num_generated_tokens
            text += choice.processor.flush()
        if choice.processor.stopped:
            self._client.cancel(choice.request_id)
            reason = "stop"
        tokens = choice.tokens.take(is_final=reason is not None) if choice.tokens else ()
        if text or tokens:
            yield ChoiceDelta(index, text, tokens)
        if reason is not None:
            choice.done = True
            yield ChoiceFinished(index, reason)

    def _cancel_open_choices(self) -> None:
        for choice in self._choices:
            if not choice.done and choice.request_id >= 0:
                self._client.cancel(choice.request_id)


def _wire_reason(reason: FinishReason | None) -> str | None:
    return None if reason is None else reason.value
