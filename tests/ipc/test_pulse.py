from __future__ import annotations

import os

from cria.ipc.pulse import Pulse, make_page


def test_what_one_counts_the_other_one_sees() -> None:
    page = make_page()
    reader, writer = Pulse(os.dup(page)), Pulse(page)
    assert (reader.signs, reader.usual_seconds) == (0, 0)
    writer.beat()
    writer.native_counter[0] += 5
    writer.tell_usual(1.5)
    assert (reader.signs, reader.usual_seconds) == (6, 1.5)
