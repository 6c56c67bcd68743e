"""`Admission`: which requests may come in, decided at once and without the engine.

1. A sequence is open from its submission to its end. No more are open than there are slots and
   places in the queue; those that have not begun want no more tokens than the queue may hold.
2. A request that is larger than all of that comes in when nobody waits: it would never, else.
3. A caller may be held to so many requests and tokens a minute (`rate_limit`), and to so many
   requests at once. Tokens are taken on arrival, by what the request asks for, and corrected when
   it has ended.
4. Who comes in holds a `Ticket`, which gives everything back, once, on every way out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from cria.config import ServerConfig
from cria.errors import QueueFull, RateLimited
from cria.generation.caller import Caller
from cria.generation.ledger import Ledger
from cria.generation.rate_limit import duration, remaining, seconds_until, seconds_until_full, taken

MIN_RETRY_SECONDS, MAX_RETRY_SECONDS = 1.0, 60.0
QUEUE_PER_SLOT, MIN_QUEUE = 8, 64
"""How many sequences may wait, if nobody says otherwise."""
UNKNOWN_SECONDS = 5.0
"""To come back after, as long as nobody knows how long a sequence takes."""
BUSY_SECONDS = 1.0
"""For one more of a caller's requests, whose others may end at any time."""


class Capacity(NamedTuple):
    """What the engine has room for."""

    num_slots: int
    context_size: int
    """Tokens of one sequence."""


class Demand(NamedTuple):
    """What a request wants."""

    sizes: Sequence[int]
    """For each of its sequences, the tokens of its prompt and of its longest answer."""
    num_tokens: int
    """What it is to pay for until it is known better."""


class Ticket:
    """What one request occupies; every call may come twice, or too late."""

    def __init__(self, admission: Admission, caller: Caller, row: int | None, demand: Demand):
        self._admission, self._caller, self._row = admission, caller, row
        self._num_paid = demand.num_tokens
        self._waiting = dict(enumerate(demand.sizes))
        self._open = set(self._waiting)
        self._begun: dict[int, float] = {}
        self._is_closed = False

    def begin(self, index: int) -> None:
        """The engine has begun to compute this sequence."""
        if index in self._waiting:
            self._begun[index] = self._admission.clock()
            self._admission.give_back(0, self._waiting.pop(index))

    def end(self, index: int) -> None:
        """This sequence needs no slot, or no place in the queue, any more."""
        if index in self._open:
            self._open.remove(index)
            self._admission.give_back(1, self._waiting.pop(index, 0), self._begun.get(index))

    def close(self, num_tokens: int) -> None:
        """The request has ended, and is to pay for so many tokens."""
        for index in list(self._open):
            self.end(index)
        if not self._is_closed:
            self._is_closed = True
            self._admission.settle(self._caller, self._row, num_tokens - self._num_paid)

    @property
    def has_begun(self) -> bool:
        """Whether anything of it was computed."""
        return bool(self._begun)

    def retry_after(self) -> float:
        """Seconds after which what waits now should have begun."""
        return self._admission.retry_after()


class Uncounted(Ticket):
    """Of a request that nobody counts."""

    def __init__(self) -> None:
        self._open, self._waiting, self._begun, self._is_closed = set(), {}, {}, True

    def retry_after(self) -> float:
        return MIN_RETRY_SECONDS


class Admission:
    """For one server process, over the ledger of all."""

    def __init__(
        self,
        config: ServerConfig,
        ledger: Ledger | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        callers: Ledger | None = None,
    ) -> None:
        """`callers` is the ledger of what callers may, if not the same one as the queue's."""
        self._config = config
        self._ledger = ledger or Ledger()
        self._callers = callers or self._ledger
        self.on_end: Callable[[], None] = _nothing
        """Called when sequences have ended."""
        self.clock = clock
        self._num_slots = 1

    def check(self, caller: Caller, capacity: Capacity, num_sequences: int = 1) -> None:
        """Raise what `enter` would for this and no token: better before a prompt is made."""
        with self._locked():
            self._check(caller, capacity, Demand((0,) * num_sequences, 0))

    def enter(self, caller: Caller, capacity: Capacity, demand: Demand) -> Ticket:
        """Let the request in; RateLimited or QueueFull, and then nothing is taken."""
        with self._locked():
            row = self._check(caller, capacity, demand)
            self._ledger.count(len(demand.sizes), sum(demand.sizes))
            if row is not None:
                self._callers.count_open(row, 1)
                self._take(caller, row, 1, demand.num_tokens)
        return Ticket(self, caller, row, demand)

    def give_back(self, num_sequences: int, num_waiting: int, begun: float | None = None) -> None:
        """So many sequences have ended, and so many tokens wait no more.

        `begun` is when the one that has ended was.
        """
        with self._ledger.locked():
            self._ledger.count(-num_sequences, -num_waiting)
            if begun is not None:
                self._ledger.note_end(self.clock() - begun)
        if num_sequences:
            self.on_end()

    def settle(self, caller: Caller, row: int | None, num_tokens: int) -> None:
        """A request has ended; it has used so many tokens more, or fewer, than were taken."""
        if row is not None:
            with self._callers.locked():
                self._callers.count_open(row, -1)
                self._take(caller, row, 0, num_tokens)

    def retry_after(self) -> float:
        """Seconds in which all that waits now should have begun, by how long the last ones took."""
        with self._ledger.locked():
            return self._retry_after()

    def num_open(self) -> int:
        """Sequences of all processes that have not ended."""
        with self._ledger.locked():
            return self._ledger.num_sequences

    def headers(self, caller: Caller) -> dict[str, str]:
        """What a caller may still do, as OpenAI's headers tell it; none without such limits."""
        limits = (caller.requests_per_minute, caller.tokens_per_minute)
        if limits == (None, None):
            return {}
        now = self.clock()
        with self._callers.locked():
            row = self._callers.find_caller(caller.id, now)
            earned = (0.0, 0.0) if row is None else self._callers.earned(row)
        told = {}
        for name, limit, when in zip(("requests", "tokens"), limits, earned, strict=True):
            if limit is not None:
                told[f"x-ratelimit-limit-{name}"] = str(limit)
                told[f"x-ratelimit-remaining-{name}"] = str(remaining(when, now, limit))
                told[f"x-ratelimit-reset-{name}"] = duration(seconds_until_full(when, now))
        return told

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Both ledgers, always in this order."""
        with ExitStack() as locks:
            locks.enter_context(self._ledger.locked())
            if self._callers is not self._ledger:
                locks.enter_context(self._callers.locked())
            yield

    def _check(self, caller: Caller, capacity: Capacity, demand: Demand) -> int | None:
        """The caller's row, if it has limits."""
        self._num_slots = max(1, capacity.num_slots)
        row = self._check_caller(caller, demand.num_tokens) if caller.is_limited else None
        self._check_queue(capacity, demand)
        return row

    def _check_caller(self, caller: Caller, num_tokens: int) -> int:
        now = self.clock()
        row = self._callers.find_caller(caller.id, now)
        if row is None:
            raise RateLimited("Too many callers at once.", retry_after=BUSY_SECONDS)
        most = caller.max_concurrent
        if most is not None and self._callers.num_open(row) >= most:
            raise RateLimited(
                f"Rate limit reached: {most} requests at the same time are the most for this key.",
                retry_after=BUSY_SECONDS,
            )
        requests, tokens = self._callers.earned(row)
        if (limit := caller.requests_per_minute) is not None:
            _refuse_after(seconds_until(requests, now, 1, limit), f"{limit} requests")
        if (limit := caller.tokens_per_minute) is not None:
            # Who owes has to pay first, whatever it asks for.
            _refuse_after(seconds_until(tokens, now, max(num_tokens, 1), limit), f"{limit} tokens")
        return row

    def _check_queue(self, capacity: Capacity, demand: Demand) -> None:
        places, most_tokens = self._bounds(capacity)
        num_open = self._ledger.num_sequences
        wanted = len(demand.sizes)
        if num_open + wanted <= capacity.num_slots:
            return
        nobody_waits = num_open <= capacity.num_slots
        is_larger = wanted > capacity.num_slots + places
        if num_open + wanted > capacity.num_slots + places and not (is_larger and nobody_waits):
            raise self._full(f"{places} sequences wait already, or would")
        num_tokens = self._ledger.num_waiting_tokens + sum(demand.sizes)
        if num_tokens > most_tokens and not (sum(demand.sizes) > most_tokens and nobody_waits):
            raise self._full(f"{most_tokens} tokens wait already, or would")

    def _bounds(self, capacity: Capacity) -> tuple[int, int]:
        """Sequences and tokens that may wait."""
        places = self._config.max_queue
        if places is None:
            places = max(QUEUE_PER_SLOT * capacity.num_slots, MIN_QUEUE)
        tokens = self._config.max_queue_tokens
        if tokens is None:
            tokens = (places + capacity.num_slots) * capacity.context_size
        return places, tokens

    def _full(self, why: str) -> QueueFull:
        return QueueFull(
            f"Too many requests at the moment: {why}. Try again later.",
            retry_after=self._retry_after(),
        )

    def _retry_after(self) -> float:
        mean = self._ledger.mean_time()
        if mean is None:
            return UNKNOWN_SECONDS
        num_waiting = max(1, self._ledger.num_sequences - self._num_slots)
        seconds = num_waiting * mean / self._num_slots
        return min(max(seconds, MIN_RETRY_SECONDS), MAX_RETRY_SECONDS)

    def _take(self, caller: Caller, row: int, num_requests: int, num_tokens: int) -> None:
        now = self.clock()
        requests, tokens = self._callers.earned(row)
        if (limit := caller.requests_per_minute) is not None:
            requests = taken(requests, now, num_requests, limit)
        if (limit := caller.tokens_per_minute) is not None:
            tokens = taken(tokens, now, num_tokens, limit)
        self._callers.set_earned(row, requests, tokens)


def _nothing() -> None:
    """Nobody wants to know."""


def _refuse_after(seconds: float, limit: str) -> None:
    if seconds:
        raise RateLimited(
            f"Rate limit reached: {limit} a minute are the most for this key. "
            f"Please try again in {duration(seconds)}.",
            retry_after=seconds,
        )
