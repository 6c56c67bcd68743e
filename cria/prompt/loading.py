"""Load the text side of a model: its vocabulary and chat template, without its weights.

This is what the server process needs of a GGUF file. The GPUs stay with the engine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from cria.constraint.compiler import GrammarCompiler
from cria.formats.model_formats import ModelFormats
from cria.model_file import check_model_file
from cria.native import library, log, process
from cria.native.grammar_tokenizer import make_grammar_tokenizer, opens_with_blank
from cria.native.model import Model, ModelOptions
from cria.native.vocab import Vocab
from cria.prompt.chat_template import ChatTemplate
from cria.prompt.formats import formats_of
from cria.prompt.rerank_prompt import RerankPrompt
from cria.prompt.template_trial import problem_of
from cria.prompt.tokenizer import Tokenizer
from cria.prompt.vocabulary_trial import try_vocabulary

logger = logging.getLogger(__name__)

TOOL_TEMPLATE = "tool_use"
"""The name of a model's template for conversations with tools."""


MakeCompiler = Callable[[], GrammarCompiler]
"""Takes a fifth of a second, and is called when the first grammar comes."""


class TextSide(NamedTuple):
    """What turns requests into token ids, and token ids into text."""

    tokenizer: Tokenizer
    template: ChatTemplate
    pieces: list[bytes]
    """The bytes of each token as they appear in text."""
    rerank_prompt: RerankPrompt
    make_compiler: MakeCompiler
    formats: ModelFormats = ModelFormats()
    """How the model writes tool calls and thinking."""


def check_native() -> None:
    """SetupError if the native libraries are not built."""
    library.check_installed()


def load_text_side(path: str, chat_template: str | None = None) -> TextSide:
    """SetupError if the libraries are missing or the file is no model.

    `chat_template` is used instead of all that the model brings.
    """
    process.share_one_heap()
    library.hide_gpus()
    native = library.load()
    header = check_model_file(path)
    log.drain(native, expected=True)  # the backends complain that the GPUs are hidden
    model = Model(native, path, ModelOptions(vocab_only=True))
    vocab = model.vocab
    try_vocabulary(vocab, path, header.tokenizer)
    tokenizer = Tokenizer(vocab)
    template = _load_template(_sources(model, chat_template), vocab, tokenizer)
    if template.problem and model.has_decoder:
        logger.warning("%s Only /v1/completions will work.", template.problem)
    rerank_prompt = RerankPrompt(vocab, model.chat_template("rerank"), tokenizer.control_texts)
    make_compiler = partial(_make_compiler, vocab)
    formats = formats_of(template, tokenizer.control_ids)
    return TextSide(tokenizer, template, vocab.pieces, rerank_prompt, make_compiler, formats)


def _make_compiler(vocab: Vocab) -> GrammarCompiler:
    tokenizer = make_grammar_tokenizer(vocab)
    return GrammarCompiler(tokenizer, opens_with_blank=opens_with_blank(vocab))


class _Sources(NamedTuple):
    """Two templates, of which the second one is for conversations with tools."""

    default: str | None
    tool_use: str | None


def _sources(model: Model, override: str | None) -> _Sources:
    if override is not None:
        return _Sources(override, None)
    named = model.chat_template(TOOL_TEMPLATE)
    default = model.chat_template() or named
    return _Sources(default, None if named == default else named)


def _load_template(sources: _Sources, vocab: Vocab, tokenizer: Tokenizer) -> ChatTemplate:
    """A template that fails its trial costs the model its chat, or the second one, no more."""
    tokens = _text_of(vocab, vocab.bos_id), _text_of(vocab, vocab.eos_id)
    problem, tool_problem = (problem_of(source, *tokens) if source else None for source in sources)
    if problem:
        return ChatTemplate.unusable(problem)
    tool_source = sources.tool_use
    if tool_problem:
        logger.warning("%s It is the one named %s.", tool_problem, TOOL_TEMPLATE)
        tool_source = None
    return ChatTemplate(sources.default, *tokens, tokenizer.control_texts, tool_source)


def _text_of(vocab: Vocab, token_id: int | None) -> str:
    return "" if token_id is None else vocab.control_pieces[token_id].decode("utf-8", "replace")
