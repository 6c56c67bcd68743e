"""`WaitingQueue`: whose turn it is when a slot is free.

1. Who has had a slot before comes first: its reader is in the middle of an answer.
2. Then the tenants: first the one that has the fewest slots, of these the one that has got the
   fewest tokens since they all have work. So a tenant with hundreds of sequences holds up another
   one's first no longer than until one of them ends.
3. Of one tenant, the order of priority and arrival decides. Without tenants all are one.

Knows no clock, no socket and no llama.cpp.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from heapq import heappop, heappush
from operator import attrgetter

from cria.engine.sequence import Sequence

_order = attrgetter("order")


class _Tenant:
    """Of one tenant: the sequences that wait, and what the others have got."""

    __slots__ = ("lane", "num_running", "served")

    def __init__(self, served: int) -> None:
        self.lane: list[Sequence] = []
        self.num_running = 0
        self.served = served
        """Tokens; what it starts with is what the others have got at least."""


class WaitingQueue:
    """`add` and `remove`; `take` for a slot, from which a sequence comes `back` or has `left`."""

    def __init__(self) -> None:
        self._tenants: dict[int, _Tenant] = {}
        self._returning: list[Sequence] = []
        self._deadlines: list[tuple[float, int]] = []
        self._hasty: dict[int, Sequence] = {}
        """Those that wait and may not for ever, by request id."""
        self._num_waiting = 0

    def __len__(self) -> int:
        return self._num_waiting

    def add(self, sequence: Sequence) -> None:
        """A new one."""
        tenant = self._tenants.get(sequence.tenant)
        if tenant is None:
            served = min((other.served for other in self._tenants.values()), default=0)
            tenant = self._tenants[sequence.tenant] = _Tenant(served)
        insort(tenant.lane, sequence, key=_order)
        self._num_waiting += 1
        if sequence.expires is not None:
            heappush(self._deadlines, (sequence.expires, sequence.request_id))
            self._hasty[sequence.request_id] = sequence

    def take(self, sequence: Sequence) -> None:
        """It gets a slot."""
        tenant = self._tenants[sequence.tenant]
        self._remove(sequence, tenant)
        tenant.num_running += 1
        if not sequence.was_admitted:
            tenant.served += sequence.num_original_tokens

    def back(self, sequence: Sequence) -> None:
        """It has to give its slot away for a while."""
        self._tenants[sequence.tenant].num_running -= 1
        insort(self._returning, sequence, key=_order)
        self._num_waiting += 1

    def left(self, sequence: Sequence) -> None:
        """It ended in its slot."""
        tenant = self._tenants[sequence.tenant]
        tenant.num_running -= 1
        tenant.served += sequence.num_generated_tokens
        self._forget_idle(sequence.tenant, tenant)

    def remove(self, sequence: Sequence) -> None:
        """It ended while it waited."""
        tenant = self._tenants[sequence.tenant]
        self._remove(sequence, tenant)
        self._forget_idle(sequence.tenant, tenant)

    def expired(self, now: float) -> list[Sequence]:
        """Those that have waited as long as they may; each is told once."""
        found = []
        while self._deadlines and self._deadlines[0][0] <= now:
            _, request_id = heappop(self._deadlines)
            if (sequence := self._hasty.pop(request_id, None)) is not None:
                found.append(sequence)
        return found

    def candidates(self) -> Iterator[Sequence]:
        """All of them, in turn; the last one told may be taken before the next one is asked for."""
        yield from list(self._returning)
        if len(self._tenants) > 1:
            yield from self._in_fair_order()
        else:
            for tenant in list(self._tenants.values()):
                yield from list(tenant.lane)

    def _in_fair_order(self) -> Iterator[Sequence]:
        lanes = [(tenant, list(tenant.lane)) for tenant in self._tenants.values() if tenant.lane]
        heads = [(*_rank(tenant, lane[0]), n, 0) for n, (tenant, lane) in enumerate(lanes)]
        heads.sort()
        while heads:
            *_, number, position = heappop(heads)
            tenant, lane = lanes[number]
            yield lane[position]
            if (position := position + 1) < len(lane):
                heappush(heads, (*_rank(tenant, lane[position]), number, position))

    def _remove(self, sequence: Sequence, tenant: _Tenant) -> None:
        (self._returning if sequence.was_admitted else tenant.lane).remove(sequence)
        self._hasty.pop(sequence.request_id, None)
        self._num_waiting -= 1

    def _forget_idle(self, number: int, tenant: _Tenant) -> None:
        is_returning = any(sequence.tenant == number for sequence in self._returning)
        if not (tenant.lane or tenant.num_running or is_returning):
            del self._tenants[number]


def _rank(tenant: _Tenant, head: Sequence) -> tuple[int, int, tuple[float, int]]:
    """Smaller is sooner."""
    return tenant.num_running, tenant.served, head.order
