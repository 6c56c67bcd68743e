"""What an engine has room for."""

from __future__ import annotations

from cria.engine.limits import Limits


def test_few_rows_are_scored_unless_said_otherwise() -> None:
    assert Limits(32, 16, 100).num_scored_rows == 128
