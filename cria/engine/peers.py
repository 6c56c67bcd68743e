"""`Peers`: the front processes that one engine serves.

1. The main one started the engine and holds the other end of its socket pair: its end is the
   engine's end. Guests are further front processes, which connect to a listening socket and may
   come and go; the end of one, in whatever way, is a `Cancel` for each of its open requests.
2. A request's id in the engine is the peer's number and the peer's own id in one integer; the main
   peer has the number 0, so that its ids stay as they are.
3. With guests, a peer gets a frame of a step that has tokens for it. The counters alone go to all
   when the engine has become idle, so that nobody's last news is a sequence that runs, and a few
   times a second else.
4. The engine never waits for a peer that does not read.
"""

from __future__ import annotations

import logging
import selectors
import socket
import time
from collections.abc import Callable
from functools import partial

import msgspec

from cria.ipc import codec
from cria.ipc.messages import (
    AdapterLoaded,
    Cancel,
    Embed,
    Embedded,
    EngineStats,
    Ready,
    StepOutput,
    Submit,
    ToEngine,
)
from cria.ipc.patient_sender import PatientSender
from cria.ipc.transport import PeerGone, Transport

logger = logging.getLogger(__name__)

ID_BITS = 40
"""Of a peer's own ids: 30 years of a thousand requests a second."""
OWN_ID = (1 << ID_BITS) - 1
MAIN_PATIENCE_SECONDS, GUEST_PATIENCE_SECONDS = 120.0, 15.0
"""With a peer that reads nothing of what is for it; then it counts as gone. Nobody waits for it."""
IDLE_SECONDS, UNREAD_SECONDS = 1.0, 0.02
"""The longest wait for a message, and that while a peer has not read all that is for it."""
STATS_SECONDS = 0.25
MAIN = 0


class Guest:
    """One further front process."""

    def __init__(self, number: int, transport: Transport) -> None:
        self.number = number
        self.transport = transport
        self.sender = PatientSender(transport, GUEST_PATIENCE_SECONDS)
        self.open_ids: set[int] = set()
        """Of requests that have not ended, as the engine calls them."""

    def receive(self) -> list[ToEngine]:
        """What has arrived, under the engine's ids; PeerGone also for what makes no sense."""
        return [self._adopt(message) for message in _receive(self.transport)]

    def _adopt(self, message: ToEngine) -> ToEngine:
        if not 0 <= message.request_id <= OWN_ID:
            raise PeerGone(f"a request id of {message.request_id}")
        request_id = self.number << ID_BITS | message.request_id
        if isinstance(message, (Submit, Embed)):
            self.open_ids.add(request_id)
        adopted: ToEngine = msgspec.structs.replace(message, request_id=request_id)
        return adopted


class Peers:
    """The front processes that this engine serves."""

    def __init__(self, main: Transport, listener: socket.socket | None = None) -> None:
        self._main = main
        self._main_sender = PatientSender(main, MAIN_PATIENCE_SECONDS)
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._guests: dict[int, Guest] = {}
        self._num_guests_ever = 0
        self._orphans: list[ToEngine] = []
        """Cancels for requests of guests that are gone."""
        self._greeting = b""
        self._stats = EngineStats()
        self._stats_told = 0.0
        self._watch(main, self._receive_main)

    def welcome(self, ready: Ready) -> None:
        """Tell the main peer now, and every guest when it comes."""
        self._greeting = codec.encode(ready)
        self._main_sender.send(self._greeting)
        if self._listener is not None:
            self._listener.setblocking(False)
            self._watch(self._listener, self._accept)

    def receive(self, *, block: bool) -> list[ToEngine]:
        """What all peers want; waits a moment for a first message if `block`.

        PeerGone if the main one is gone.
        """
        has_unread = self._flush()
        messages, self._orphans = self._orphans, []
        if not block and self._listener is None:
            return messages + self._receive_main()
        patience = UNREAD_SECONDS if has_unread else IDLE_SECONDS
        for key, _ in self._selector.select(patience if block and not messages else 0):
            messages += key.data()
        return messages

    def send(self, output: StepOutput) -> None:
        """Tell each peer what concerns it; PeerGone if the main one is gone."""
        self._stats = output.stats
        if not self._guests:
            self._main_sender.send(codec.encode(output))
            return
        shares = split(output)
        self._forget_ended(output)
        if self._is_news(output.stats):
            for number in {MAIN, *self._guests} - set(shares):
                shares[number] = StepOutput([], output.stats)
        for number, share in shares.items():
            self._deliver(number, share)

    def answer(self, embedded: Embedded | AdapterLoaded) -> None:
        """Tell the peer whose request it was; PeerGone if that is the main one, and it is gone."""
        number = embedded.request_id >> ID_BITS
        own = msgspec.structs.replace(embedded, request_id=embedded.request_id & OWN_ID)
        if number == MAIN:
            self._main_sender.send(codec.encode(own))
        elif guest := self._guests.get(number):
            guest.open_ids.discard(embedded.request_id)
            self._tell(guest, codec.encode(own))

    def close(self) -> None:
        """Close the guests' connections; the main one and the listener belong to others."""
        for guest in list(self._guests.values()):
            self._drop(guest)
        self._selector.close()

    def _flush(self) -> bool:
        """Whether something is left to be read by somebody; PeerGone as from `send`."""
        self._main_sender.flush()
        for guest in [guest for guest in self._guests.values() if guest.sender.has_more]:
            self._tell(guest)
        unread = (guest.sender.has_more for guest in self._guests.values())
        return self._main_sender.has_more or any(unread)

    def _watch(self, source: Transport | socket.socket, handle: Callable[[], object]) -> None:
        self._selector.register(source, selectors.EVENT_READ, handle)

    def _receive_main(self) -> list[ToEngine]:
        return _receive(self._main)

    def _receive_guest(self, guest: Guest) -> list[ToEngine]:
        try:
            return guest.receive()
        except PeerGone as news:
            logger.debug("guest %d is gone: %s", guest.number, news)
            self._drop(guest)
            orphans, self._orphans = self._orphans, []
            return orphans

    def _accept(self) -> list[ToEngine]:
        """A new guest, which hears at once what the others have heard."""
        assert self._listener is not None
        try:
            connection, _ = self._listener.accept()
        except OSError as error:  # gone again already, or no descriptors for it
            logger.debug("no further guest: %s", error)
            return []
        connection.setblocking(True)
        self._num_guests_ever += 1
        guest = Guest(self._num_guests_ever, Transport(connection))
        self._guests[guest.number] = guest
        self._watch(guest.transport, partial(self._receive_guest, guest))
        self._tell(guest, self._greeting, codec.encode(StepOutput([], self._stats)))
        return []

    def _forget_ended(self, output: StepOutput) -> None:
        for each in output.outputs:
            if each.finish_reason is not None and (number := each.request_id >> ID_BITS):
                if guest := self._guests.get(number):
                    guest.open_ids.discard(each.request_id)

    def _is_news(self, stats: EngineStats) -> bool:
        """Whether those should hear of the counters too for whom there is no token."""
        now = time.monotonic()
        is_idle = not (stats.num_running or stats.num_waiting)
        if not is_idle and now - self._stats_told < STATS_SECONDS:
            return False
        self._stats_told = now
        return True

    def _deliver(self, number: int, share: StepOutput) -> None:
        if number == MAIN:
            self._main_sender.send(codec.encode(share))
        elif guest := self._guests.get(number):  # else nobody waits for it any more
            self._tell(guest, codec.encode(share))

    def _tell(self, guest: Guest, *frames: bytes) -> None:
        try:
            guest.sender.send(*frames)
        except PeerGone as news:
            logger.warning("a front process is gone or does not read: %s", news)
            self._drop(guest)

    def _drop(self, guest: Guest) -> None:
        self._selector.unregister(guest.transport)
        del self._guests[guest.number]
        guest.transport.close()
        self._orphans += map(Cancel, guest.open_ids)


def split(output: StepOutput) -> dict[int, StepOutput]:
    """The part of each peer that has one, by its number, under its own ids."""
    shares: dict[int, StepOutput] = {}

    def share_of(request_id: int) -> StepOutput:
        number = request_id >> ID_BITS
        share = shares.get(number)
        if share is None:
            share = shares[number] = StepOutput([], output.stats)
        return share

    for request_id, token in zip(output.request_ids, output.token_ids, strict=True):
        share = share_of(request_id)
        share.request_ids.append(request_id & OWN_ID)
        share.token_ids.append(token)
    for request_id in output.admitted_ids:
        share_of(request_id).admitted_ids.append(request_id & OWN_ID)
    for each in output.outputs:
        own = msgspec.structs.replace(each, request_id=each.request_id & OWN_ID)
        share_of(each.request_id).outputs.append(own)
    return shares


def _receive(transport: Transport) -> list[ToEngine]:
    try:
        return [codec.decode_to_engine(frame) for frame in transport.receive(block=False)]
    except codec.BadFrame as error:
        raise PeerGone(f"a frame that does not decode: {error}") from None
