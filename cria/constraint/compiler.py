"""Compiled grammars of one vocabulary, kept for the next request that wants the same.

Compiling takes from a tenth of a millisecond to, for a hostile grammar, a second; llguidance lets
other threads run meanwhile.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

import llguidance.numpy
from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from cria.constraint.budget import BudgetedMatcher
from cria.constraint.matcher import Matcher
from cria.constraint.sources import GrammarError, after_blank, one_line, split_budget

MAX_CACHE_BYTES = 128 * 1024 * 1024
BYTES_PER_GRAMMAR, BYTES_PER_SOURCE_BYTE = 128 * 1024, 64
"""What a compiled grammar is taken to occupy; a large schema has been seen to take 50 times its
text."""

# Its messages would otherwise show what was generated so far, to whoever reads the error. The items
# are those of one step: with as many as it allows by itself, a step may take half a second. Fuel is
# for regular expressions: with what it gives by itself, an address of mail before a mark fails.
_LIMITS = LLParserLimits(verbose_errors=False, step_max_items=20_000, step_lexer_fuel=1_000_000)
_OPENINGS = (b"", b"{", b'{"', b"[", b"[{", b'"')
"""What answers may begin with; some grammars turn out to be impossible only there."""


class GrammarCompiler:
    """Of one vocabulary; callable from any thread."""

    def __init__(
        self,
        tokenizer: LLTokenizer,
        max_cache_bytes: int = MAX_CACHE_BYTES,
        *,
        opens_with_blank: bool = False,
    ) -> None:
        """With `opens_with_blank`, JSON may begin with one: the vocabulary has texts begin so."""
        self._tokenizer = tokenizer
        self._opens_with_blank = opens_with_blank
        self._max_cache_bytes = max_cache_bytes
        self._lock = threading.Lock()
        self._cache: OrderedDict[bytes, tuple[LLMatcher, int]] = OrderedDict()
        self._num_bytes = 0

    def matcher(self, source: str) -> Matcher:
        """A fresh one at the grammar's beginning; GrammarError if it cannot be used."""
        source, budget = split_budget(source)
        if self._opens_with_blank:
            source = after_blank(source)
        compiled = self._compiled(source)
        return BudgetedMatcher(compiled, self._tokenizer, budget) if budget else Matcher(compiled)

    def _compiled(self, source: str) -> LLMatcher:
        key = hashlib.sha256(source.encode()).digest()
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key][0].deep_copy()
        matcher = self._compile(source)
        with self._lock:
            self._keep(key, matcher, BYTES_PER_GRAMMAR + BYTES_PER_SOURCE_BYTE * len(source))
        return matcher.deep_copy()

    def ignored(self, source: str) -> list[str]:
        """What a lenient grammar does not enforce, in llguidance's words."""
        _, remarks = LLMatcher.validate_grammar_with_warnings(source, self._tokenizer)
        return [str(remark) for remark in remarks]

    def _compile(self, source: str) -> LLMatcher:
        matcher = LLMatcher(self._tokenizer, source, log_level=0, limits=_LIMITS)
        _check(matcher)
        mask = llguidance.numpy.allocate_token_bitmask(1, self._tokenizer.vocab_size)
        for opening in _OPENINGS:
            trial = matcher.deep_copy()
            tokens = self._tokenizer.tokenize_bytes(opening)
            if trial.try_consume_tokens(tokens) == len(tokens):
                llguidance.numpy.fill_next_token_bitmask(trial, mask, 0)
            _check(trial)
        return matcher

    def _keep(self, key: bytes, matcher: LLMatcher, num_bytes: int) -> None:
        if key in self._cache:
            return  # another thread was as fast
        self._cache[key] = (matcher, num_bytes)
        self._num_bytes += num_bytes
        while self._num_bytes > self._max_cache_bytes and len(self._cache) > 1:
            _, (_, freed) = self._cache.popitem(last=False)
            self._num_bytes -= freed


def _check(matcher: LLMatcher) -> None:
    if matcher.is_error():
        raise GrammarError(_reason(matcher.get_error()))


def _reason(text: str) -> str:
    if text.startswith("panic"):
        return "it is too large"
    if text.startswith("NoExtension"):
        return "nothing can fulfil it"
    return one_line(text.replace("<non-verbose/>", ""))
