"""`Target`: whom a command asks, and by which name of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cria.client.api import Api, ClientError, Piece, Say, patiently


class Target:
    """A server, perhaps of our own, and one of its models."""

    def __init__(self, api: Callable[[], Api], model: str | None) -> None:
        """`api` gives the running server, started if need be; without a name it is the first."""
        self._api = api
        self._model = model

    @property
    def root(self) -> str:
        """The server's URL."""
        return self._api().root

    def models(self) -> list[str]:
        """All names that the server lists."""
        return self._api().models()

    def model(self) -> str:
        """The name that requests have."""
        if self._model is None:
            self._model = self.models()[0]
        return self._model

    def choose(self, model: str) -> None:
        """ClientError if the server does not list it."""
        if model not in self.models():
            raise ClientError(f"{self.root} has no model {model}; /model lists those that it has.")
        self._model = model

    def answer(self, path: str, fields: Mapping[str, Any], say: Say) -> Iterator[Piece]:
        """The answer as it comes; `say` tells the user that it takes a while, and why."""
        return patiently(lambda: self._stream(path, fields), say)

    def _stream(self, path: str, fields: Mapping[str, Any]) -> Iterator[Piece]:
        api = self._api()
        return api.stream(path, {"model": self.model(), **fields})
