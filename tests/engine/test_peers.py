"""Peers over real sockets: the main one on a socket pair, guests over a listening socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cria.engine import peers as peers_module
from cria.engine.peers import ID_BITS, Peers, split
from cria.ipc import codec
from cria.ipc.messages import (
    Cancel,
    Embed,
    Embedded,
    EngineStats,
    FinishReason,
    Ready,
    SequenceOutput,
    StepOutput,
    Submit,
    ToEngine,
    ToServer,
)
from cria.ipc.transport import PeerGone, Transport
from cria.sampling_params import SamplingParams
from tests.real_server import wait_for

READY = Ready(2, 32, 64, 10, 20, 0, "CPU", 1, [])
BUSY = EngineStats(num_running=1)


def submit(request_id: int) -> Submit:
    return Submit(request_id, [7], SamplingParams())


def tokens(*request_ids: int, stats: EngineStats = BUSY) -> StepOutput:
    """A step in which each of the sequences got the token 5."""
    return StepOutput([], stats, list(request_ids), [5] * len(request_ids))


def ended(request_id: int) -> StepOutput:
    return StepOutput([SequenceOutput(request_id, (), FinishReason.STOP)], BUSY)


def tell(peer: Transport, *messages: ToEngine) -> None:
    peer.send(*map(codec.encode, messages))


def heard(peer: Transport) -> list[ToServer]:
    return [codec.decode_to_server(frame) for frame in peer.receive(block=False)]


class Bench:
    """An engine's peers whose front processes are the test."""

    def __init__(self, path: Path) -> None:
        self.address = str(path / "s")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.address)
        self.listener.listen()
        ours, theirs = socket.socketpair()
        self.engine_end, self.main = Transport(ours), Transport(theirs)
        self.peers = Peers(self.engine_end, self.listener)
        self.peers.welcome(READY)
        assert heard(self.main) == [READY]
        self.guests: list[Transport] = []

    def guest(self) -> Transport:
        """A further front process, which the engine has accepted."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self.address)
        guest = Transport(connection)
        assert self.peers.receive(block=False) == []
        greeting, news = heard(guest)
        assert greeting == READY and isinstance(news, StepOutput)
        self.guests.append(guest)
        return guest

    def open_sequence(self, peer: Transport, own_id: int = 1) -> int:
        """The engine's id of a sequence that this peer asks for."""
        tell(peer, submit(own_id))
        (message,) = self.peers.receive(block=True)
        assert isinstance(message, Submit)
        return message.request_id

    def close(self) -> None:
        self.peers.close()
        self.listener.close()
        for transport in (self.main, self.engine_end, *self.guests):
            transport.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def test_alone_the_main_peer_is_passed_through() -> None:
    ours, theirs = socket.socketpair()
    main, engine_end = Transport(theirs), Transport(ours)
    peers = Peers(engine_end)
    peers.welcome(READY)
    tell(main, submit(3), Cancel(3))
    assert peers.receive(block=True) == [submit(3), Cancel(3)]
    assert peers.receive(block=False) == []
    peers.send(tokens(3))
    assert heard(main) == [READY, tokens(3)]
    main.close()
    with pytest.raises(PeerGone):
        peers.receive(block=True)
    peers.close()
    engine_end.close()


def test_equal_ids_of_several_peers_differ_in_the_engine(bench: Bench) -> None:
    peers = [bench.main, bench.guest(), bench.guest()]
    ids = [bench.open_sequence(peer, 7) for peer in peers]
    assert ids[0] == 7 and len(set(ids)) == 3
    tell(peers[2], Cancel(7))
    assert bench.peers.receive(block=True) == [Cancel(ids[2])]


def test_each_peer_hears_of_its_own_sequences_by_its_own_ids(bench: Bench) -> None:
    peers = [bench.main, bench.guest(), bench.guest()]
    a, b, c = (bench.open_sequence(peer, 7) for peer in peers)
    bench.peers.send(tokens(c, a, b))
    for peer in peers:
        assert heard(peer) == [tokens(7)]
    bench.peers.send(ended(b))
    assert heard(peers[1]) == [ended(7)]
    assert heard(peers[0]) == heard(peers[2]) == []


def test_the_counters_go_to_all_when_the_engine_becomes_idle(bench: Bench) -> None:
    guest = bench.guest()
    bench.peers.send(tokens(1))  # a while has passed: the counters are news
    assert heard(guest) == [StepOutput([], BUSY)]
    bench.peers.send(tokens(1))
    assert heard(guest) == []
    bench.peers.send(tokens(1, stats=EngineStats()))
    assert heard(guest) == [StepOutput([], EngineStats())]
    assert heard(bench.main) == [tokens(1), tokens(1), tokens(1, stats=EngineStats())]


def test_a_new_guest_hears_of_the_last_counters(bench: Bench) -> None:
    bench.peers.send(tokens(1, stats=EngineStats(steps_total=9)))
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(bench.address)
    bench.guests.append(Transport(connection))
    bench.peers.receive(block=False)
    assert heard(bench.guests[0]) == [READY, StepOutput([], EngineStats(steps_total=9))]


def test_the_end_of_a_guest_cancels_its_open_sequences(bench: Bench) -> None:
    guest, other = bench.guest(), bench.guest()
    first, second = bench.open_sequence(guest, 1), bench.open_sequence(guest, 2)
    kept = bench.open_sequence(other)
    bench.peers.send(ended(first))
    guest.close()
    assert bench.peers.receive(block=True) == [Cancel(second)]
    bench.peers.send(ended(second))  # nobody waits for it
    bench.peers.send(tokens(kept))
    assert tokens(1) in heard(other)


def test_embeddings_are_asked_for_and_answered_by_each_peers_own_ids(bench: Bench) -> None:
    peers = [bench.main, bench.guest(), bench.guest()]
    ids = []
    for peer in peers:
        tell(peer, Embed(7, [[5]]))
        (message,) = bench.peers.receive(block=True)
        assert isinstance(message, Embed) and message.inputs == [[5]]
        ids.append(message.request_id)
    for request_id in reversed(ids):
        bench.peers.answer(Embedded(request_id, str(request_id).encode()))
    for peer, request_id in zip(peers, ids, strict=True):
        assert heard(peer) == [Embedded(7, str(request_id).encode())]


def test_the_end_of_a_guest_cancels_its_open_embeddings(bench: Bench) -> None:
    guest = bench.guest()
    tell(guest, Embed(1, [[5]]), Embed(2, [[5]]))
    first, second = bench.peers.receive(block=True)
    bench.peers.answer(Embedded(first.request_id))
    guest.close()
    assert bench.peers.receive(block=True) == [Cancel(second.request_id)]
    bench.peers.answer(Embedded(second.request_id))  # nobody waits for it


@pytest.mark.parametrize("garbage", [b"\xc1", codec.encode(submit(1 << ID_BITS))])
def test_a_guest_that_talks_nonsense_is_gone(bench: Bench, garbage: bytes) -> None:
    guest = bench.guest()
    request_id = bench.open_sequence(guest)
    guest.send(garbage)
    assert bench.peers.receive(block=True) == [Cancel(request_id)]
    with pytest.raises(PeerGone):
        guest.receive()
    assert bench.open_sequence(bench.main, 4) == 4


def test_a_guest_that_does_not_read_is_dropped_and_the_others_never_wait(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers_module, "GUEST_PATIENCE_SECONDS", 0.5)
    lazy = bench.guest()
    request_id = bench.open_sequence(lazy)
    much = StepOutput([SequenceOutput(request_id, (5,) * 1_000_000)], BUSY)
    bench.peers.send(much)
    heard(bench.main)
    bench.peers.send(tokens(1))
    assert heard(bench.main) == [tokens(1)]
    assert wait_for(lambda: bench.peers.receive(block=True), bool, "the end of the guest") == [
        Cancel(request_id)
    ]


def test_what_a_peer_has_not_read_reaches_it_when_it_reads(bench: Bench) -> None:
    guest = bench.guest()
    request_id = bench.open_sequence(guest)
    much = StepOutput([SequenceOutput(request_id, (5,) * 1_000_000)], BUSY)
    bench.peers.send(much)
    read: list[ToServer] = []
    while not read:
        assert bench.peers.receive(block=True) == []
        read = heard(guest)
    assert isinstance(read[0], StepOutput) and len(read[0].outputs[0].token_ids) == 1_000_000


def test_a_main_peer_that_does_not_read_is_the_end_in_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.peers._main_sender._patience = 0.2
    bench.peers.send(StepOutput([SequenceOutput(1, (5,) * 1_000_000)], BUSY))
    with pytest.raises(PeerGone, match="nothing was read"):
        wait_for(lambda: bench.peers.receive(block=True), bool, "the end")


def test_a_guest_that_went_away_unnoticed_is_no_error_for_the_others(bench: Bench) -> None:
    guest = bench.guest()
    request_id = bench.open_sequence(guest)
    guest.close()
    bench.peers.send(tokens(request_id, 1))
    assert heard(bench.main) == [tokens(1)]
    assert bench.peers.receive(block=True) == [Cancel(request_id)]


def test_the_end_of_the_main_peer_is_the_end(bench: Bench) -> None:
    bench.guest()
    bench.main.close()
    with pytest.raises(PeerGone):
        bench.peers.receive(block=True)
    with pytest.raises(PeerGone):
        bench.peers.send(tokens(1))


def test_waiting_ends_with_the_first_message_of_anybody(bench: Bench) -> None:
    received: list[ToEngine] = []

    def receive() -> None:
        while not received:
            received.extend(bench.peers.receive(block=True))

    thread = threading.Thread(target=receive)
    thread.start()
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(bench.address)
    guest = Transport(connection)
    bench.guests.append(guest)
    assert codec.decode_to_server(guest.receive()[0]) == READY
    whole = codec.encode(submit(1))
    connection.sendall(len(whole).to_bytes(4, "little") + whole[:3])  # half a frame is no message
    connection.sendall(whole[3:])
    thread.join(30)
    assert [message.request_id & 1 for message in received] == [1]


def test_splitting_keeps_order_and_numbers() -> None:
    guest = 1 << ID_BITS
    output = StepOutput(
        [SequenceOutput(guest | 4, (9,)), SequenceOutput(2, (8,))],
        BUSY,
        [guest | 3, 1, guest | 1],
        [10, 11, 12],
        [2, guest | 4],
    )
    assert split(output) == {
        0: StepOutput([SequenceOutput(2, (8,))], BUSY, [1], [11], [2]),
        1: StepOutput([SequenceOutput(4, (9,))], BUSY, [3, 1], [10, 12], [4]),
    }
