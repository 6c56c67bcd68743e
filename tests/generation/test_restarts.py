from __future__ import annotations

from cria.generation.restarts import DOWN_SECONDS, Restarts


def test_pauses_grow_and_the_fifth_death_of_a_minute_is_the_last() -> None:
    restarts = Restarts()
    pauses = [restarts.next_pause(n * 5.0, 1.0, is_foreign=False) for n in range(5)]
    assert pauses == [0.5, 1.0, 2.0, 4.0, DOWN_SECONDS]
    assert restarts.is_loop
    assert restarts.next_pause(400.0, 1.0, is_foreign=False) == 0.5, "all is tried anew"
    assert not restarts.is_loop


def test_deaths_that_are_far_apart_are_no_loop() -> None:
    restarts = Restarts()
    pauses = [restarts.next_pause(n * 20.0, 1.0, is_foreign=False) for n in range(8)]
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert not restarts.is_loop


def test_whoever_kills_engines_from_outside_does_not_make_it_wait() -> None:
    restarts = Restarts()
    assert {restarts.next_pause(n, 1.0, is_foreign=True) for n in range(100)} == {0.0}
    assert not restarts.is_loop
