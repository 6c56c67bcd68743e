"""`Stopwatch`: what a sequence spent its time on, from its arrival to its last token.

Measured only for those who ask. Knows no clock: all times are seconds of the caller's.
"""

from __future__ import annotations

from cria.ipc.messages import CacheLimit, SequenceTimings


class Stopwatch:
    """Of one sequence; what happens again, after a preemption or a shift, is not the first time."""

    __slots__ = ("_admitted", "_arrival", "_first_token", "_limit", "_num_cached", "_num_prompt")

    def __init__(self, arrival: float, num_prompt_tokens: int) -> None:
        self._arrival = arrival
        self._num_prompt = num_prompt_tokens
        self._num_cached = 0
        self._limit = CacheLimit()
        self._admitted: float | None = None
        self._first_token: float | None = None

    def admit(self, now: float, num_cached: int, limit: CacheLimit) -> None:
        """The sequence leaves the queue; so many tokens of its prompt need not be computed."""
        self._admitted, self._num_cached, self._limit = now, num_cached, limit

    def note_token(self, now: float) -> None:
        """A prompt is computed and a token chosen: it counts if it is the first one."""
        if self._first_token is None:
            self._first_token = now

    def read(self, now: float) -> SequenceTimings:
        """At the end, which may come before the sequence was ever admitted."""
        admitted = now if self._admitted is None else self._admitted
        first = now if self._first_token is None else self._first_token
        return SequenceTimings(
            queue_seconds=admitted - self._arrival,
            prefill_seconds=first - admitted,
            decode_seconds=now - first,
            num_prompt_tokens=self._num_prompt,
            num_cached_tokens=self._num_cached,
            cache_limit=self._limit,
        )
