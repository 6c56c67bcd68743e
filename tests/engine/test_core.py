from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from cria.engine.core import EngineCore
from cria.engine.pacing import PrefillPacer
from cria.engine.peers import Peers
from cria.engine.scheduled import ScheduledBatch
from cria.engine.scheduler import Limits, Scheduler
from cria.engine.slots import Capacity, SlotPool, Tokens
from cria.ipc import codec
from cria.ipc.messages import Cancel, FinishReason, SequenceOutput, StepOutput, Submit
from cria.ipc.transport import PeerGone, Transport
from cria.sampling_params import SamplingParams
from tests.engine.fake_runner import END, FakeRunner, unpack


class Bench:
    """An engine core whose server is the test."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.engine, self.server = Transport(ours), Transport(theirs)
        self.runner = FakeRunner(64)
        self.pool = SlotPool(Capacity(2, 32, 64), min_shared=0)
        scheduler = Scheduler(
            self.pool, Limits(32, 16, vocab_size=1000), {END}, PrefillPacer(1.0, 4)
        )
        self.core = EngineCore(scheduler, self.runner, Peers(self.engine))

    def tell(self, *messages: Submit | Cancel) -> None:
        self.server.send(*map(codec.encode, messages))

    def step(self) -> list[SequenceOutput]:
        """One step, and what the server has heard after it."""
        self.core.step()
        outputs: list[SequenceOutput] = []
        for frame in self.server.receive(block=False):
            message = codec.decode_to_server(frame)
            assert isinstance(message, StepOutput)
            outputs += unpack(message)
        return outputs


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
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
