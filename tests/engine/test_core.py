from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from cria.constraint.sources import GrammarError
from cria.engine.compiling import Compiling
from cria.engine.core import EngineCore
from cria.engine.embedding_queue import Piece, Vector
from cria.engine.embedding_steps import EmbeddingSteps
from cria.engine.limits import Limits
from cria.engine.pacing import PrefillPacer
from cria.engine.peers import Peers
from cria.engine.scheduled import ScheduledBatch, StepLogprobs
from cria.engine.scheduler import Scheduler
from cria.engine.slots import Capacity, SlotPool, Tokens
from cria.ipc import codec
from cria.ipc.messages import (
    Cancel,
    Embed,
    Embedded,
    EngineStats,
    FinishReason,
    SequenceOutput,
    StepOutput,
    Submit,
    ToEngine,
)
from cria.ipc.transport import PeerGone, Transport
from cria.sampling_params import SamplingParams
from tests.engine.fake_embedder import FakeEmbedder, expected
from tests.engine.fake_runner import END, FakeRunner, unpack


class FakeMatcher:
    """Of a source; it is over when as many tokens have been looked for as the source has stars."""

    problem = ""

    def __init__(self, source: str) -> None:
        self.source = source
        self._num_left = source.count("*") or 1000

    @property
    def is_over(self) -> bool:
        self._num_left -= 1
        return self._num_left <= 0


class FakeCompiler:
    """Refuses what is bad, and takes its time for what is slow."""

    def __init__(self, may_go_on: threading.Event) -> None:
        self._may_go_on = may_go_on

    def matcher(self, source: str) -> FakeMatcher:
        if source == "bad":
            raise GrammarError("it is bad")
        if source == "slow":
            assert self._may_go_on.wait(30)
        return FakeMatcher(source)


class Bench:
    """An engine core whose server is the test."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.engine, self.server = Transport(ours), Transport(theirs)
        self.runner = FakeRunner(64)
        self.embedded: list[Embedded] = []
        self.stats = EngineStats()
        self.pool = SlotPool(Capacity(2, 32, 64), min_shared=0)
        scheduler = Scheduler(
            self.pool, Limits(32, 16, vocab_size=1000), {END}, PrefillPacer(1.0, 4)
        )
        self.embedder = FakeEmbedder()
        embeddings = EmbeddingSteps(self.embedder, PrefillPacer(1.0, 4))
        self.may_go_on = threading.Event()
        self.compiling = Compiling(lambda: FakeCompiler(self.may_go_on))  # type: ignore[arg-type,return-value]
        peers = Peers(self.engine)
        self.core = EngineCore(scheduler, self.runner, peers, embeddings, self.compiling)

    def tell(self, *messages: ToEngine) -> None:
        self.server.send(*map(codec.encode, messages))

    def step(self) -> list[SequenceOutput]:
        """One step, and what the server has heard after it."""
        self.core.step()
        outputs: list[SequenceOutput] = []
        for frame in self.server.receive(block=False):
            message = codec.decode_to_server(frame)
            if isinstance(message, Embedded):
                self.embedded.append(message)
            else:
                assert isinstance(message, StepOutput)
                self.stats = message.stats
                outputs += unpack(message)
        return outputs

    def step_until(self, is_last: Callable[[SequenceOutput], bool]) -> list[SequenceOutput]:
        """Steps up to the one that brings such an output; all that they brought."""
        outputs: list[SequenceOutput] = []
        deadline = time.monotonic() + 30
        while not any(map(is_last, outputs)):
            assert time.monotonic() < deadline, outputs
            outputs += self.step()
        return outputs


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.may_go_on.set()
    bench.pool.check_integrity()
    bench.server.close()
    bench.engine.close()


def submit(request_id: int, max_tokens: int = 3) -> Submit:
    return Submit(request_id, [7, 7], SamplingParams(max_tokens=max_tokens))


def test_a_step_computes_for_all_and_tells_while_the_next_one_runs(bench: Bench) -> None:
    bench.tell(submit(1), submit(2))
    assert bench.step() == []
    assert bench.step() == [SequenceOutput(1, (1,)), SequenceOutput(2, (1,))]
    assert bench.step() == [SequenceOutput(1, (2,)), SequenceOutput(2, (2,))]
    assert bench.runner.events == ["start", "finish", "start", "finish", "start", "finish"]


def test_the_last_tokens_are_told_though_there_is_nothing_more_to_compute(bench: Bench) -> None:
    bench.tell(submit(1, max_tokens=1))
    bench.step()
    (output,) = bench.step()
    assert (output.token_ids, output.finish_reason) == ((1,), FinishReason.LENGTH)
    assert len(bench.runner.batches) == 1


def test_tokens_leave_between_start_and_finish(bench: Bench) -> None:
    bench.tell(submit(1))
    bench.step()
    heard: list[bytes] = []
    finish = bench.runner.finish

    def listen(batch: ScheduledBatch) -> Tokens:
        heard.extend(bench.server.receive(block=False))
        return finish(batch)

    bench.runner.finish = listen  # type: ignore[method-assign]
    bench.step()
    assert len(heard) == 1


def test_a_cancel_counts_before_the_next_step_is_computed(bench: Bench) -> None:
    bench.tell(submit(1, max_tokens=30))
    bench.step()
    bench.tell(Cancel(1))
    assert [output.finish_reason for output in bench.step()] == [None, FinishReason.CANCELLED]
    assert len(bench.runner.batches) == 1


def test_a_failed_step_ends_its_sequences_and_the_engine_goes_on(bench: Bench) -> None:
    bench.runner.fail_next = True
    bench.tell(submit(1))
    bench.step()
    bench.tell(submit(2))
    (output,) = bench.step()
    assert (output.finish_reason, output.error) == (FinishReason.ERROR, "told to fail")
    assert bench.step() == [SequenceOutput(2, (1,))]


def test_embeddings_are_computed_without_streams(bench: Bench) -> None:
    bench.tell(Embed(1, [[5, 6]]), Embed(2, []))
    bench.step()
    assert bench.embedded == [
        Embedded(2, error="an input is empty"),
        Embedded(1, expected([[5, 6]])),
    ]
    assert (bench.stats.embedded_inputs_total, bench.stats.embedded_tokens_total) == (1, 2)


def test_streams_and_embeddings_go_on_together(bench: Bench) -> None:
    bench.tell(submit(1, max_tokens=20), Embed(2, [[5] * 9] * 4))
    tokens = [output.token_ids for _ in range(6) for output in bench.step()]
    assert tokens == [(1,), (2,), (3,), (4,), (5,)]
    assert len(bench.embedder.batches) == 4, "one after each step, as far as there are any"
    assert bench.embedded == [Embedded(2, expected([[5] * 9] * 4))]


def test_tokens_do_not_wait_for_an_embedding(bench: Bench) -> None:
    bench.tell(submit(1, max_tokens=20), Embed(2, [[5]]))
    heard: list[bytes] = []
    compute = bench.embedder.compute

    def listen(pieces: Sequence[Piece]) -> list[Vector | None]:
        heard.extend(bench.server.receive(block=False))
        return compute(pieces)

    bench.embedder.compute = listen  # type: ignore[method-assign]
    bench.step()
    admitted, message = map(codec.decode_to_server, heard)
    assert isinstance(admitted, StepOutput) and admitted.admitted_ids == [1]
    assert isinstance(message, StepOutput) and unpack(message) == [SequenceOutput(1, (1,))]


def test_the_time_of_embeddings_is_not_the_prompts(bench: Bench) -> None:
    seen: list[tuple[float, float]] = []
    advance = bench.core._scheduler.advance

    def watch(
        batch: ScheduledBatch,
        tokens: Tokens,
        seconds: float,
        *,
        now: float,
        logprobs: StepLogprobs,
        elsewhere: float,
    ) -> None:
        seen.append((seconds, elsewhere))
        advance(batch, tokens, seconds, now, logprobs, elsewhere)

    bench.core._scheduler.advance = watch  # type: ignore[method-assign,assignment]
    bench.tell(submit(1, max_tokens=20), Embed(2, [[5]]))
    for _ in range(3):
        bench.step()
    assert [elsewhere > 0 for _, elsewhere in seen] == [False, True, False]
    assert all(seconds >= elsewhere for seconds, elsewhere in seen)


def test_a_cancelled_embedding_is_answered_too(bench: Bench) -> None:
    bench.tell(Embed(1, [[5]]), Cancel(1))
    bench.step()
    assert bench.embedded == [Embedded(1, error="cancelled")]
    assert bench.embedder.batches == []


def test_a_failed_embedding_leaves_the_streams_alone(bench: Bench) -> None:
    bench.embedder.fail_next = True
    bench.tell(submit(1, max_tokens=20), Embed(2, [[5]]))
    assert [output.token_ids for _ in range(3) for output in bench.step()] == [(1,), (2,)]
    assert bench.embedded == [Embedded(2, error="told to fail")]


def constrained(request_id: int, grammar: str, max_tokens: int = 3) -> Submit:
    return Submit(request_id, [7, 7], SamplingParams(max_tokens=max_tokens, grammar=grammar))


def test_a_sequence_with_a_grammar_runs_when_that_is_compiled(bench: Bench) -> None:
    bench.tell(constrained(1, "good"))
    outputs = bench.step_until(lambda output: output.finish_reason is not None)
    assert [output.token_ids for output in outputs] == [(1,), (2,), (3,)]
    matcher: Any = bench.runner._sequences[0].matcher
    assert matcher.source == "good"


@pytest.mark.parametrize("stars", ["*", "**"])
def test_an_answer_ends_with_the_token_that_completes_it(bench: Bench, stars: str) -> None:
    bench.tell(constrained(1, stars, max_tokens=10))
    outputs = bench.step_until(lambda output: output.finish_reason is not None)
    assert [output.token_ids for output in outputs] == [(1,), (2,)][: len(stars)]
    assert (outputs[-1].finish_reason, outputs[-1].num_generated_tokens) == (
        FinishReason.STOP,
        len(stars),
    )


def test_a_bad_grammar_is_refused(bench: Bench) -> None:
    bench.tell(constrained(1, "bad"))
    (output,) = bench.step_until(lambda output: output.finish_reason is not None)
    assert output.finish_reason is FinishReason.REFUSED
    assert output.error == "the grammar cannot be used: it is bad"
    assert bench.runner.batches == []


def test_an_answer_without_a_token_that_its_grammar_takes_is_refused(bench: Bench) -> None:
    class Stuck:
        problem = ""
        is_over = False

    bench.runner.next_token = lambda request_id, num_tokens: -1
    bench.core._scheduler.submit(submit(1), matcher=Stuck())  # type: ignore[arg-type]  # the fake
    bench.core._scheduler.submit(submit(2))
    bench.core._has_news = True
    outputs = bench.step_until(lambda output: output.request_id == 2)
    assert [output.finish_reason for output in outputs] == [
        FinishReason.REFUSED,
        FinishReason.ERROR,
    ]
    assert outputs[0].error == "no token that it allows can be chosen"


def test_streams_go_on_while_a_grammar_is_compiled(bench: Bench) -> None:
    bench.tell(submit(1, max_tokens=20), constrained(2, "slow"))
    tokens = [output.token_ids for _ in range(6) for output in bench.step()]
    assert tokens == [(1,), (2,), (3,), (4,), (5,)]
    bench.may_go_on.set()
    bench.step_until(lambda output: output.request_id == 2)


def test_who_is_cancelled_meanwhile_is_answered_and_never_queued(bench: Bench) -> None:
    bench.tell(constrained(1, "slow"))
    bench.step()
    bench.tell(Cancel(1))
    (output,) = bench.step_until(lambda output: True)
    assert (output.request_id, output.finish_reason) == (1, FinishReason.CANCELLED)
    bench.may_go_on.set()
    bench.tell(constrained(2, "good", max_tokens=1))
    outputs = bench.step_until(lambda output: output.request_id == 2)
    assert [output.request_id for output in outputs] == [2]
    assert bench.compiling.is_idle


def test_a_dead_server_ends_the_loop_within_a_step(bench: Bench) -> None:
    bench.tell(submit(1, max_tokens=30))
    bench.step()
    bench.server.close()
    bench.core.run_forever()
    assert len(bench.runner.batches) <= 2


def test_garbage_is_as_good_as_a_dead_server(bench: Bench) -> None:
    bench.server.send(b"\xc1 garbage")
    with pytest.raises(PeerGone, match="does not decode"):
        bench.core.step()
