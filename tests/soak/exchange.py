"""One request on a connection of its client, as its plan says, and what came back."""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import struct
import time
from dataclasses import dataclass, field

from tests.soak.mix import Plan
from tests.soak.settings import KEY

TIMEOUT_SECONDS = 90.0
SLOW_READ, SLOW_SECONDS, SLOW_READS = 64, 0.05, 40
RESET = struct.pack("ii", 1, 0)


@dataclass
class Exchange:
    """What a client saw. Times are in seconds of the clock that all processes share."""

    start: float
    end: float = 0.0
    answered: float = 0.0
    """When the head of the answer had come."""
    status: int = 0
    """0: there was none."""
    content_type: str = ""
    body: bytes = b""
    how: str = "complete"
    """`complete`, `left` (by the client), `cut`, `timeout`, or `refused`: no connection."""
    words: str = ""
    """Of what went wrong."""
    request_id: str = field(default="")


class Connection:
    """A client's connection, which stays open from one request to the next."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._http: http.client.HTTPConnection | None = None

    def perform(self, plan: Plan) -> Exchange:
        """Send the plan's request and read, leave, or dawdle as it says; never raises."""
        exchange = Exchange(time.time())
        try:
            if plan.abuse is not None:
                self._abuse(plan, exchange)
            else:
                self._ask(plan, exchange)
        except TimeoutError as error:
            exchange.how, exchange.words = "timeout", repr(error)
        except ConnectionRefusedError as error:
            exchange.how, exchange.words = "refused", repr(error)
        except (OSError, http.client.HTTPException) as error:
            exchange.how, exchange.words = "cut", repr(error)
        if exchange.how != "complete":
            self.close()
        exchange.end = time.time()
        return exchange

    def close(self, *, reset: bool = False) -> None:
        """Hang up; with a RST in place of a FIN if `reset`."""
        if self._http is None:
            return
        if reset and self._http.sock is not None:
            with contextlib.suppress(OSError):
                self._http.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._http.close()
        self._http = None

    def _ask(self, plan: Plan, exchange: Exchange) -> None:
        connection = self._send(plan)
        if plan.leaves in ("queued", "prefill"):
            assert connection.sock is not None
            wait = plan.patience if plan.leaves == "queued" else plan.patience * 2
            select.select([connection.sock], [], [], wait)
            self._leave(plan, exchange)
            return
        answer = connection.getresponse()
        exchange.status, exchange.answered = answer.status, time.time()
        exchange.content_type = answer.getheader("Content-Type", "")
        exchange.request_id = answer.getheader("x-request-id", "")
        self._read(answer, plan, exchange)
        if plan.leaves == "end":
            self.close(reset=plan.patience > 0.15)
        elif answer.will_close:
            self.close()

    def _send(self, plan: Plan) -> http.client.HTTPConnection:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
        is_fresh = self._http is None
        if self._http is None:
            self._http = http.client.HTTPConnection(*self._address, timeout=TIMEOUT_SECONDS)
        try:
            self._http.request("POST", plan.path, plan.body, headers)
        except (ConnectionResetError, BrokenPipeError):
            # The server may close an idle connection, also while a request is on its way.
            self.close()
            if is_fresh:
                raise
            return self._send(plan)
        return self._http

    def _read(self, answer: http.client.HTTPResponse, plan: Plan, exchange: Exchange) -> None:
        parts: list[bytes] = []
        num_events = 0
        reads_slowly = plan.is_slow
        for number in range(10**9):
            data = answer.read1(SLOW_READ if reads_slowly else 65536)
            if not data:
                break
            parts.append(data)
            num_events += data.count(b"\n\n")
            if plan.leaves == "stream" and num_events >= plan.patience:
                self._leave(plan, exchange)
                break
            reads_slowly = plan.is_slow and number < SLOW_READS
            if reads_slowly:
                time.sleep(SLOW_SECONDS)
        exchange.body = b"".join(parts)
        if exchange.how == "complete" and answer.length:
            exchange.how, exchange.words = "cut", f"{answer.length} bytes are missing"
        answer.close()  # else the connection takes it for unread

    def _leave(self, plan: Plan, exchange: Exchange) -> None:
        exchange.how = "left"
        self.close(reset=int(plan.patience * 1000) % 2 == 0)

    def _abuse(self, plan: Plan, exchange: Exchange) -> None:
        """On a connection of its own: the first line of the answer is what counts."""
        assert plan.abuse is not None
        with socket.create_connection(self._address, TIMEOUT_SECONDS) as sock:
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                # A refusal may come, and the connection end, before all has been sent.
                sock.sendall(plan.abuse.data)
            if not plan.abuse.statuses:
                exchange.how = "left"
                return
            sock.settimeout(20)
            line = sock.makefile("rb").readline(1000)
        exchange.answered = time.time()
        words = line.split()
        if len(words) >= 2 and words[0].startswith(b"HTTP/1.") and words[1].isdigit():
            exchange.status = int(words[1])
        else:
            exchange.how, exchange.words = "cut", f"answered {line[:80]!r}"
