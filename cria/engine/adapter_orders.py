"""`AdapterOrders`: adapters that come and go while the engine works, between two steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from cria.adapter_set import BASE, AdapterSet
from cria.engine.loaded_model import LoadedModel
from cria.errors import CriaError
from cria.ipc.messages import AdapterLoaded, LoadAdapter, UnloadAdapter


class UsesAdapters(Protocol):
    """What computes with them: `ModelRunner`."""

    def use_adapters(self, adapters: AdapterSet) -> None:
        """From the next step on."""


class AdapterOrders:
    """Carries out what the server says; every method is called while nothing is computed."""

    def __init__(self, loaded: LoadedModel, runner: UsesAdapters | None) -> None:
        """Without a runner the model only embeds, and no adapter ever acts."""
        self._loaded = loaded
        self._shelf = loaded.adapters
        self._runner = runner

    def carry_out(self, order: LoadAdapter | UnloadAdapter) -> AdapterLoaded | None:
        """The answer, if the order is to be answered."""
        if isinstance(order, UnloadAdapter):
            self._shelf.unload(order.adapter_id, time.monotonic())
            return None
        try:
            self._shelf.load(self._loaded.model, order.adapter_id, order.path)
        except CriaError as error:
            return AdapterLoaded(order.request_id, str(error))
        return AdapterLoaded(order.request_id)

    def tidy(self, is_used: Callable[[int], bool]) -> None:
        """Free what was to go and is not needed."""
        if self._shelf.is_at_rest:
            return
        for adapter_id in self._shelf.ready_to_go(time.monotonic(), is_used):
            if self._runner is not None:
                self._runner.use_adapters(BASE)  # llama.cpp would keep a pointer to it
            self._shelf.free(adapter_id)

    def why_not(self, adapters: AdapterSet) -> str | None:
        """What is wrong with a set that a sequence wants; None if nothing is."""
        return self._shelf.why_not(adapters) if adapters else None
