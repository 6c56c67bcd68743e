"""`AdapterRegistry`: the adapters of one model, and which of them act on a request.

1. A model's name and an adapter's, `model:name`: that adapter alone, with its own scale.
2. The field `lora`: those that it lists, and no others. An empty list asks for nothing.
3. Else those that act by default: of the adapters that the operator gave, all, unless they were to
   be loaded without being applied; `POST /lora-adapters` changes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from cria.adapter_set import AdapterSet, make_set
from cria.api.lora import LoraChoice, LoraScale
from cria.config import Adapter
from cria.errors import ModelNotFound, RequestError
from cria.generation.caller import current_caller


class Entry(msgspec.Struct):
    """An adapter that can be asked for."""

    id: int
    name: str
    path: str
    scale: float
    """Of requests that ask for it by the model's name."""
    default_scale: float
    """Of requests that ask for nothing."""


class AdapterRegistry:
    """Of one model and one server process."""

    def __init__(
        self, model_ids: Sequence[str], adapters: Iterable[Adapter] = (), *, applied: bool = True
    ) -> None:
        """`applied`: they act on requests that ask for nothing."""
        self._model_ids = model_ids
        self._entries: dict[str, Entry] = {}
        self._next_id = 0
        for adapter in adapters:
            self.add(adapter, applied=applied)

    @property
    def entries(self) -> list[Entry]:
        """In the order of their numbers."""
        return list(self._entries.values())

    def new_id(self) -> int:
        """A number that no adapter has had."""
        self._next_id += 1
        return self._next_id - 1

    def add(self, adapter: Adapter, number: int | None = None, *, applied: bool) -> None:
        """An adapter that the engine has; without a `number` it gets the next one."""
        number = self.new_id() if number is None else number
        scale = adapter.scale if applied else 0.0
        self._entries[adapter.name] = Entry(
            number, adapter.name, adapter.path, adapter.scale, scale
        )

    def remove(self, name: str) -> Entry:
        """It cannot be asked for any more; RequestError if it cannot anyway."""
        if name not in self._entries:
            raise RequestError(
                f"There is no adapter '{name}'.", param="lora_name", code="adapter_not_found"
            )
        return self._entries.pop(name)

    def find(self, model: str) -> Entry | None:
        """The adapter of a `model:name`; None for any other name."""
        base, _, name = model.rpartition(":")
        return self._entries.get(name) if base in self._model_ids else None

    def names(self) -> Iterator[tuple[str, str, Entry]]:
        """Each `model:name`, with the name of the model and the adapter."""
        for base in self._model_ids:
            for entry in self.entries:
                yield f"{base}:{entry.name}", base, entry

    def choose(self, model: str, lora: Sequence[LoraChoice]) -> AdapterSet:
        """Which adapters act on a request; RequestError names the field that is wrong."""
        named = self.find(model) if model not in self._model_ids else None
        if named is None and model not in self._model_ids:
            raise ModelNotFound(model)  # it has gone since the request was looked at first
        if named is not None and lora:
            raise RequestError(
                "The model's name says which adapter is wanted: leave 'lora' out, or name the "
                "model without the adapter.",
                param="lora",
                code="invalid_value",
            )
        if named is not None:
            return make_set({named.id: named.scale})
        if lora:
            return make_set(self.scales(lora, model))
        return make_set({entry.id: entry.default_scale for entry in self.entries})

    def set_defaults(self, scales: Sequence[LoraScale]) -> None:
        """For requests that ask for nothing; who is not listed does not act on them."""
        wanted = self.scales(scales)
        for entry in self.entries:
            entry.default_scale = wanted.get(entry.id, 0.0)

    def scales(
        self, choices: Sequence[LoraChoice | LoraScale], model: str | None = None
    ) -> dict[int, float]:
        """By number; RequestError for one that is not there, twice, or not for the caller."""
        found: dict[int, float] = {}
        for index, choice in enumerate(choices):
            entry = self._entry(choice, f"lora[{index}]")
            if entry.id in found:
                raise _invalid(f"lora[{index}]", f"the adapter '{entry.name}' comes twice")
            if model is not None:
                _check_caller(f"{model}:{entry.name}")
            found[entry.id] = choice.scale
        return found

    def _entry(self, choice: LoraChoice | LoraScale, param: str) -> Entry:
        name = choice.name if isinstance(choice, LoraChoice) else None
        if (choice.id is None) == (name is None):
            raise _invalid(param, "give the adapter's 'id' or its 'name'")
        for entry in self.entries:
            if entry.id == choice.id or entry.name == name:
                return entry
        what = f"name '{name}'" if choice.id is None else f"id {choice.id}"
        raise _invalid(f"{param}.{'name' if choice.id is None else 'id'}", f"no adapter has {what}")


def _check_caller(name: str) -> None:
    """Keys that may use certain models may use an adapter if they may name it."""
    models = current_caller.get().models
    if models and name not in models:
        raise ModelNotFound(name)


def _invalid(param: str, why: str) -> RequestError:
    return RequestError(f"Invalid '{param}': {why}.", param=param, code="invalid_value")
