"""Grammars over a vocabulary of single bytes, without any model."""

from __future__ import annotations

import re
from collections.abc import Sequence

from llguidance import LLTokenizer
from llguidance._tokenizer import TokenizerWrapper

from cria.constraint.compiler import GrammarCompiler
from cria.constraint.matcher import Matcher

TOKENIZER = LLTokenizer("byte")
END = TOKENIZER.eos_token
NUM_WORDS = -(-TOKENIZER.vocab_size // 32)


def make_compiler(**options: int) -> GrammarCompiler:
    return GrammarCompiler(TOKENIZER, **options)


def takes(matcher: Matcher, text: str) -> bool:
    """Whether the text comes through from here, and may end there."""
    return all(map(matcher.take, text.encode())) and (matcher.is_over or matcher.take(END))


class MarkedBytes:
    """A vocabulary of single bytes, of control tokens, and of texts that are one token each."""

    bos_token_id = None

    def __init__(self, controls: Sequence[str], words: Sequence[str] = ()) -> None:
        self._texts = [bytes([value]) for value in range(256)] + [w.encode() for w in words]
        self.eos_token_id = len(self._texts)
        self.ids = {name: self.eos_token_id + 1 + n for n, name in enumerate(controls)}
        self.special_token_ids = [self.eos_token_id, *self.ids.values()]
        self.tokens = [*self._texts, *(b"\xff" + n.encode() for n in ("</s>", *controls))]
        self.compiler = GrammarCompiler(LLTokenizer(TokenizerWrapper(self)))

    def __call__(self, text: bytes | str) -> list[int]:
        """As tokenizers do: words before bytes; no control tokens."""
        data = text.encode() if isinstance(text, str) else text
        return self._split(data, {name: id for id, name in enumerate(self._texts[256:], 256)})

    def takes(self, source: str, text: str) -> bool:
        """Whether the text comes through, control tokens by their names, and may end there."""
        matcher = self.compiler.matcher(source)
        tokens = self._split(text.encode(), {n.encode(): id for n, id in self.ids.items()})
        return all(map(matcher.take, tokens)) and (
            matcher.is_over or matcher.take(self.eos_token_id)
        )

    def _split(self, data: bytes, names: dict[bytes, int]) -> list[int]:
        if not names:
            return list(data)
        parts = re.split(b"(" + b"|".join(map(re.escape, names)) + b")", data)
        return [id for part in parts for id in ([names[part]] if part in names else part)]
