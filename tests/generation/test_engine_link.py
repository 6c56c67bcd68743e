from __future__ import annotations

import queue
import socket
from collections.abc import Iterator

import pytest

from cria.errors import (
    EngineDied,
    EngineError,
    EngineUnavailable,
    RequestQuarantined,
    ServerStopping,
)
from cria.generation.death import Death
from cria.generation.engine_link import EngineLink, Turn
from cria.ipc.messages import (
    Cancel,
    Embed,
    Embedded,
    EngineStats,
    FinishReason,
    LoadFailed,
    Progress,
    SequenceOutput,
    StepOutput,
    Submit,
)
from cria.ipc.transport import PeerGone, Transport
from cria.sampling_params import SamplingParams
from tests.generation.fake_engine import READY
from tests.generation.link_engine import Heard, LinkEngine, Outputs
from tests.real_server import wait_for

PARAMS = SamplingParams()
CRASH, KILL = Death("was ended by SIGABRT"), Death("was ended by SIGKILL", is_foreign=True)


class OneConnection(EngineLink):
    """A link whose only engine is the test; `engine_ends` brings the next one."""

    def __init__(self) -> None:
        super().__init__()
        self.deaths: queue.SimpleQueue[Death] = queue.SimpleQueue()
        self._connect()

    def _connect(self) -> None:
        ours, theirs = socket.socketpair()
        self._ours = Transport(ours)
        self.engine = LinkEngine(Transport(theirs))

    def engine_ends(self, death: Death = CRASH) -> None:
        wait_for(lambda: self._transport, lambda there: there is self._ours, "the connection")
        self.engine.transport.close()
        wait_for(lambda: self._transport, lambda there: there is None, "the end")
        self._connect()
        self.deaths.put(death)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._talk(self._ours)
            self._bury(Death("ended") if self._stopping.is_set() else self.deaths.get())

    def close(self) -> None:
        self.deaths.put(CRASH)
        super().close()
        self._ours.close()


@pytest.fixture
def link() -> Iterator[OneConnection]:
    link = OneConnection()
    link.start()
    yield link
    link.close()
    link.engine.transport.close()


@pytest.fixture
def ready(link: OneConnection) -> OneConnection:
    link.engine.tell(READY)
    assert link.wait_settled(30)
    return link


def test_before_the_engine_is_ready_nothing_is_submitted(link: OneConnection) -> None:
    link.engine.tell(Progress(0.5))
    wait_for(lambda: link.status.progress, lambda progress: progress == 0.5, "news")
    assert link.status.state == "loading"
    with pytest.raises(EngineUnavailable, match="is loading"):
        link.submit([1], PARAMS, lambda _: None)


def test_a_model_that_cannot_be_loaded(link: OneConnection) -> None:
    link.engine.tell(LoadFailed("It is broken."))
    wait_for(lambda: link.status, lambda status: status.state == "down", "the news")
    assert link.status.reason == "It is broken."


def test_outputs_reach_the_sink_of_their_sequence(ready: OneConnection) -> None:
    first: Outputs = Heard()
    second: Outputs = Heard()
    ids = [ready.submit([1], PARAMS, sink.put) for sink in (first, second)]
    assert [ready.engine.next() for _ in ids] == [Submit(n, [1], PARAMS) for n in ids]
    end = SequenceOutput(ids[1], (), FinishReason.STOP, 1)
    ready.engine.tell(StepOutput([end], EngineStats(num_running=1), [ids[0]], [9]))
    assert first.get(timeout=30) == SequenceOutput(ids[0], (9,))
    assert second.get(timeout=30) == end
    assert ready.status.stats.num_running == 1


def test_an_embedding_has_one_answer(ready: OneConnection) -> None:
    answers: queue.Queue[Embedded | EngineError] = queue.Queue()
    request_id = ready.embed([[1, 2], [3]], answers.put)
    assert ready.engine.next() == Embed(request_id, [[1, 2], [3]])
    answer = Embedded(request_id, b"1234")
    later = ready.embed([[4]], answers.put)
    ready.engine.tell(answer, answer, Embedded(later))
    assert [answers.get(timeout=30), answers.get(timeout=30)] == [answer, Embedded(later)]


def test_a_cancelled_embedding_hears_no_more(ready: OneConnection) -> None:
    answers: queue.Queue[Embedded | EngineError] = queue.Queue()
    first, second = (ready.embed([[1]], answers.put) for _ in range(2))
    ready.cancel(first)
    ready.cancel(first)
    heard = [ready.engine.next() for _ in range(3)]
    assert heard[2] == Cancel(first)
    ready.engine.tell(Embedded(first, error="cancelled"), Embedded(second))
    assert answers.get(timeout=30) == Embedded(second)


def test_the_end_of_the_connection_fails_embeddings_too(ready: OneConnection) -> None:
    answers: queue.Queue[Embedded | EngineError] = queue.Queue()
    ready.embed([[1]], answers.put)
    ready.engine_ends()
    assert isinstance(answers.get(timeout=30), EngineDied)
    with pytest.raises(EngineUnavailable):
        ready.embed([[1]], answers.put)


def test_a_cancel_is_sent_once(ready: OneConnection) -> None:
    request_id = ready.submit([1], PARAMS, lambda _: None)
    ready.cancel(request_id)
    ready.cancel(request_id)
    later = ready.submit([2], PARAMS, lambda _: None)
    heard = [ready.engine.next() for _ in range(3)]
    assert heard[1:] == [Cancel(request_id), Submit(later, [2], PARAMS)]


def test_who_stops_a_sequence_still_hears_its_end(ready: OneConnection) -> None:
    outputs: Outputs = Heard()
    request_id = ready.submit([1], PARAMS, outputs.put)
    ready.stop(request_id)
    assert [ready.engine.next() for _ in range(2)][1] == Cancel(request_id)
    end = SequenceOutput(request_id, (), FinishReason.CANCELLED, 1)
    ready.engine.tell(StepOutput([end], EngineStats()))
    assert outputs.get(timeout=30) == end


def test_who_stops_a_sequence_of_an_engine_that_is_gone_hears_of_that(
    ready: OneConnection,
) -> None:
    outputs: Outputs = Heard()
    request_id = ready.submit([1], PARAMS, outputs.put)
    begin(ready, request_id)
    ready.engine_ends()
    ready.stop(request_id)
    assert isinstance(outputs.get(timeout=30), EngineDied)


def begin(ready: OneConnection, *request_ids: int) -> None:
    """The engine computes these."""
    ready.engine.tell(
        StepOutput([], EngineStats(num_running=1 + len(request_ids)), [], [], list(request_ids))
    )
    wait_for(lambda: ready.status.stats.num_running, lambda n: n == 1 + len(request_ids), "news")


class TestDeath:
    def test_what_was_running_fails_and_is_not_to_be_sent_again(self, ready: OneConnection) -> None:
        outputs: Outputs = Heard()
        begin(ready, ready.submit([1], PARAMS, outputs.put))
        ready.engine_ends()
        error = outputs.get(timeout=30)
        assert isinstance(error, EngineDied)
        assert str(error) == (
            "The engine process was ended by SIGABRT while it worked on this request."
        )
        assert not error.may_retry
        with pytest.raises(EngineUnavailable):
            ready.submit([1], PARAMS, outputs.put)

    def test_what_was_waiting_is_asked_of_the_next_engine(self, ready: OneConnection) -> None:
        outputs: Outputs = Heard()
        request_id = ready.submit([1], PARAMS, outputs.put)
        ready.engine_ends()
        ready.engine.tell(READY)
        assert ready.engine.next() == Submit(request_id, [1], PARAMS)
        end = SequenceOutput(request_id, (), FinishReason.STOP, 1)
        ready.engine.tell(StepOutput([end], EngineStats()))
        assert outputs.get(timeout=30) == end

    def test_only_once(self, ready: OneConnection) -> None:
        outputs: Outputs = Heard()
        ready.submit([1], PARAMS, outputs.put)
        ready.engine_ends()
        ready.engine.tell(READY)
        ready.engine.next()
        ready.engine_ends()
        error = outputs.get(timeout=30)
        assert isinstance(error, EngineDied) and error.may_retry

    def test_a_next_engine_that_never_comes(self, ready: OneConnection) -> None:
        outputs: Outputs = Heard()
        ready.submit([1], PARAMS, outputs.put)
        ready.engine_ends()
        ready.engine_ends()
        assert isinstance(outputs.get(timeout=30), EngineUnavailable)

    @pytest.mark.parametrize("is_heard", [False, True])
    def test_after_a_death_from_outside_nobody_is_to_blame(
        self, ready: OneConnection, is_heard: bool
    ) -> None:
        outputs: Outputs = Heard()
        request_id = ready.submit([1], PARAMS, outputs.put)
        begin(ready, request_id)
        if is_heard:
            ready.engine.tell(StepOutput([], EngineStats(), [request_id], [5]))
            assert outputs.get(timeout=30) == SequenceOutput(request_id, (5,))
        ready.engine_ends(KILL)
        if is_heard:
            error = outputs.get(timeout=30)
            assert isinstance(error, EngineDied) and error.may_retry
        else:
            ready.engine.tell(READY)
            assert ready.engine.next() == Submit(request_id, [1], PARAMS)

    def test_who_is_cancelled_meanwhile_is_not_asked_again(self, ready: OneConnection) -> None:
        first, second = (ready.submit([n], PARAMS, lambda _: None) for n in range(2))
        ready.engine_ends()
        wait_for(lambda: ready.status.state, lambda state: state == "down", "the burial")
        ready.cancel(first)
        ready.engine.tell(READY)
        assert ready.engine.next() == Submit(second, [1], PARAMS)

    def test_who_waits_for_the_next_engine_hears_that_the_server_stops(
        self, ready: OneConnection
    ) -> None:
        outputs: Outputs = Heard()
        ready.submit([1], PARAMS, outputs.put)
        ready.engine_ends()
        ready.close()
        assert isinstance(outputs.get(timeout=30), ServerStopping)

    def test_the_code_and_the_time(self, ready: OneConnection) -> None:
        outputs: Outputs = Heard()
        begin(ready, ready.submit([1], PARAMS, outputs.put))
        ready.engine_ends(Death("ran out of memory", "out_of_memory"))
        error = outputs.get(timeout=30)
        assert isinstance(error, EngineDied) and error.code == "out_of_memory"
        assert error.retry_after == ready.status.restart_seconds > 0

    def test_twice_is_quarantine_unless_answered_in_between(self, ready: OneConnection) -> None:
        def die_of(tokens: list[int]) -> None:
            outputs: Outputs = Heard()
            begin(ready, ready.submit(tokens, PARAMS, outputs.put))
            ready.engine_ends()
            assert isinstance(outputs.get(timeout=30), EngineDied)
            ready.engine.tell(READY)
            wait_for(lambda: ready.status.state, lambda state: state == "ready", "the next one")

        die_of([1])
        die_of([2])
        answered: Outputs = Heard()
        request_id = ready.submit([2], PARAMS, answered.put)
        end = SequenceOutput(request_id, (), FinishReason.STOP, 1)
        ready.engine.tell(StepOutput([end], EngineStats()))
        assert answered.get(timeout=30) == end
        die_of([2])
        die_of([1])
        with pytest.raises(RequestQuarantined):
            ready.submit([1], PARAMS, lambda _: None)
        ready.submit([2], PARAMS, lambda _: None)


def test_garbage_is_the_end_of_the_connection(ready: OneConnection) -> None:
    ready.engine.transport.send(b"\xc1")
    with pytest.raises(PeerGone):
        ready.engine.next()
    ready.deaths.put(CRASH)
    wait_for(lambda: ready.status.state, lambda state: state == "down", "the end")


def test_closing_tells_those_who_wait_that_the_server_stops(ready: OneConnection) -> None:
    outputs: Outputs = Heard()
    ready.submit([1], PARAMS, outputs.put)
    ready.close()
    assert isinstance(outputs.get(timeout=30), ServerStopping)


def test_a_sequence_that_has_begun_is_an_output_with_nothing_in_it(ready: OneConnection) -> None:
    outputs: Outputs = queue.Queue()
    request_id = ready.submit([1], PARAMS, outputs.put, Turn(2, 3, 4.0))
    assert ready.engine.next() == Submit(request_id, [1], PARAMS, 2, 3, 4.0)
    ready.engine.tell(StepOutput([], EngineStats(), admitted_ids=[request_id, request_id + 1]))
    assert outputs.get(timeout=30) == SequenceOutput(request_id, ())


def test_of_one_message_the_plain_tokens_come_first(ready: OneConnection) -> None:
    outputs: Outputs = Heard()
    request_id = ready.submit([1], PARAMS, outputs.put)
    end = SequenceOutput(request_id, (6,), FinishReason.LENGTH, 2)
    ready.engine.next()
    ready.engine.tell(StepOutput([end], EngineStats(), [request_id], [5]))
    assert outputs.get(timeout=30) == SequenceOutput(request_id, (5,))
    assert outputs.get(timeout=30) == end
