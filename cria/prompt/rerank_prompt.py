"""What a reranker reads: a query and a document as one sequence of tokens.

A model may bring a template, a text with the places `{query}` and `{document}`, as llama.cpp has
it. It is no program: nothing is rendered. Other models read the two texts one after the other,
between the control tokens that they were trained with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from cria.errors import RequestError
from cria.prompt.control_text import ControlText, choose_seam
from cria.prompt.tokenizer import Vocabulary

_PLACES = re.compile(r"\{(query|document)\}")


class RerankPrompt:
    """Of one model; `template` is None if it brings none."""

    def __init__(
        self, vocab: Vocabulary, template: str | None = None, control_texts: Iterable[str] = ()
    ) -> None:
        self._vocab = vocab
        self._template = template
        self._control_text = ControlText(control_texts)

    def encode(self, query: str, documents: list[str]) -> list[list[int]]:
        """The token ids of each document beside the query; RequestError if that cannot be."""
        if self._template is not None:
            return [self._fill(self._template, query, document) for document in documents]
        head = self._head(query)
        return [[*head, *self._tokenize(document), *self._end()] for document in documents]

    def _fill(self, template: str, query: str, document: str) -> list[int]:
        """Whole if it can be: words are cut otherwise at seams than within a text."""
        if set(_PLACES.findall(template)) != {"query", "document"}:
            raise RequestError(
                "This model's rerank template has no places for a query and a document.",
                param="model",
            )
        texts = {"query": query, "document": document}
        seam = ""
        if self._control_text.occurs_in(texts):
            seam = choose_seam((template, query, document))
            texts = self._control_text.cut(texts, seam)
        filled = _PLACES.sub(lambda place: texts[place[1]], template)
        ids: list[int] = []
        for segment in filled.split(seam) if seam else [filled]:
            ids += self._tokenize(segment, parse_special=True)
        return ids

    def _head(self, query: str) -> list[int]:
        vocab = self._vocab
        begin = [vocab.bos_id] if vocab.add_bos else []
        middle = [vocab.sep_id] if vocab.add_sep else []
        ids = [*begin, *self._tokenize(query), *self._end(), *middle]
        return [token for token in ids if token is not None]

    def _end(self) -> list[int]:
        vocab = self._vocab
        end = vocab.sep_id if vocab.eos_id is None else vocab.eos_id
        return [end] if vocab.add_eos and end is not None else []

    def _tokenize(self, text: str, *, parse_special: bool = False) -> list[int]:
        return self._vocab.tokenize(text.encode(), add_special=False, parse_special=parse_special)
