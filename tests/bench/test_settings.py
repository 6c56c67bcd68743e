"""How many requests a load makes, and what it is called."""

from __future__ import annotations

import pytest

from cria.bench.settings import OPEN_REQUESTS, Load


@pytest.mark.parametrize(
    ("load", "wanted", "count"),
    [
        (Load(clients=8), None, 8),
        (Load(clients=8), 20, 20),
        (Load(clients=8), 3, 8),
        (Load(rate=0.5), None, OPEN_REQUESTS),
        (Load(rate=0.5), 3, 3),
    ],
)
def test_the_number_of_requests(load: Load, wanted: int | None, count: int) -> None:
    assert load.num_requests(wanted) == count


def test_titles() -> None:
    titles = [load.title for load in (Load(clients=1), Load(clients=8), Load(rate=2.5))]
    assert titles == ["1 client", "8 clients", "2.5 requests per second"]
