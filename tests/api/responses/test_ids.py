from __future__ import annotations

from cria.api.responses.ids import new_id


def test_ids_are_long_and_differ() -> None:
    ids = {new_id("resp") for _ in range(100)}
    assert len(ids) == 100
    assert all(each.startswith("resp_") and len(each) == 53 for each in ids)
