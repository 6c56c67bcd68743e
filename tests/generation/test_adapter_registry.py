"""Names, numbers, and what a request means."""

from __future__ import annotations

import pytest

from cria.adapter_set import BASE, make_set
from cria.api.lora import LoraChoice, LoraScale
from cria.config import Adapter
from cria.errors import ModelNotFound, RequestError
from cria.generation.adapter_registry import AdapterRegistry
from cria.generation.caller import ANYBODY, current_caller

GIVEN = (Adapter("/x/one.gguf", "one"), Adapter("/x/two.gguf", "two", 0.5))


def registry(*, applied: bool = True) -> AdapterRegistry:
    return AdapterRegistry(("m", "org/m:tag"), GIVEN, applied=applied)


def test_what_acts() -> None:
    found = registry()
    assert found.choose("m", []) == make_set({0: 1.0, 1: 0.5})
    assert found.choose("m:two", []) == make_set({1: 0.5})
    assert found.choose("org/m:tag:one", []) == make_set({0: 1.0})
    assert found.choose("m", [LoraChoice(0.25, name="two")]) == make_set({1: 0.25})
    assert found.choose("m", [LoraChoice(0, id=0)]) == BASE
    assert registry(applied=False).choose("m", []) == BASE
    assert registry(applied=False).choose("m:two", []) == make_set({1: 0.5})


def test_defaults_can_be_set() -> None:
    found = registry()
    found.set_defaults([LoraScale(1, 2.0)])
    assert found.choose("m", []) == make_set({1: 2.0})
    with pytest.raises(RequestError):
        found.set_defaults([LoraScale(7, 2.0)])


def test_numbers_never_come_again() -> None:
    found = registry()
    assert found.remove("two").id == 1
    found.add(Adapter("/x/two.gguf", "two"), applied=False)
    assert found.find("m:two") is not None
    assert [entry.id for entry in found.entries] == [0, 2]
    with pytest.raises(RequestError, match="no adapter 'gone'"):
        found.remove("gone")


def test_who_is_gone_is_not_taken_for_the_model() -> None:
    found = registry()
    found.remove("two")
    with pytest.raises(ModelNotFound):
        found.choose("m:two", [])


def test_a_key_for_certain_models_needs_the_adapters_name_too() -> None:
    token = current_caller.set(ANYBODY._replace(models=("m", "m:one")))
    try:
        assert registry().choose("m", [LoraChoice(1, id=0)]) == make_set({0: 1.0})
        with pytest.raises(ModelNotFound):
            registry().choose("m", [LoraChoice(1, id=1)])
    finally:
        current_caller.reset(token)
