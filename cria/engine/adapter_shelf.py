"""`AdapterShelf`: the adapters that an engine has, by their ids, and the control vector.

An adapter that is to go stays as long as a sequence needs it, and a moment longer: what was sent
before the server knew may still be on its way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy.typing as npt

from cria.adapter_set import AdapterSet
from cria.config import EngineConfig
from cria.errors import SetupError
from cria.model_file import BaseModel, check_adapter_file, read_base, sum_control_vectors
from cria.native.adapter import LoraAdapter, set_adapters, set_control_vector
from cria.native.context import Context
from cria.native.embedding_context import EmbeddingContext
from cria.native.model import Model

AnyContext = Context | EmbeddingContext

GRACE_SECONDS = 2.0


class AdapterShelf:
    """The adapters of one model; nothing may be computed while one is loaded or let go."""

    def __init__(self, config: EngineConfig) -> None:
        """Check all files; ModelFileError says which one is wrong."""
        self._config = config
        self._base: BaseModel | None = None
        self._loaded: dict[int, LoraAdapter] = {}
        self._leaving: dict[int, float] = {}
        """When they were to go, in seconds of the engine's clock."""
        self._directions: npt.NDArray[Any] | None = None
        for adapter in config.adapters:
            check_adapter_file(adapter.path, self.base)
        if config.control_vectors:
            vectors = [(vector.path, vector.scale) for vector in config.control_vectors]
            self._directions = sum_control_vectors(vectors, self.base)
            _check_layers(config, self.base)

    @property
    def base(self) -> BaseModel:
        """The model's shapes, read when they are first needed."""
        if self._base is None:
            self._base = read_base(self._config.model_path)
        return self._base

    @property
    def is_at_rest(self) -> bool:
        """No adapter waits for its end."""
        return not self._leaving

    def load_all(self, model: Model) -> None:
        """Those of the configuration; ModelFileError as from `load`."""
        for number, adapter in enumerate(self._config.adapters):
            self._loaded[number] = LoraAdapter(model, adapter.path)

    def load(self, model: Model, adapter_id: int, path: str) -> None:
        """One more, or the same again; ModelFileError if it cannot be used."""
        self._leaving.pop(adapter_id, None)
        if adapter_id not in self._loaded:
            check_adapter_file(path, self.base)
            self._loaded[adapter_id] = LoraAdapter(model, path)

    def unload(self, adapter_id: int, now: float) -> None:
        """Let it go as soon as it may; what is not there is no error."""
        if adapter_id in self._loaded:
            self._leaving.setdefault(adapter_id, now)

    def ready_to_go(self, now: float, is_used: Callable[[int], bool]) -> list[int]:
        """Those that have waited, and that nobody needs."""
        return [
            number
            for number, since in self._leaving.items()
            if now >= since + GRACE_SECONDS and not is_used(number)
        ]

    def free(self, adapter_id: int) -> None:
        """It must act in no context any more."""
        del self._leaving[adapter_id]
        self._loaded.pop(adapter_id).close()

    def why_not(self, adapters: AdapterSet) -> str | None:
        """What is wrong with a set; None if nothing is."""
        missing = [number for number, _ in adapters if number not in self._loaded]
        return f"its adapter {missing[0]} is not loaded" if missing else None

    def apply(self, context: AnyContext, adapters: AdapterSet) -> None:
        """Let these act in the context from the next batch on."""
        chosen = [(self._loaded[number], scale) for number, scale in adapters]
        set_adapters(context.library, context, chosen)

    def steer(self, context: AnyContext) -> None:
        """Let the control vector act, if there is one; NativeError if llama.cpp cannot."""
        if self._directions is None or not len(self._directions):
            return
        layers = self._config.control_vector_layers or (1, self.base.num_layers - 1)
        set_control_vector(context.library, context, self._directions, layers)


def _check_layers(config: EngineConfig, base: BaseModel) -> None:
    layers = config.control_vector_layers
    if layers is not None and not 1 <= layers[0] <= layers[1] < base.num_layers:
        raise SetupError(
            f"--control-vector-layer-range {layers[0]} {layers[1]}: control vectors act on the "
            f"layers 1 to {base.num_layers - 1} of this model."
        )
