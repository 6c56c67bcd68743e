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
from typing import Any, NamedTuple

import msgspec

from cria.api.events import ChoiceDelta, ChoiceFinished, Event, Heartbeat
from cria.api.extras import Extras, Truncated
from cria.api.logprobs import ScoredToken
from cria.api.timings import Timings, timings_object, total
from cria.api.usage import Usage
from cria.errors import ClientGone, CriaError, EngineError, EngineUnavailable, RequestError
from cria.generation.answer_tokens import PLAIN, AnswerTokens, Display
from cria.generation.echo import PromptEcho
from cria.generation.engine_link import EngineLink
from cria.ipc.messages import FinishReason, SequenceOutput, SequenceTimings
from cria.output.processor import OutputProcessor
from cria.sampling_params import SamplingParams

Offload = Callable[..., Any]
"""`offload(function, *args)` runs a call that blocks out of the way of other requests."""


def call(function: Callable[..., Any], *args: object) -> Any:
    """Runs it here."""
    return function(*args)


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
        self,
        processor: OutputProcessor,
        prompt: list[int],
        display: Display,
        echo: PromptEcho | None,
        *,
        is_first: bool,
    ) -> None:
        self.processor = processor
        self.prompt = prompt
        self.echo = echo
        """The prompt, as long as it is still to be shown."""
        self.is_first = is_first
        """Of its prompt: it scores that, and what the others find in the cache is its work."""
        self.waiting: list[SequenceOutput] = []
        """What has come while the prompt, which is shown first, is still being scored."""
        self.num_echoed = echo.num_tokens if echo else 0
        self.tokens = (
            AnswerTokens(display.texts, processor, len(display.prompt_text))
            if display.texts
            else None
        )
        self.request_id = -1
        self.num_tokens = self.num_shifts = 0
        self.is_timed = self.is_stopping = False
        """Stopping: its text is complete, and its last output still to come, with its timings."""
        self.timings: Timings | None = None
        self.token_ids: list[int] | None = None
        """Those that no event has told yet, if they are to be told."""
        self.done = False

    def feed(self, output: SequenceOutput) -> str:
        """The text that is released by what the engine sent."""
        if self.tokens is None:
            return self.processor.feed(output.token_ids)
        return self.tokens.feed(output.token_ids, output.logprobs)

    def count(self, output: SequenceOutput) -> None:
        """What the sequence says beside its text."""
        self.num_tokens += len(output.token_ids)
        self.num_shifts = max(self.num_shifts, output.num_shifts)
        if self.echo is not None:
            self.echo.add(output.prompt_logprobs)
        if self.token_ids is not None:
            self.token_ids += output.token_ids

    def take_tokens(self, *, is_final: bool) -> tuple[ScoredToken, ...]:
        """Those of the text that has left, if the answer shows tokens."""
        return self.tokens.take(is_final=is_final) if self.tokens else ()

    def take_token_ids(self) -> tuple[int, ...] | None:
        """Each of them once."""
        if self.token_ids is None:
            return None
        taken, self.token_ids = tuple(self.token_ids), []
        return taken


class Run:
    """Read `events()` once, to its end or not; `cancel()` from anywhere ends it early."""

    def __init__(
        self,
        head: RunHead,
        client: EngineLink,
        *,
        priority: int = 0,
        service_tier: str | None = None,
        offload: Offload = call,
    ) -> None:
        self._offload = offload
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
        self.truncated: Truncated | None = None
        """What the request's policy has made of the prompts, if it has one."""
        self.constrained_by = ""
        """The field that says what the answer has to look like."""
        self.returns_token_ids = False
        """To be set before the first prompt is added."""

    @property
    def num_choices(self) -> int:
        return len(self._choices)

    @property
    def shows_tokens(self) -> bool:
        """Whether the deltas carry the tokens of their text."""
        return any(choice.tokens is not None for choice in self._choices)

    def num_echoed_tokens(self, index: int) -> int:
        """How many tokens of the prompt are shown in front of a choice's own."""
        return self._choices[index].num_echoed

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

    @property
    def extras(self) -> Extras:
        """What the request asked for beyond OpenAI's members; complete when `events()` ended."""
        timings = [choice.timings for choice in self._choices if choice.timings is not None]
        return Extras(timings_object(total(timings)) if timings else None, self._truncated())

    def prompt_token_ids(self, index: int) -> list[int] | None:
        """The prompt of one choice, as it was computed, if it is to be returned."""
        return self._choices[index].prompt if self.returns_token_ids else None

    def add_prompt(
        self,
        token_ids: list[int],
        params: Sequence[SamplingParams],
        make_processor: Callable[[], OutputProcessor],
        display: Display = PLAIN,
    ) -> None:
        """Submit one generation per `params`; EngineUnavailable if there is no engine for it."""
        self._num_prompt_tokens += len(token_ids)
        is_scored = params[0].prompt_logprobs_from is not None
        echo = PromptEcho(token_ids, display, is_scored=is_scored) if display.echo else None
        for number, each in enumerate(params):
            if number:
                each = msgspec.structs.replace(each, prompt_logprobs_from=None)
            choice = _Choice(make_processor(), token_ids, display, echo, is_first=number == 0)
            choice.is_timed = each.timings
            choice.token_ids = [] if self.returns_token_ids else None
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

    def _truncated(self) -> Truncated | None:
        if self.truncated is None:
            return None
        shifts = sum(choice.num_shifts for choice in self._choices)
        told = msgspec.structs.replace(self.truncated, shifts=shifts)
        return told if told.says_something else None

    def _advance(self, index: int, choice: _Choice, output: SequenceOutput) -> Iterator[Event]:
        if choice.is_stopping:
            if output.finish_reason is not None:
                yield self._finish(index, choice, "stop", output)
            return
        self._check(output)
        if choice.echo is not None and not (choice.echo.is_known or choice.is_first):
            choice.waiting.append(output)
        else:
            yield from self._go_on(index, choice, output)

    def _go_on(self, index: int, choice: _Choice, output: SequenceOutput) -> Iterator[Event]:
        choice.count(output)
        if choice.is_first:
            self._num_cached_tokens += output.num_cached_tokens
        reason = _wire_reason(output.finish_reason)
        if choice.echo is not None and (output.token_ids or reason):
            yield from self._show_prompt(index, choice, choice.echo)
        text = choice.feed(output)
        if reason is not None:
            choice.num_tokens = output.num_generated_tokens
            text += choice.processor.flush()
        is_final = reason is not None or choice.processor.stopped
        if choice.processor.stopped:
            reason = self._stop(choice, is_over=reason is not None)
        tokens = choice.take_tokens(is_final=is_final)
        if text or tokens:
            yield ChoiceDelta(index, text, tokens, choice.take_token_ids())
        if reason is not None:
            yield self._finish(index, choice, reason, output)

    def _show_prompt(self, index: int, choice: _Choice, echo: PromptEcho) -> Iterator[Event]:
        """In front of a choice; the other choices of the prompt have waited for it."""
        choice.echo = None
        yield ChoiceDelta(index, echo.text, self._offload(echo.tokens))
        if echo.is_known:
            return
        echo.is_known = True
        for number, other in enumerate(self._choices):
            if other.echo is echo:
                for output in other.waiting:
                    yield from self._advance(number, other, output)
                other.waiting = []

    def _check(self, output: SequenceOutput) -> None:
        if output.finish_reason is FinishReason.ERROR:
            raise EngineError(f"The engine could not go on: {output.error}.")
        if output.finish_reason is FinishReason.REFUSED:
            raise RequestError(
                f"Invalid '{self.constrained_by}': the answer cannot go on: {output.error}.",
                param=self.constrained_by,
                code="invalid_value",
            )

    def _stop(self, choice: _Choice, *, is_over: bool) -> str | None:
        """A stop string ends the choice, at once unless its timings are still to come."""
        if is_over or not choice.is_timed:
            self._client.cancel(choice.request_id)
            return "stop"
        choice.is_stopping = True
        self._client.stop(choice.request_id)
        return None

    def _finish(
        self, index: int, choice: _Choice, reason: str, last: SequenceOutput
    ) -> ChoiceFinished:
        choice.done = True
        extras = Extras()
        if last.timings is not None:
            choice.timings = _timings(last.timings, last.num_generated_tokens)
            extras = Extras(timings_object(choice.timings))
        return ChoiceFinished(index, reason, choice.take_token_ids(), extras)

    def _cancel_open_choices(self) -> None:
        for choice in self._choices:
            if not choice.done and choice.request_id >= 0:
                self._client.cancel(choice.request_id)


def _timings(told: SequenceTimings, num_generated: int) -> Timings:
    return Timings(
        queue=told.queue_seconds,
        prefill=told.prefill_seconds,
        decode=told.decode_seconds,
        num_computed=told.num_prompt_tokens - told.num_cached_tokens,
        num_cached=told.num_cached_tokens,
        num_generated=num_generated,
        num_further=max(0, num_generated - 1),
        cache_limit=told.cache_limit.reason.value,
        num_same=told.cache_limit.num_same_tokens,
    )


def _wire_reason(reason: FinishReason | None) -> str | None:
    return None if reason is None else reason.value
