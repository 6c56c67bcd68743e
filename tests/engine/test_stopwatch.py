from __future__ import annotations

from cria.engine.stopwatch import Stopwatch
from cria.ipc.messages import CacheLimit, CacheLimitReason, Cancel, SequenceTimings, Submit
from cria.sampling_params import SamplingParams
from tests.engine.fake_runner import Bench

LIMIT = CacheLimit(CacheLimitReason.DIFFERS_AT, 3)


def test_three_times_in_a_row() -> None:
    watch = Stopwatch(10.0, 7)
    watch.admit(11.0, 3, LIMIT)
    watch.note_token(13.0)
    assert watch.read(17.0) == SequenceTimings(1.0, 2.0, 4.0, 7, 3, LIMIT)


def test_what_comes_again_is_not_the_first_token() -> None:
    watch = Stopwatch(0.0, 7)
    watch.admit(1.0, 0, LIMIT)
    watch.note_token(2.0)
    watch.note_token(5.0)
    assert watch.read(6.0).decode_seconds == 4.0


def test_who_was_never_admitted_only_waited() -> None:
    timings = Stopwatch(1.0, 7).read(4.0)
    assert (timings.queue_seconds, timings.prefill_seconds, timings.decode_seconds) == (3.0, 0, 0)


def test_who_never_got_a_token_did_not_decode() -> None:
    watch = Stopwatch(1.0, 7)
    watch.admit(2.0, 0, LIMIT)
    timings = watch.read(4.0)
    assert (timings.queue_seconds, timings.prefill_seconds, timings.decode_seconds) == (1.0, 2.0, 0)


def run_timed(bench: Bench, request_id: int, *, cancel_after: int = 1000) -> SequenceTimings | None:
    """Each step takes a second of the schedule's clock; the sequence came two seconds before."""
    params = SamplingParams(max_tokens=4, timings=request_id == 1)
    bench.scheduler.submit(Submit(request_id, [9] * 20, params), 98.0)
    now, last = 100.0, None
    while not bench.scheduler.is_idle:
        batch = bench.scheduler.schedule(now)
        if not batch.is_empty:
            bench.runner.start(batch)
            bench.scheduler.hold(batch)
            now += 1
            bench.scheduler.advance(batch, bench.runner.finish(batch), 1.0, now)
            if now == 100 + cancel_after:
                bench.scheduler.cancel(Cancel(request_id))
        last = (bench.scheduler.take_output().outputs or [last])[-1]
    assert last is not None
    return last.timings


def test_the_scheduler_measures_with_the_times_that_it_is_given() -> None:
    # 20 tokens in steps of 16 and 4, and three tokens after the first.
    limit = CacheLimit(CacheLimitReason.DISABLED, 0)
    assert run_timed(Bench(), 1) == SequenceTimings(2.0, 2.0, 3.0, 20, 0, limit)


def test_a_cancelled_sequence_tells_what_it_took_so_far() -> None:
    timings = run_timed(Bench(), 1, cancel_after=3)
    assert timings is not None and timings.decode_seconds == 1.0


def test_nothing_is_told_to_those_who_did_not_ask() -> None:
    assert run_timed(Bench(), 2) is None
