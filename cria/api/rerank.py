"""`POST /v1/rerank`: which documents answer a query best. The shape is Jina's and Cohere's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from cria.api.decoding import RequestBody
from cria.api.embeddings import MAX_INPUTS, PromptUsage, Text
from cria.api.sampling_fields import MAX_INT32
from cria.api.unsupported import Refusal


class Document(msgspec.Struct, frozen=True):
    """A document as an object."""

    text: Text


class RerankRequest(RequestBody, kw_only=True):
    """Score each document."""

    UNSUPPORTED: ClassVar[Mapping[str, Refusal]] = {
        "max_chunks_per_doc": Refusal(),
        "max_tokens_per_doc": Refusal(reason="documents are never cut"),
        "rank_fields": Refusal(reason="a document is its 'text'"),
        "truncation": Refusal((False,), reason="documents are never cut"),
    }
    NOTED: ClassVar[frozenset[str]] = frozenset({"user"})

    model: str
    query: Text
    documents: Annotated[list[Text | Document], Meta(min_length=1, max_length=MAX_INPUTS)]
    top_n: Annotated[int, Meta(ge=1, le=MAX_INT32)] | None = None
    return_documents: bool = False
    user: str | None = None

    def texts(self) -> list[str]:
        """Of the documents."""
        return [each if isinstance(each, str) else each.text for each in self.documents]


class RankedDocument(msgspec.Struct, frozen=True):
    """The score as the model gives it."""

    index: int
    relevance_score: float
    document: Document | msgspec.UnsetType = msgspec.UNSET


class Ranking(msgspec.Struct, frozen=True):
    """The best document first."""

    object: str
    model: str
    results: list[RankedDocument]
    usage: PromptUsage


def encode_ranking(
    model: str, request: RerankRequest, scores: Sequence[float], num_prompt_tokens: int
) -> bytes:
    """The body of the answer, the best document first; among equals, the first one sent."""
    texts = request.texts()
    order = sorted(range(len(scores)), key=lambda index: -scores[index])[: request.top_n]
    results = [
        RankedDocument(
            index,
            scores[index],
            Document(texts[index]) if request.return_documents else msgspec.UNSET,
        )
        for index in order
    ]
    usage = PromptUsage(num_prompt_tokens, num_prompt_tokens)
    return msgspec.json.encode(Ranking("list", model, results, usage))
