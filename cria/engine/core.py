"""`EngineCore`: the loop of the engine process.

Busy: never wait for messages, take what has arrived. Idle: wait for the next one. What a step
has produced leaves in one frame as soon as the next step has begun, so that a GPU is not kept
waiting for it. Between two steps at most one batch of embeddings is computed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol

from cria.adapter_set import AdapterSet
from cria.engine.compiling import Compiling
from cria.engine.embedding_steps import EmbeddingSteps
from cria.engine.peers import Peers
from cria.engine.scheduled import ScheduledBatch, StepLogprobs
from cria.engine.scheduler import Scheduler
from cria.engine.slots import Tokens
from cria.engine.vitals import Vitals
from cria.errors import BrokenContext, NativeError
from cria.ipc.messages import (
    AdapterLoaded,
    Cancel,
    Embed,
    FinishReason,
    LoadAdapter,
    Submit,
    UnloadAdapter,
)
from cria.ipc.transport import PeerGone

logger = logging.getLogger(__name__)


class Runner(Protocol):
    """What computes a batch: `ModelRunner`, or a fake in tests.

    A `NativeError` means that nobody knows what of the batch was computed: after `lose`, the
    runner can go on with other sequences. If it `is_for_batch`, nothing was chosen: the same
    sequences can be computed again. After a BrokenContext the runner cannot go on.
    """

    def start(self, batch: ScheduledBatch) -> None:
        """Take the prefixes over and begin to compute; need not wait for the end."""

    def finish(self, batch: ScheduledBatch) -> Tokens:
        """Wait for the end; the chosen tokens in the order of `batch.sampling_slots`."""

    def logprobs(self, batch: ScheduledBatch) -> StepLogprobs:
        """After `finish`: those of the sequences that want them."""

    def lose(self, batch: ScheduledBatch) -> None:
        """Free the cells of all sequences of a batch that failed."""

    def take_failures(self) -> dict[int, str]:
        """What went wrong with single sequences of the finished step, by request id."""


class Adapters(Protocol):
    """The adapters that are loaded: `AdapterOrders`; called while nothing is computed."""

    def carry_out(self, order: LoadAdapter | UnloadAdapter) -> AdapterLoaded | None:
        """Load or let go; the answer, if there is to be one."""

    def tidy(self, is_used: Callable[[int], bool]) -> None:
        """Free what was to go and is not used."""

    def why_not(self, adapters: AdapterSet) -> str | None:
        """What is wrong with a set that a sequence wants."""


class NoAdapters:
    """Of an engine without any."""

    def carry_out(self, order: LoadAdapter | UnloadAdapter) -> AdapterLoaded | None:
        return AdapterLoaded(order.request_id, "This engine takes no adapters.")

    def tidy(self, is_used: Callable[[int], bool]) -> None:
        """There is nothing."""

    def why_not(self, adapters: AdapterSet) -> str | None:
        return "there are no adapters" if adapters else None


class EngineCore:
    """One scheduler, one runner, and the front processes that ask."""

    def __init__(
        self,
        scheduler: Scheduler,
        runner: Runner,
        peers: Peers,
        embeddings: EmbeddingSteps,
        compiling: Compiling,
        vitals: Vitals | None = None,
    ) -> None:
        self.adapters: Adapters = NoAdapters()
        """To be set before the first step, if there are any."""
        self._scheduler = scheduler
        self._runner = runner
        self._peers = peers
        self._embeddings = embeddings
        self._compiling = compiling
        self._vitals = vitals or Vitals()
        self._has_news = False
        self._last_step: float | None = None
        self._elsewhere = 0.0
        """Seconds since the last step that embeddings have taken."""

    def run_forever(self) -> None:
        """Until the server is gone."""
        try:
            while True:
                self.step()
        except PeerGone as news:
            logger.debug("the server is gone: %s", news)

    def step(self) -> None:
        """Receive, schedule, start; keep the books and send what is ready meanwhile; finish."""
        self._vitals.beat()
        self._receive()
        self.adapters.tidy(self._uses)
        began = time.monotonic()
        batch = self._scheduler.schedule(began)
        if batch.is_empty:
            self._last_step, self._elsewhere = None, 0.0
            self._embed(beside_streams=False)
            self._send()
            return
        if batch.admitted:
            self._send()  # before anything can go wrong with them
        is_held = False
        try:
            self._runner.start(batch)
            self._scheduler.hold(batch)
            is_held = True
            self._send()
            tokens = self._runner.finish(batch)
            logprobs = self._runner.logprobs(batch)
        except BrokenContext:
            raise
        except NativeError as error:
            if not is_held:
                self._scheduler.hold(batch)
            self._give_up(batch, error)
        else:
            self._record(batch, tokens, self._seconds_since(began), logprobs)
        self._has_news = True
        self._elsewhere = 0.0
        self._embed(beside_streams=True)

    def _record(
        self, batch: ScheduledBatch, tokens: Tokens, seconds: float, logprobs: StepLogprobs
    ) -> None:
        self._vitals.note_step(seconds)
        self._scheduler.advance(
            batch,
            tokens,
            seconds,
            now=time.monotonic(),
            logprobs=logprobs,
            elsewhere=self._elsewhere,
        )
        for request_id, reason in self._runner.take_failures().items():
            self._scheduler.fail_one(request_id, reason)

    def _give_up(self, batch: ScheduledBatch, error: NativeError) -> None:
        """Nothing of the batch counts; who can be computed again is."""
        logger.error("a step failed: %s", error)
        self._runner.lose(batch)
        if error.is_for_batch:
            self._scheduler.fail_youngest(batch, str(error))
        else:
            self._scheduler.fail(batch, str(error))

    def _receive(self) -> None:
        is_idle = self._scheduler.is_idle and self._embeddings.is_idle and not self._has_news
        for message in self._peers.receive(block=is_idle and self._compiling.is_idle):
            if isinstance(message, Submit):
                self._submit(message)
            elif isinstance(message, Embed):
                self._embeddings.submit(message)
            elif isinstance(message, Cancel):
                self._cancel(message)
            elif (answer := self.adapters.carry_out(message)) is not None:
                self._peers.answer(answer)
        for compiled in self._compiling.take(wait=is_idle):
            if compiled.matcher is None:
                self._scheduler.refuse(compiled.message, compiled.reason, FinishReason.REFUSED)
            else:
                self._scheduler.submit(compiled.message, compiled.arrival, compiled.matcher)

    def _uses(self, adapter_id: int) -> bool:
        return self._scheduler.uses(adapter_id) or not self._compiling.is_idle

    def _submit(self, message: Submit) -> None:
        if reason := self.adapters.why_not(message.adapters):
            self._scheduler.refuse(message, reason, FinishReason.ERROR)
        elif message.sampling_params.grammar:
            self._compiling.submit(message, time.monotonic())
        else:
            self._scheduler.submit(message, time.monotonic())

    def _cancel(self, message: Cancel) -> None:
        self._scheduler.cancel(message)
        self._embeddings.cancel(message)
        if (submit := self._compiling.cancel(message.request_id)) is not None:
            self._scheduler.refuse(submit, "cancelled", FinishReason.CANCELLED)

    def _embed(self, *, beside_streams: bool) -> None:
        """One batch, and what has ended with it; the tokens of the last step do not wait for it."""
        if self._embeddings.is_idle:
            return
        if beside_streams:
            self._send()
        done = self._embeddings.step(beside_streams=beside_streams)
        if done.num_tokens:
            self._scheduler.counters.count_embedded(done.num_inputs, done.num_tokens)
            self._has_news = True
        if beside_streams:
            self._elsewhere = done.seconds
        for answer in self._embeddings.take_output():
            self._peers.answer(answer)

    def _send(self) -> None:
        """Also after a step of prompts alone: its counters are news, and a sign of life."""
        if self._has_news or self._scheduler.has_output:
            self._peers.send(self._scheduler.take_output())
            self._has_news = False

    def _seconds_since(self, began: float) -> float:
        """From the end of the last step, if the engine has been busy since then, to now."""
        before, self._last_step = self._last_step, time.monotonic()
        return self._last_step - (began if before is None else before)
