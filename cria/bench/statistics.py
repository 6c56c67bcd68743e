"""From what single requests lived through to the numbers of a run."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from cria.bench.messages import Outcome, Trace

MS = 1e3


class Summary(msgspec.Struct):
    """One run; None where there was nothing to measure."""

    requests: int
    failed: int
    prompt_tokens: int
    generated_tokens: int
    wall_s: float
    """From the start to the end of the last request."""
    generated_per_s: float | None = None
    tokens_per_s: float | None = None
    """Prompt and generated tokens together."""
    ttft_p50_ms: float | None = None
    ttft_p90_ms: float | None = None
    ttft_p99_ms: float | None = None
    itl_p50_ms: float | None = None
    """Between one piece of text and the next of the same request; a piece may be several tokens."""
    itl_p90_ms: float | None = None
    itl_p99_ms: float | None = None
    longest_pause_ms: float | None = None
    long_ttft_ms: float | None = None
    """Of the one long prompt."""
    long_pause_ms: float | None = None
    """Of the other streams, while the long prompt was computed."""
    prefill_per_s: float | None = None
    """Prompt tokens per second while only prompts were computed; known of the raw limit alone."""
    decode_per_s: float | None = None
    """Generated tokens per second after all prompts; known of the raw limit alone."""


def summarize(outcome: Outcome) -> Summary:
    """Failed requests count as failed, and nowhere else."""
    good = [trace for trace in outcome.traces if trace.error is None]
    summary = Summary(
        requests=len(outcome.traces),
        failed=len(outcome.traces) - len(good),
        prompt_tokens=sum(trace.prompt_tokens for trace in good),
        generated_tokens=sum(trace.generated_tokens for trace in good),
        wall_s=max((trace.end for trace in outcome.traces), default=0.0),
    )
    _set_rates(summary)
    _set_latencies(
        summary,
        [trace.arrivals[0] - trace.start for trace in good if trace.arrivals],
        [after - before for trace in good for before, after in pairwise(trace.arrivals)],
    )
    if outcome.long is not None:
        _set_long(summary, outcome.long, good)
    return summary


def _set_rates(summary: Summary) -> None:
    if summary.generated_tokens and summary.wall_s:
        summary.generated_per_s = summary.generated_tokens / summary.wall_s
        all_tokens = summary.prompt_tokens + summary.generated_tokens
        summary.tokens_per_s = all_tokens / summary.wall_s


def _set_latencies(summary: Summary, firsts: list[float], betweens: list[float]) -> None:
    """From seconds."""
    for kind, values in (("ttft", firsts), ("itl", betweens)):
        for percent in (50, 90, 99):
            found = percentile(values, percent)
            setattr(summary, f"{kind}_p{percent}_ms", None if found is None else found * MS)
    summary.longest_pause_ms = max(betweens) * MS if betweens else None


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The smallest value that is at least as large as so many percent of all (nearest rank)."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def _set_long(summary: Summary, long: Trace, others: list[Trace]) -> None:
    summary.requests += 1
    if long.error is not None:
        summary.failed += 1
        return
    first = long.arrivals[0] if long.arrivals else long.end
    summary.long_ttft_ms = (first - long.start) * MS
    pauses = [
        after - before
        for trace in others
        for before, after in pairwise(trace.arrivals)
        if before < first and after > long.start
    ]
    summary.long_pause_ms = max(pauses) * MS if pauses else None


class Spread(msgspec.Struct, frozen=True):
    """The median of some rounds, and how far they lie apart."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float | None]) -> Spread | None:
    """None if there is nothing to take the median of."""
    known = [value for value in values if value is not None]
    return Spread(statistics.median(known), min(known), max(known)) if known else None


def ratio(ours: Sequence[float | None], theirs: Sequence[float | None]) -> Spread | None:
    """The ratio of the medians, with the least and greatest ratio of a round."""
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None and b]
    if not pairs:
        return None
    each = [a / b for a, b in pairs]
    medians = [statistics.median(values) for values in zip(*pairs, strict=True)]
    return Spread(medians[0] / medians[1], min(each), max(each))
