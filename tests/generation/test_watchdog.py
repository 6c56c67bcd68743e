from __future__ import annotations

from cria.generation.watchdog import Verdict, Watchdog


def look_for(watchdog: Watchdog, seconds: float, start: float, **more: float) -> Verdict:
    """The verdict after so many seconds without a sign."""
    verdict = Verdict.ALIVE
    for number in range(round(seconds / watchdog.period) + 1):
        verdict = watchdog.look(7, start + number * watchdog.period, **more)  # type: ignore[arg-type]
    return verdict


def test_silence_is_noticed_at_half_and_is_the_end_at_the_whole() -> None:
    watchdog = Watchdog(30)
    assert look_for(watchdog, 14, 0) is Verdict.ALIVE
    assert look_for(Watchdog(30), 15, 100) is Verdict.SILENT
    assert look_for(Watchdog(30), 30, 100) is Verdict.HUNG


def test_a_sign_is_a_new_beginning() -> None:
    watchdog = Watchdog(30)
    assert look_for(watchdog, 20, 0) is Verdict.SILENT
    assert watchdog.look(8, 20.2) is Verdict.ALIVE
    assert watchdog.silence == 0


def test_slow_steps_and_loading_have_more_time() -> None:
    assert look_for(Watchdog(30), 30, 0, usual=5) is Verdict.SILENT
    assert look_for(Watchdog(30), 50, 0, usual=5) is Verdict.HUNG
    assert look_for(Watchdog(30), 149, 0, is_loading=True) is Verdict.ALIVE
    assert look_for(Watchdog(30), 300, 0, is_loading=True) is Verdict.HUNG


def test_a_suspended_machine_is_no_silent_engine() -> None:
    watchdog = Watchdog(30)
    watchdog.look(7, 0.0)
    assert watchdog.look(7, 3600.0) is Verdict.ALIVE
