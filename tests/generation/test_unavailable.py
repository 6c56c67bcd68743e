from __future__ import annotations

import pytest

from cria.generation.engine_status import EngineStatus
from cria.generation.unavailable import unavailable


@pytest.mark.parametrize(
    ("status", "words", "code"),
    [
        (EngineStatus("loading", 0.5), "is loading (50%)", None),
        (EngineStatus("unresponsive"), "no sign of life", "engine_unresponsive"),
        (EngineStatus("down", gave_up=True), "too often", "engine_unavailable"),
        (EngineStatus("down", reason="It broke."), "It broke. The engine is being started", None),
    ],
)
def test_what_is_said(status: EngineStatus, words: str, code: str | None) -> None:
    error = unavailable(status)
    assert words in str(error)
    assert (error.code, error.retry_after) == (code, 1.0)
