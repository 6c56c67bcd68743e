from __future__ import annotations

import json
import random
from collections import Counter

import pytest

from tests.soak.mix import CANCELLED, KINDS, PHASES, SLOW, Plan, make_plan

COUNT = 4000


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    rng = random.Random(1)
    return [make_plan(rng) for _ in range(COUNT)]


def test_the_same_seed_gives_the_same_requests(plans: list[Plan]) -> None:
    rng = random.Random(1)
    assert [make_plan(rng) for _ in range(100)] == plans[:100]
    assert make_plan(random.Random(2)) != plans[0]


def test_the_shares_are_those_of_the_table(plans: list[Plan]) -> None:
    assert sum(KINDS.values()) == 100
    counts = Counter(plan.kind for plan in plans)
    for kind, percent in KINDS.items():
        assert counts[kind] / COUNT == pytest.approx(percent / 100, abs=0.03)


def test_clients_leave_in_every_phase_and_some_read_slowly(plans: list[Plan]) -> None:
    proper = [plan for plan in plans if plan.kind not in ("abuse", "invalid")]
    leaving = [plan.leaves for plan in proper if plan.leaves]
    assert len(leaving) / len(proper) == pytest.approx(CANCELLED, abs=0.03)
    assert set(leaving) == set(PHASES)
    assert all(plan.stream for plan in proper if plan.leaves == "stream")
    slow = sum(plan.is_slow for plan in proper)
    assert slow / len(proper) == pytest.approx(SLOW, abs=0.02)


def test_some_schemas_are_asked_for_again_and_some_are_new(plans: list[Plan]) -> None:
    schemas = Counter(
        json.dumps(json.loads(plan.body)["response_format"])
        for plan in plans
        if plan.kind == "schema"
    )
    assert sum(count == 1 for count in schemas.values()) > 5
    assert sum(count > 1 for count in schemas.values()) == 20
