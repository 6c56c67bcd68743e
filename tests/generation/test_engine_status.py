from __future__ import annotations

from cria.generation.engine_status import EngineStatus
from cria.ipc.messages import EngineStats


def test_the_pauses_by_their_bounds() -> None:
    status = EngineStatus("ready", stats=EngineStats(stalls=(1, 2, *[0] * 8, 3)))
    assert (status.stalls_ms["5"], status.stalls_ms["10"], status.stalls_ms["longer"]) == (1, 2, 3)
