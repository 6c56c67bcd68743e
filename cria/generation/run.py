"""`Run`: all generations of one HTTP request, as one stream of events.

Each choice is a sequence of the engine's. Their outputs arrive in one queue and leave as text;
what is left when the reader stops, for whatever reason, is cancelled.
"""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import msgspec

from cria.api.events import ChoiceDelta, ChoiceFinished, Event, Heartbeat
from cria.api.extras import Extras, Truncated
from cria.api.timings import Timings, timings_object, total
from cria.api.usage import Usage
from cria.errors import (
    ClientGone,
    CriaError,
    EngineError,
    ModelProducedNan,
    QueueTimeout,
    RequestError,
)
from cria.generation.admission import Ticket, Uncounted
from cria.generation.answer_tokens import PLAIN, Display
from cria.generation.choice import ChoiceState, Output
from cria.generation.echo import PromptEcho
from cria.generation.engine_link import ANY_TURN, EngineLink, Turn
from cria.ipc.messages import FinishReason, SequenceOutput, SequenceTimings
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


class Run:
    """Read `events()` once, to its end or not; `cancel()` from anywhere ends it early."""

    def __init__(
        self,
        head: RunHead,
        client: EngineLink,
        *,
        turn: Turn = ANY_TURN,
        service_tier: str | None = None,
        offload: Offload = call,
    ) -> None:
        self._offload = offload
        self.id, self.created, self.model = head
        self.service_tier = service_tier
        self._client = client
        self._turn = turn
        self._queue: queue.SimpleQueue[tuple[int, SequenceOutput | CriaError | Heartbeat]] = (
            queue.SimpleQueue()
        )
        self._first: tuple[int, SequenceOutput | CriaError | Heartbeat] | None = None
        """What has been taken out of the queue by `wait_begun`."""
        self.ticket: Ticket = Uncounted()
        self._is_quiet = False
        self._choices: list[ChoiceState] = []
        self._num_prompt_tokens = self._num_cached_tokens = 0
        self._cancelled = False
        self.warnings: tuple[str, ...] = ()
        """Paths of request fields that could not be honoured to the letter."""
        self.truncated: Truncated | None = None
        """What the request's policy has made of the prompts, if it has one."""
        self.constrained_by = ""
        """The field that says what the answer has to look like."""
        self.returns_token_ids = False
        """To be set before the first prompt is added; so the next one."""
        self.tool_kinds: Mapping[str, str] = {}
        """Of the tools that are no functions, by name."""

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
            sum(choice.num_reasoning_tokens for choice in self._choices),
        )

    @contextmanager
    def submitting(self) -> Iterator[None]:
        """If one of the prompts cannot be added, those that were are cancelled."""
        try:
            yield
        except CriaError:
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
        make_output: Callable[[], Output],
        display: Display = PLAIN,
    ) -> None:
        """Submit one generation per `params`; EngineUnavailable if there is no engine for it."""
        self._num_prompt_tokens += len(token_ids)
        is_scored = params[0].prompt_logprobs_from is not None
        echo = PromptEcho(token_ids, display, is_scored=is_scored) if display.echo else None
        for number, each in enumerate(params):
            if number:
                each = msgspec.structs.replace(each, prompt_logprobs_from=None)
            index = len(self._choices)
            choice = ChoiceState(
                index, make_output(), token_ids, display, echo, is_first=number == 0
            )
            choice.kinds = self.tool_kinds
            choice.is_timed = each.timings
            choice.token_ids = [] if self.returns_token_ids else None
            self._choices.append(choice)
            sink = partial(self._put, index)
            # The others have their turn when the first one has had it, however many they are.
            turn = self._turn._replace(max_wait=None) if index else self._turn
            choice.request_id = self._client.submit(token_ids, each, sink, turn)

    def wait_begun(self) -> None:
        """Wait until the engine has begun, or it is time for a heartbeat.

        What `events` would begin with, if that is an EngineError; all else is left for it.
        """
        if self._first is None:
            self._first = self._queue.get()
        try:
            self._look(self._first[1])
        except EngineError:
            self.cancel()
            raise
        except CriaError:
            pass  # as above

    def events(self) -> Iterator[Event]:
        """What happens, as it happens.

        Raises EngineDied or EngineError if the engine fails, ClientGone after `cancel()`.
        """
        try:
            while not all(choice.done for choice in self._choices):
                yield from self._next_events()
        finally:
            self._cancel_open_choices()
            self._close_ticket()

    def cancel(self) -> None:
        """Free all sequences; idempotent, and callable from any thread."""
        if not self._cancelled:
            self._cancelled = True
            self._cancel_open_choices()
            self._close_ticket()
            self._put(-1, ClientGone("The client closed the connection."))

    def pulse(self) -> None:
        """Half of the longest silence has passed; the second one in silence is a heartbeat."""
        if self._is_quiet:
            self._put(-1, Heartbeat())
        self._is_quiet = True

    def _put(self, index: int, output: SequenceOutput | CriaError | Heartbeat) -> None:
        if isinstance(output, SequenceOutput):
            if output.finish_reason is None:
                self.ticket.begin(index)
            else:
                self.ticket.end(index)
        self._queue.put((index, output))

    def _next_events(self) -> Iterator[Event]:
        index, output = self._first or self._queue.get()
        self._first, self._is_quiet = None, False
        if isinstance(output, CriaError):
            raise output
        if isinstance(output, Heartbeat):
            yield output
        elif _says_something(output) and not self._choices[index].done:
            yield from self._advance(self._choices[index], output)

    def _truncated(self) -> Truncated | None:
        if self.truncated is None:
            return None
        shifts = sum(choice.num_shifts for choice in self._choices)
        told = msgspec.structs.replace(self.truncated, shifts=shifts)
        return told if told.says_something else None

    def _advance(self, choice: ChoiceState, output: SequenceOutput) -> Iterator[Event]:
        if choice.is_stopping:
            if output.finish_reason is not None:
                yield self._finish(choice, "stop", output)
            return
        self._check(output)
        if choice.echo is not None and not (choice.echo.is_known or choice.is_first):
            choice.waiting.append(output)
        else:
            yield from self._go_on(choice, output)

    def _go_on(self, choice: ChoiceState, output: SequenceOutput) -> Iterator[Event]:
        choice.count(output)
        if choice.is_first:
            self._num_cached_tokens += output.num_cached_tokens
        reason = _wire_reason(output.finish_reason)
        if choice.echo is not None and (output.token_ids or reason):
            yield from self._show_prompt(choice, choice.echo)
        pieces = choice.feed(output, is_last=reason is not None)
        if reason is not None:
            choice.num_tokens = output.num_generated_tokens
        is_final = reason is not None or choice.output.stopped
        if choice.output.stopped:
            reason = self._stop(choice, is_over=reason is not None)
        yield from choice.tell(pieces, is_final=is_final)
        if reason is not None:
            yield self._finish(choice, reason, output)

    def _show_prompt(self, choice: ChoiceState, echo: PromptEcho) -> Iterator[Event]:
        """In front of a choice; the other choices of the prompt have waited for it."""
        choice.echo = None
        yield ChoiceDelta(choice.index, echo.text, self._offload(echo.tokens))
        if echo.is_known:
            return
        echo.is_known = True
        for other in self._choices:
            if other.echo is echo:
                for output in other.waiting:
                    yield from self._advance(other, output)
                other.waiting = []

    def _look(self, output: SequenceOutput | CriaError | Heartbeat) -> None:
        if isinstance(output, CriaError):
            raise output
        if isinstance(output, SequenceOutput):
            self._check(output)

    def _check(self, output: SequenceOutput) -> None:
        if output.finish_reason is FinishReason.EXPIRED:
            raise QueueTimeout(
                f"The request has waited {self._turn.max_wait:g} seconds, as long as it may.",
                retry_after=self.ticket.retry_after(),
            )
        if output.finish_reason is FinishReason.ERROR:
            raise EngineError(f"The engine could not go on: {output.error}.")
        if output.finish_reason is FinishReason.NAN:
            raise ModelProducedNan("The model's output for this request is not a number (NaN).")
        if output.finish_reason is FinishReason.REFUSED:
            raise RequestError(
                f"Invalid '{self.constrained_by}': the answer cannot go on: {output.error}.",
                param=self.constrained_by,
                code="invalid_value",
            )

    def _stop(self, choice: ChoiceState, *, is_over: bool) -> str | None:
        """A stop string ends the choice, at once unless its timings are still to come."""
        if is_over or not choice.is_timed:
            self._client.cancel(choice.request_id)
            self.ticket.end(choice.index)
            return "stop"
        choice.is_stopping = True
        self._client.stop(choice.request_id)
        return None

    def _finish(self, choice: ChoiceState, reason: str, last: SequenceOutput) -> ChoiceFinished:
        choice.done = True
        extras = Extras()
        if last.timings is not None:
            choice.timings = _timings(last.timings, last.num_generated_tokens)
            extras = Extras(timings_object(choice.timings))
        return ChoiceFinished(
            choice.index,
            choice.finish_reason(reason),
            choice.take_token_ids(),
            extras,
            choice.output.stop_string,
        )

    def _close_ticket(self) -> None:
        usage = self.usage
        used = usage.prompt_tokens + usage.completion_tokens
        self.ticket.close(used if self.ticket.has_begun else 0)

    def _cancel_open_choices(self) -> None:
        for choice in self._choices:
            if not choice.done and choice.request_id >= 0:
                self._client.cancel(choice.request_id)


def _says_something(output: SequenceOutput) -> bool:
    """More than that the engine has begun."""
    return bool(output.token_ids or output.finish_reason or output.prompt_logprobs)


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
