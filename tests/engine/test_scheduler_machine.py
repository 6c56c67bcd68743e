"""The engine's loop under anything that several front processes may do to it, in any order.

`test_scheduler.py` has a machine for the scheduler alone; this one adds the core, the peers, their
ends, and the order of tokens on the wire.
"""

from __future__ import annotations

import socket
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cria.adapter_set import BASE, AdapterSet, make_set
from cria.engine.compiling import Compiling
from cria.engine.core import EngineCore, NoAdapters
from cria.engine.embedding_steps import EmbeddingSteps
from cria.engine.limits import Limits
from cria.engine.pacing import PrefillPacer
from cria.engine.peers import OWN_ID, Peers
from cria.engine.scheduled import ScheduledBatch
from cria.engine.scheduler import Scheduler
from cria.engine.slots import Capacity, SlotPool, Tokens
from cria.errors import NativeError
from cria.ipc import codec
from cria.ipc.messages import Cancel, Embed, Embedded, FinishReason, StepOutput, Submit, ToEngine
from cria.ipc.transport import Transport
from cria.sampling_params import SamplingParams
from tests.engine.fake_embedder import FakeEmbedder
from tests.engine.fake_runner import END, FakeRunner, unpack
from tests.generation.fake_engine import READY

CONTEXT, NUM_SLOTS, BATCH = 32, 3, 16
NUM_CELLS = CONTEXT + 20  # fewer than the slots could fill: sequences are preempted
STEPS_PER_TOKEN = 12
"""A generous bound: a preempted sequence is computed again, and others are before it."""
NOBODY = 1 << 39
"""An id that no peer uses."""


@dataclass
class Request:
    """What one peer has heard of one request."""

    size: int
    tokens: list[int] = field(default_factory=list)
    num_ends: int = 0
    was_cancelled: bool = False


@dataclass
class Front:
    """A front process: its end of the connection, and its requests by their ids."""

    transport: Transport
    requests: dict[int, Request] = field(default_factory=dict)

    @property
    def open_ids(self) -> list[int]:
        return [number for number, request in self.requests.items() if not request.num_ends]


class FailingRunner(FakeRunner):
    """Fails where it is told to: when a step begins, or when it ends."""

    fail_finish = False

    def finish(self, batch: ScheduledBatch) -> Tokens:
        if self.fail_finish:
            self.fail_finish = False
            raise NativeError("told to fail")
        return super().finish(batch)


class AnyAdapters(NoAdapters):
    """Every adapter is there."""

    def why_not(self, adapters: AdapterSet) -> str | None:
        return None


def next_token(request_id: int, num_tokens: int) -> int:
    """1, 2, 3, ...; some requests end by themselves."""
    return END if request_id % 3 == 0 and num_tokens == 9 else num_tokens + 1


class EngineMachine(RuleBasedStateMachine):
    """Any order of submits, cancels, ends of peers, failures and steps."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = str(Path(self.folder.name) / "engine")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        ours, theirs = socket.socketpair()
        self.ours = Transport(ours)
        self.fronts = [Front(Transport(theirs))]
        self.pool = SlotPool(Capacity(NUM_SLOTS, CONTEXT, NUM_CELLS), min_shared=2)
        self.scheduler = Scheduler(
            self.pool, Limits(CONTEXT, BATCH, vocab_size=1000), {END}, PrefillPacer(1.0, 4)
        )
        self.runner = FailingRunner(NUM_CELLS, next_token, CONTEXT)
        self.embedder = FakeEmbedder()
        self.peers = Peers(self.ours, self.listener)
        self.core = EngineCore(
            self.scheduler,
            self.runner,
            self.peers,
            EmbeddingSteps(self.embedder, PrefillPacer(1.0, 4)),
            Compiling(lambda: pytest.fail("nobody wants a grammar")),
        )
        self.core.adapters = AnyAdapters()
        self.peers.welcome(READY)
        self.next_id = 0

    # --- What the fronts do -----------------------------------------------------------------

    @rule(
        data=st.data(),
        prompt=st.lists(st.integers(5, 6), max_size=CONTEXT + 2),
        max_tokens=st.integers(0, 40),
        priority=st.integers(-2, 2),
        n=st.integers(1, 4),
        adapter=st.integers(0, 2),
    )
    def submit(  # noqa: PLR0913 - what hypothesis draws
        self,
        data: st.DataObject,
        prompt: list[int],
        max_tokens: int,
        priority: int,
        n: int,
        adapter: int,
    ) -> None:
        """As many sequences of one prompt as choices are wanted."""
        front = data.draw(st.sampled_from(self.fronts))
        params = SamplingParams(max_tokens=max_tokens)
        adapters = make_set({adapter: 1.0}) if adapter else BASE
        for _ in range(n):
            self.tell(front, Submit(self.next_id, prompt, params, priority, adapters=adapters))
            front.requests[self.next_id] = Request(len(prompt) + max_tokens)
            self.next_id += 1

    @rule(data=st.data(), size=st.integers(0, 3))
    def embed(self, data: st.DataObject, size: int) -> None:
        front = data.draw(st.sampled_from(self.fronts))
        self.tell(front, Embed(self.next_id, [[1, 2]] * size))
        front.requests[self.next_id] = Request(size)
        self.next_id += 1

    @precondition(lambda self: self.next_id)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Anything: also what has ended, or is another front's."""
        front = data.draw(st.sampled_from(self.fronts))
        number = data.draw(st.integers(0, self.next_id))
        self.tell(front, Cancel(number))
        if number in front.requests:
            front.requests[number].was_cancelled = True

    @precondition(lambda self: len(self.fronts) < 3)
    @rule()
    def a_guest_comes(self) -> None:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self.path)
        self.fronts.append(Front(Transport(connection)))

    @precondition(lambda self: len(self.fronts) > 1)
    @rule(data=st.data(), speaks_badly=st.booleans())
    def a_guest_goes(self, data: st.DataObject, speaks_badly: bool) -> None:
        front = self.fronts.pop(data.draw(st.integers(1, len(self.fronts) - 1)))
        if speaks_badly:
            front.transport.send(b"\xff no message of ours")
        front.transport.close()

    # --- What the engine does ---------------------------------------------------------------

    @rule()
    def step(self) -> None:
        # An idle engine waits for a message: here is one that means nothing.
        self.tell(self.fronts[0], Cancel(NOBODY))
        self.core.step()
        self.listen()

    @rule()
    def a_step_fails_at_its_beginning(self) -> None:
        self.runner.fail_next = True
        self.step()
        self.runner.fail_next = False

    @rule()
    def a_step_fails_at_its_end(self) -> None:
        self.runner.fail_finish = True
        self.step()
        self.runner.fail_finish = False

    # --- What must hold ---------------------------------------------------------------------

    @invariant()
    def no_cell_and_no_slot_is_lost_or_held_twice(self) -> None:
        self.pool.check_integrity()
        stats = self.scheduler.stats()
        assert stats.num_running == int(self.pool.is_busy.sum()) <= NUM_SLOTS
        used = self.pool.cells.num_cells - self.pool.cells.num_free
        assert used == self.runner.num_used_cells(), "not the cells that the runner counts"

    def teardown(self) -> None:
        """Nobody asks any more: everybody's turn comes within a bound, and nothing is left."""
        try:
            self.end()
        finally:
            self.close()

    def end(self) -> None:
        sizes = [f.requests[number].size for f in self.fronts for number in f.open_ids]
        bound = 10 + STEPS_PER_TOKEN * sum(size + 1 for size in sizes)
        for _ in range(bound):
            self.step()
            if not any(front.open_ids for front in self.fronts):
                break
        left = [front.open_ids for front in self.fronts]
        assert not any(left), f"after {bound} steps these have not ended: {left}"
        self.step()
        self.step()
        assert self.scheduler.is_idle, "something runs for nobody"
        stats = self.scheduler.stats()
        assert (stats.num_running, stats.num_waiting, stats.num_used_cells) == (0, 0, 0)
        self.no_cell_and_no_slot_is_lost_or_held_twice()

    def close(self) -> None:
        self.peers.close()
        for transport in [self.ours, *(front.transport for front in self.fronts)]:
            transport.close()
        self.listener.close()
        self.folder.cleanup()

    # --- The wire ---------------------------------------------------------------------------

    def tell(self, front: Front, message: ToEngine) -> None:
        front.transport.send(codec.encode(message))

    def listen(self) -> None:
        """Each front hears of its own requests alone, in order, and of each end once."""
        for front in self.fronts:
            for frame in front.transport.receive(block=False):
                message = codec.decode_to_server(frame)
                if isinstance(message, Embedded):
                    self.note_end(front, message.request_id)
                elif isinstance(message, StepOutput):
                    self.note_step(front, message)

    def note_step(self, front: Front, message: StepOutput) -> None:
        for output in unpack(message):
            if output.request_id > OWN_ID:
                continue  # of a guest that has just gone: `EngineLink` knows no such id
            request = front.requests[output.request_id]
            assert not request.num_ends, "an output after the last one"
            request.tokens += output.token_ids
            assert request.tokens == list(range(1, len(request.tokens) + 1)), "out of order"
            if output.finish_reason is not None:
                self.note_end(front, output.request_id)
                told = len(request.tokens) + (output.finish_reason is FinishReason.STOP)
                if output.finish_reason in (FinishReason.STOP, FinishReason.LENGTH):
                    assert output.num_generated_tokens == told
                assert output.finish_reason is not FinishReason.CANCELLED or request.was_cancelled

    def note_end(self, front: Front, request_id: int) -> None:
        front.requests[request_id].num_ends += 1
        assert front.requests[request_id].num_ends == 1, "a second end"


TestEngineMachine = EngineMachine.TestCase
TestEngineMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
