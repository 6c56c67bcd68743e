"""Text to token ids, with the checks that the native tokenizer does not make.

1. Text beyond what could ever fit is refused before it is tokenised, which takes a second for
   every few megabytes.
2. Token ids that a client sends are in the vocabulary.
3. No text has an endless run without a blank, or of blanks alone: many vocabularies split text
   with regular expressions that take half a kilobyte of stack for each character of a run.
4. There is at most one begin-of-sequence token that the client did not write.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from typing import NamedTuple, Protocol

from cria.errors import RequestError

MAX_BYTES_PER_TOKEN = 64
EXTRA_BYTES = 64 * 1024
RUN_LENGTH = 200_000
"""Characters. No text of this many is ever refused for being one run, one of twice as many is."""

_BLANK, _VISIBLE = re.compile(r"\s"), re.compile(r"\S")


class Vocabulary(Protocol):
    """The part of `native.vocab.Vocab` that is needed here."""

    @property
    def num_tokens(self) -> int: ...
    @property
    def bos_id(self) -> int | None: ...
    @property
    def eos_id(self) -> int | None: ...
    @property
    def pad_id(self) -> int | None: ...
    @property
    def sep_id(self) -> int | None: ...
    @property
    def add_bos(self) -> bool: ...
    @property
    def add_eos(self) -> bool: ...
    @property
    def add_sep(self) -> bool: ...
    @property
    def fim_ids(self) -> tuple[int, int, int] | None: ...
    @property
    def end_of_generation_ids(self) -> tuple[int, ...]: ...
    @property
    def pieces(self) -> list[bytes]: ...
    @property
    def control_pieces(self) -> list[bytes]: ...
    def tokenize(self, text: bytes, *, add_special: bool, parse_special: bool) -> list[int]: ...


class SpecialTokens(NamedTuple):
    """How they are written, None for those that the model lacks; and which of them it adds."""

    bos: str | None
    eos: str | None
    pad: str | None
    add_bos: bool
    add_eos: bool


class Tokenizer:
    """Of one model; `context_size`, once it is known, bounds what is worth tokenising."""

    def __init__(self, vocab: Vocabulary, context_size: int | None = None) -> None:
        self._vocab = vocab
        self.context_size = context_size

    @property
    def num_tokens(self) -> int:
        """The size of the vocabulary."""
        return self._vocab.num_tokens

    @property
    def pieces(self) -> list[bytes]:
        """The bytes of every token as a reader sees them; none for control tokens."""
        return self._vocab.pieces

    @property
    def spelled_pieces(self) -> list[bytes]:
        """The same with control tokens by name."""
        return self._vocab.control_pieces

    @property
    def begin_id(self) -> int | None:
        """The token that is put before every prompt, if this model wants one."""
        return self._vocab.bos_id if self._vocab.add_bos else None

    @cached_property
    def control_ids(self) -> dict[str, int]:
        """The control tokens by how they are written."""
        pairs = zip(self.pieces, self._vocab.control_pieces, strict=True)
        return {
            text.decode("utf-8", "replace"): token_id
            for token_id, (piece, text) in enumerate(pairs)
            if not piece and text
        }

    @property
    def control_texts(self) -> frozenset[str]:
        """How the control tokens are written."""
        return frozenset(self.control_ids)

    @property
    def special_tokens(self) -> SpecialTokens:
        """Those with which a text begins and ends, and the one that fills gaps."""
        vocab = self._vocab
        return SpecialTokens(
            self._text_of(vocab.bos_id),
            self._text_of(vocab.eos_id),
            self._text_of(vocab.pad_id),
            vocab.add_bos,
            vocab.add_eos,
        )

    def encode_text(self, text: str) -> list[int]:
        """A plain prompt, control tokens parsed: its author is in charge of the whole text."""
        data = self.check_size([text], "prompt", self.context_size)[0]
        ids = self._vocab.tokenize(data, add_special=True, parse_special=True)
        if self._vocab.add_eos and ids[-1:] == [self._vocab.eos_id]:
            ids.pop()  # A prompt that ended here could not be continued.
        return ids or self._begin_of_sequence("prompt")

    def encode_whole(self, text: str, context_size: int) -> list[int]:
        """A text to embed, between the tokens that the model was trained with.

        Other than a prompt it ends: an end-of-sequence token stays.
        """
        data = self.check_size([text], "input", context_size)[0]
        ids = self._vocab.tokenize(data, add_special=True, parse_special=True)
        return ids or self._begin_of_sequence("input")

    def encode_chat(self, segments: Sequence[str], made_of: str = "") -> list[int]:
        """A rendered conversation, as `ChatTemplate.render` returns it, and what it is made of."""
        ids: list[int] = []
        for data in self.check_size(segments, "messages", self.context_size, made_of):
            ids += self._vocab.tokenize(data, add_special=False, parse_special=True)
        if self._vocab.add_bos and ids[:1] != self._bos:
            ids[:0] = self._bos
        return ids

    def encode_infill(self, prefix: str | list[int], suffix: str) -> list[int]:
        """A prompt whose answer is the text between the two, in the order prefix, suffix, middle.

        Control tokens in the texts stay text, unlike in a plain prompt: one of them could end the
        prefix early. RequestError if the model was not trained for this.
        """
        if self._vocab.fim_ids is None:
            raise RequestError(
                "Unsupported parameter: 'suffix' cannot be honoured here: this model has no tokens "
                "for filling in the middle. Leave it out.",
                param="suffix",
                code="unsupported_parameter",
            )
        texts = [prefix, suffix] if isinstance(prefix, str) else [suffix]
        encoded = [
            self._encode_plain(data) for data in self.check_size(texts, "prompt", self.context_size)
        ]
        prefix_ids = encoded[0] if isinstance(prefix, str) else prefix
        before_prefix, before_suffix, before_middle = self._vocab.fim_ids
        begin = self._bos if self._vocab.add_bos else []
        return [*begin, before_prefix, *prefix_ids, before_suffix, *encoded[-1], before_middle]

    def check_size(
        self, texts: Sequence[str], param: str, size: int | None, made_of: str = ""
    ) -> list[bytes]:
        """The bytes of texts that may fit into so many tokens; RequestError if they cannot."""
        data = [text.encode() for text in texts]
        _check_num_bytes(sum(map(len, data)), param, size, made_of or param)
        for text in texts:
            check_runs(text, param)
        return data

    def encode_parts(
        self, parts: Sequence[str | int], param: str, *, add_special: bool, parse_special: bool
    ) -> list[int]:
        """Text and token ids in turns, as they stand; `add_special` holds for a text in front."""
        texts = [part for part in parts if isinstance(part, str)]
        data = iter(self.check_size(texts, param, self.context_size))
        ids: list[int] = []
        for index, part in enumerate(parts):
            if isinstance(part, int):
                self.check_ids([part], param, start=index)
                ids.append(part)
            else:
                add = add_special and index == 0
                ids += self._vocab.tokenize(
                    next(data), add_special=add, parse_special=parse_special
                )
        return ids

    def pieces_of(self, token_ids: Sequence[int], param: str) -> list[bytes]:
        """The bytes of these tokens, control tokens spelled out."""
        self.check_ids(token_ids, param)
        pieces = [self._vocab.control_pieces[token_id] for token_id in token_ids]
        _check_num_bytes(sum(map(len, pieces)), param, self.context_size, param)
        return pieces

    def check_ids(self, token_ids: Iterable[int], param: str, *, start: int = 0) -> None:
        """Raise for the first id that is not in the vocabulary; they are counted from `start`."""
        for index, token_id in enumerate(token_ids, start):
            if not 0 <= token_id < self._vocab.num_tokens:
                raise self._unknown_token(token_id, f"{param}[{index}]")

    def check_logit_bias(self, token_ids: Iterable[int]) -> None:
        """The same for ids that are keys."""
        for token_id in token_ids:
            if not 0 <= token_id < self._vocab.num_tokens:
                raise self._unknown_token(token_id, "logit_bias")

    @property
    def _bos(self) -> list[int]:
        """The begin-of-sequence token, if the vocabulary has one."""
        return [] if self._vocab.bos_id is None else [self._vocab.bos_id]

    def _encode_plain(self, data: bytes) -> list[int]:
        return self._vocab.tokenize(data, add_special=False, parse_special=False)

    def check_allowed(
        self, token_ids: Sequence[int], banned: Collection[int], *, may_end: bool
    ) -> None:
        """Raise if no token could be chosen of those that are allowed; none allows all."""
        self.check_ids(token_ids, "allowed_token_ids")
        ends = () if may_end else self._vocab.end_of_generation_ids
        if token_ids and all(token in banned or token in ends for token in token_ids):
            raise RequestError(
                "Invalid 'allowed_token_ids': 'logit_bias', 'ignore_eos' or 'min_tokens' forbid "
                "all of them. Allow another token.",
                param="allowed_token_ids",
                code="invalid_value",
            )
        if len(banned) + len(ends) >= self.num_tokens:
            forbidden = {*banned, *ends}
            if all(token in forbidden for token in range(self.num_tokens)):
                raise RequestError(
                    "Invalid 'logit_bias': with 'ignore_eos' and 'min_tokens' it forbids every "
                    "token of this model. Allow one.",
                    param="logit_bias",
                    code="invalid_value",
                )

    def _unknown_token(self, token_id: int, param: str) -> RequestError:
        return RequestError(
            f"Invalid '{param}': {token_id} is no token of this model. "
            f"Token ids are 0 to {self._vocab.num_tokens - 1}.",
            param=param,
            code="invalid_value",
        )

    def _begin_of_sequence(self, param: str) -> list[int]:
        if not self._bos:
            raise RequestError(
                f"Invalid '{param}': it is empty, and this model has no token to begin with. "
                "Send some text.",
                param=param,
                code="empty_string",
            )
        return self._bos

    def _text_of(self, token_id: int | None) -> str | None:
        if token_id is None:
            return None
        return self._vocab.control_pieces[token_id].decode("utf-8", "replace")


def _check_num_bytes(num_bytes: int, param: str, size: int | None, made_of: str) -> None:
    if size is not None and num_bytes > MAX_BYTES_PER_TOKEN * size + EXTRA_BYTES:
        raise RequestError(
            f"This model's maximum context length is {size} tokens. However, your {made_of} "
            f"resulted in {num_bytes} bytes, which are more than {size} tokens. Please reduce "
            f"the length of the {made_of}. (context_length_exceeded: prompt is too long)",
            param=param,
            code="context_length_exceeded",
        )


def check_runs(text: str, param: str) -> None:
    """RequestError for a run that the native tokenizer could not be trusted with.

    A run of twice RUN_LENGTH has one of these blocks in it, which has no blank, or nothing else.
    """
    for start in range(0, len(text) - RUN_LENGTH + 1, RUN_LENGTH):
        end = start + RUN_LENGTH
        if not (_BLANK.search(text, start, end) and _VISIBLE.search(text, start, end)):
            raise RequestError(
                f"Invalid '{param}': it has more than {RUN_LENGTH} characters in a row without a "
                "blank between them, or as many blanks. Break them up.",
                param=param,
                code="invalid_value",
            )
