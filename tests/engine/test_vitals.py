from __future__ import annotations

import os

from cria.engine.vitals import NUM_STEPS, Vitals
from cria.ipc.pulse import Pulse, make_page


def test_it_beats_and_tells_the_median() -> None:
    page = make_page()
    seen = Pulse(os.dup(page))
    vitals = Vitals(Pulse(page))
    vitals.beat()
    assert seen.signs == 1
    for number in range(NUM_STEPS):
        vitals.note_step(100.0 if number % 10 == 0 else 2.0)
    assert seen.usual_seconds == 2.0


def test_without_anybody_who_looks() -> None:
    vitals = Vitals()
    vitals.beat()
    for _ in range(NUM_STEPS):
        vitals.note_step(1.0)
