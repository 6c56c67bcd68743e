"""Grammars over a vocabulary of single bytes, without any model."""

from __future__ import annotations

from llguidance import LLTokenizer

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
