"""The rules of a pool, one by one; together: test_model_pool.py."""

from __future__ import annotations

from cria.generation.hosted_model import HostedModel, Residence
from cria.generation.pool_rules import has_to_go, in_order_of_leaving
from tests.generation.pool_fakes import entry


def loaded(name: str, last_used: float, *, pinned: bool = False) -> HostedModel:
    model = HostedModel(entry(name, pinned=pinned, keep_alive=5.0), last_used)
    model.residence = Residence.LOADED
    return model


def test_the_longest_unused_leaves_first_and_a_pinned_one_never() -> None:
    models = [loaded("a", 3.0), loaded("b", 1.0), loaded("c", 0.0, pinned=True)]
    assert [model.names[0] for model in in_order_of_leaving(models)] == ["b", "a"]


def test_a_pinned_one_does_not_get_too_old_but_leaves_on_order() -> None:
    assert has_to_go(loaded("a", 0.0), 5.0) and not has_to_go(loaded("a", 0.0), 4.9)
    pinned = loaded("a", 0.0, pinned=True)
    assert not has_to_go(pinned, 9.0)
    pinned.is_leaving = True
    assert has_to_go(pinned, 0.0)
