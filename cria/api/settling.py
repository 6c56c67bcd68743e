"""`Settling`: one request, while the operator's values are put into it.

Fields are named by their paths (`field_paths`), and values are of the fields' types.
"""

from __future__ import annotations

from collections.abc import Iterable

from cria.api.decoding import Settled
from cria.api.embeddings import EmbeddingRequest
from cria.api.field_paths import given_paths, has, is_said, read, take_back, write
from cria.api.generation_request import GenerationRequest
from cria.api.rivals import contradicting, outspoken, same
from cria.api.setting_values import Values
from cria.errors import RequestError


class Settling:
    """Changes the request, and remembers what was changed."""

    def __init__(self, request: GenerationRequest | EmbeddingRequest) -> None:
        self._request = request
        self._given = given_paths(request)
        self._before = frozenset(request.without_effect())
        self._filled: set[str] = set()
        self._overruled: list[str] = []

    def force(self, values: Values) -> None:
        """Set the values whatever the request says; RequestError if that cannot be."""
        for path, value in values.items():
            self._take_back(same(path) - values.keys())
            if path in self._given and read(self._request, path) != value:
                self._overruled.append(path)
            self._put(path, value)
        if self._problem() is None:
            return
        for path in values:
            self._take_back(contradicting(path) - values.keys())
        if problem := self._problem():
            raise problem

    def fill(self, values: Values) -> None:
        """Set the values of which the request says nothing, and which it does not contradict."""
        said = self._given | self._filled
        chosen = [path for path in values if not (self._is_said(path) or outspoken(path) & said)]
        for path in chosen:
            self._put(path, values[path])
        while chosen and (problem := self._problem()):
            gone = _named_by(problem, chosen) or chosen[-1]
            chosen.remove(gone)
            self._filled.discard(gone)
            take_back(self._request, gone)

    def fill_all(self, values: Values) -> None:
        """Set the values that do not give way to others; RequestError if that cannot be."""
        for path, value in values.items():
            if not (self._is_said(path) or outspoken(path) & self._filled):
                self._put(path, value)
        if problem := self._problem():
            raise problem

    def limit(self, most: int | None) -> None:
        """Lower the limit of tokens, and with it the least number of them."""
        request = self._request
        if most is None or not isinstance(request, GenerationRequest):
            return
        newer = getattr(request, "max_completion_tokens", None)
        path = "max_tokens" if newer is None else "max_completion_tokens"
        wanted = request.token_limit()
        if wanted == -1 or wanted > most:
            self._lower(path, most, is_asked=wanted != -1)
        if request.min_tokens > most:
            self._lower("min_tokens", most)

    def note(self) -> None:
        """Tell the request what was made of it."""
        names = {path.partition(".")[0] for path in self._given}
        vain = [
            path
            for path in self._request.without_effect()
            if path not in self._before and path.partition(".")[0] in names
        ]
        told = tuple(dict.fromkeys((*self._overruled, *vain)))
        self._request.note(settled=Settled(frozenset(self._filled), told))

    def _put(self, path: str, value: object) -> None:
        write(self._request, path, value)
        self._filled.add(path)

    def _lower(self, path: str, most: int, *, is_asked: bool = True) -> None:
        if is_asked and path in self._given:
            self._overruled.append(path)
        self._put(path, most)

    def _take_back(self, paths: Iterable[str]) -> None:
        for path in sorted(paths):
            if has(type(self._request), path) and is_said(self._request, path):
                if path in self._given:
                    self._overruled.append(path)
                take_back(self._request, path)

    def _is_said(self, path: str) -> bool:
        return path in self._given or is_said(self._request, path)

    def _problem(self) -> RequestError | None:
        """What the request's own checks say of its fields together."""
        try:
            self._request.__post_init__()
        except RequestError as error:
            return error
        return None


def _named_by(error: RequestError, paths: list[str]) -> str | None:
    """The path that the error speaks of, or of something in it."""
    param = error.param or ""
    return next((p for p in paths if param == p or param.startswith((f"{p}.", f"{p}["))), None)
