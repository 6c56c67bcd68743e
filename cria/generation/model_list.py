"""`ModelList`: the models of a server by their names."""

from __future__ import annotations

from collections.abc import Sequence

from cria.errors import ModelNotFound
from cria.generation.hosted_model import HostedModel


class ModelList:
    """In the order in which they were given."""

    def __init__(self, models: Sequence[HostedModel]) -> None:
        self.models = list(models)

    @property
    def first(self) -> HostedModel:
        """The model of requests that name none."""
        return self.models[0]

    @property
    def engine_address(self) -> str:
        """Where further processes find the engine of a single model."""
        return "" if self.first.generation is None else self.first.generation.engine_address

    @property
    def is_single(self) -> bool:
        """Whether there is one model only."""
        return len(self.models) == 1

    def names(self) -> list[str]:
        """Of all models."""
        return [name for model in self.models for name in model.names]

    def find(self, name: str | None) -> HostedModel:
        """The model of a name, or the first one; `base:adapter` is a name of its base."""
        if name is None:
            return self.first
        for wanted in (name, name.rpartition(":")[0]):
            for model in self.models:
                if wanted in model.names:
                    return model
        raise ModelNotFound(name)

    def find_to_ask(self, name: str | None) -> HostedModel:
        """The same; a single model that is loaded says itself what it does not know."""
        is_loaded = self.is_single and self.first.generation is not None
        return self.first if is_loaded else self.find(name)

    def pids(self) -> list[int]:
        """Of all engines."""
        found = (model.status().pid for model in self.models if model.generation is not None)
        return [pid for pid in found if pid]
