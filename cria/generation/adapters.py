"""`Adapters`: the adapters of one model, as requests and operators deal with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from cria.adapter_set import AdapterSet
from cria.api.lora import LoadAdapterRequest, LoraChoice, LoraScale
from cria.api.models import ModelCard
from cria.config import Adapter, ServerConfig
from cria.errors import AccessDenied, ModelFileError, RequestError
from cria.generation.adapter_registry import AdapterRegistry, Entry
from cria.generation.caller import current_caller
from cria.generation.engine_link import EngineLink
from cria.generation.unavailable import unavailable
from cria.model_file import check_adapter_file, read_base


class Adapters:
    """Of one model, in one server process."""

    def __init__(self, client: EngineLink, config: ServerConfig) -> None:
        self._client = client
        self._config = config
        self._registry: AdapterRegistry | None = None

    def adopt(self, adapters: Iterable[Adapter], *, applied: bool) -> None:
        """Those that the engine starts with; where nobody tells, the engine does."""
        self._registry = AdapterRegistry(self._config.aliases, adapters, applied=applied)

    @property
    def entries(self) -> list[Entry]:
        """All of them, by their numbers."""
        return self._known().entries

    def knows(self, model: str) -> bool:
        """Whether it is a `model:name`; EngineUnavailable if nobody can tell yet."""
        if self._known().find(model) is not None:
            return True
        if self._registry is None and model.rpartition(":")[0] in self._config.aliases:
            raise unavailable(self._client.status)
        return False

    def name_of(self, model: str) -> str | None:
        """What answers call a `model:name`; None for any other name."""
        if model in self._config.aliases:
            return None
        entry = self._known().find(model)
        return None if entry is None else f"{self._config.aliases[0]}:{entry.name}"

    def choose(self, model: str, lora: Sequence[LoraChoice]) -> AdapterSet:
        """Which of them act on a request; RequestError names the field that is wrong."""
        return self._known().choose(model, lora)

    def cards(self, base: ModelCard) -> dict[str, ModelCard]:
        """One for each `model:name`."""
        return {
            name: msgspec.structs.replace(
                base,
                id=name,
                parent=model,
                root=Path(entry.path).name,
                scale=entry.scale,
            )
            for name, model, entry in self._known().names()
        }

    def set_defaults(self, scales: Sequence[LoraScale]) -> None:
        """What acts on requests that ask for nothing."""
        self._check_alone()
        self._known().set_defaults(scales)

    def load(self, wanted: LoadAdapterRequest, model_path: str) -> str:
        """Load a file below the operator's folder; the name by which it can be asked for."""
        self._check_alone()
        path = self._path(wanted.lora_path)
        registry = self._known()
        name = wanted.lora_name
        if any(entry.name == name for entry in registry.entries):
            raise RequestError(
                f"There is an adapter '{name}' already; unload it first.",
                param="lora_name",
                code="adapter_exists",
            )
        try:
            check_adapter_file(path, read_base(model_path))
        except ModelFileError as error:
            raise RequestError(str(error), param="lora_path", code="invalid_value") from None
        number = registry.new_id()
        self._client.adapters.load(number, path)
        registry.add(Adapter(path, name), number, applied=False)
        return f"{self._config.aliases[0]}:{name}"

    def unload(self, name: str) -> None:
        """Nobody can ask for it any more; what was asked before is answered with it."""
        self._check_alone()
        if self._config.lora_folder is None:
            raise _no_folder()
        self._client.adapters.unload(self._known().remove(name).id)

    def _known(self) -> AdapterRegistry:
        """A further server process learns from the engine which there are."""
        if self._registry is None:
            info = self._client.status.info
            if info is None:
                return AdapterRegistry(self._config.aliases)
            self.adopt(info.adapters, applied=not info.lora_init_without_apply)
        assert self._registry is not None
        return self._registry

    def _check_alone(self) -> None:
        """Other processes would not hear of it; and other callers would feel it."""
        if current_caller.get().models:
            raise AccessDenied("This key is for certain models, and may not change adapters.")
        if self._config.num_workers > 1:
            raise RequestError(
                "Adapters can be changed at run time only in a server with one process; this one "
                "was started with --workers.",
                code="unsupported_value",
            )

    def _path(self, given: str) -> str:
        """A regular file below the folder, whatever links and dots lead there."""
        if self._config.lora_folder is None:
            raise _no_folder()
        try:
            folder = Path(self._config.lora_folder).resolve(strict=True)
            found = (folder / given).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):
            raise _bad_path("there is no such file below the folder of adapters") from None
        if not found.is_relative_to(folder):
            raise _bad_path("it is not below the folder of adapters")
        return str(found)


def no_vectors(model: str) -> RequestError:
    """Adapters act on what is generated."""
    return RequestError(
        f"The model `{model}` has an adapter, with which no embeddings are computed. "
        "Name the model without it.",
        param="model",
        code="unsupported_value",
    )


def _no_folder() -> AccessDenied:
    return AccessDenied("This server loads no adapters for callers: it has no --lora-folder.")


def _bad_path(why: str) -> RequestError:
    return RequestError(f"Invalid 'lora_path': {why}.", param="lora_path", code="invalid_value")
