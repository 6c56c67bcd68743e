from __future__ import annotations

from pathlib import Path

import pytest

from cria.constraint import sources
from cria.constraint.compiler import GrammarCompiler
from cria.formats import known_tools
from cria.formats.answer_grammar import CallableTool, Calls, Thinking, answer_grammar
from cria.formats.reasoning_format import THINK, ReasoningFormat
from cria.formats.special import SpecialTexts
from cria.formats.tool_format import HERMES, ToolFormat, write_calls
from cria.native import library
from cria.native.grammar_tokenizer import make_grammar_tokenizer
from cria.native.model import Model, ModelOptions
from tests.constraint.byte_grammars import make_compiler, takes
from tests.formats.families import CALL, TOOLS
from tests.native.test_vocab import vocabulary_file

COMPILER = make_compiler()
NO_SPECIAL = SpecialTexts({})
WRITTEN = write_calls(HERMES, [CALL])
CALLS = Calls(HERMES, TOOLS, is_required=False, is_parallel=True)
ANSWER = sources.from_json_schema(
    {"type": "object", "properties": {"q": {"type": "integer"}}, "required": ["q"]}
)


def accepts(
    text: str,
    *,
    calls: Calls | None = None,
    thinking: Thinking | None = None,
    content: str | None = None,
) -> bool:
    source = answer_grammar(NO_SPECIAL, calls=calls, thinking=thinking, content=content)
    return takes(COMPILER.matcher(source), text)


class TestThinking:
    def test_the_model_may_begin_it_or_not(self) -> None:
        thinking = Thinking(THINK, is_open=False, budget=None)
        good = ("Hi", "<think>a</think>Hi", f"<think>a <tool_call> b</think>\n{WRITTEN}", WRITTEN)
        assert all(accepts(text, calls=CALLS, thinking=thinking) for text in good)
        assert not accepts("<think>a", calls=CALLS, thinking=thinking)
        assert not accepts("<think>a</think><tool_call>", calls=CALLS, thinking=thinking)

    def test_the_prompt_has_begun_it(self) -> None:
        thinking = Thinking(THINK, is_open=True, budget=None)
        assert accepts(f"a</think>{WRITTEN}", calls=CALLS, thinking=thinking)
        assert not accepts("a", thinking=thinking)

    def test_what_follows_has_the_shape(self) -> None:
        thinking = Thinking(THINK, is_open=False, budget=None)
        good = ('{"q": 1}', '<think>{</think>\n\n{"q": 1}')
        assert all(accepts(text, thinking=thinking, content=ANSWER) for text in good)
        assert not accepts("<think>a</think>Hi", thinking=thinking, content=ANSWER)

    @pytest.mark.parametrize("is_open", [True, False])
    def test_a_budget(self, is_open: bool) -> None:
        begin = "" if is_open else "<think>"
        thinking = Thinking(THINK, is_open, budget=5)
        assert accepts(f"{begin}abcde</think>Hi", thinking=thinking)
        assert accepts(f"{begin}ab</think>Hi", thinking=thinking)
        assert not accepts(f"{begin}abcdef</think>Hi", thinking=thinking)

    def test_a_budget_of_any_size(self) -> None:
        thinking = Thinking(THINK, is_open=True, budget=2**31 - 1)
        assert accepts("x" * 9000 + "</think>Hi", thinking=thinking)

    def test_no_thinking_at_all(self) -> None:
        thinking = Thinking(THINK, is_open=True, budget=0)
        assert accepts("</think>Hi", thinking=thinking)
        assert not accepts("a</think>Hi", thinking=thinking)

    def test_what_is_over_does_not_begin_again(self) -> None:
        thinking = Thinking(THINK, is_open=True, budget=3)
        assert accepts("abc</think>Hi <think>", thinking=thinking)
        assert not accepts("abc</think> <think>and more", thinking=thinking)

    def test_blanks_before_it(self) -> None:
        thinking = Thinking(THINK, is_open=False, budget=None)
        assert accepts("\n\n<think>a</think>Hi", thinking=thinking)
        assert not accepts("\n\n<think>a", thinking=thinking)

    def test_headers(self) -> None:
        format = ReasoningFormat("<a>", "</a>", ("<final>", "<start>"))
        thinking = Thinking(format, is_open=False, budget=None)
        good = ("<a>x</a><start><final>", "<final>", "<a>x</a>")
        assert all(accepts(f'{text}{{"q": 1}}', thinking=thinking, content=ANSWER) for text in good)


class TestContent:
    def test_a_call_or_the_answer(self) -> None:
        assert accepts(WRITTEN, calls=CALLS, content=ANSWER)
        assert accepts('{"q": 1}', calls=CALLS, content=ANSWER)
        assert not accepts("Hi", calls=CALLS, content=ANSWER)
        assert not accepts(f'{{"q": 1}}{WRITTEN}', calls=CALLS, content=ANSWER)

    def test_calls_that_are_json_as_the_answer_is(self) -> None:
        calls = Calls(known_tools.LLAMA, TOOLS, is_required=False, is_parallel=True)
        assert accepts(write_calls(known_tools.LLAMA, [CALL]), calls=calls, content=ANSWER)
        assert accepts('{"q": 1}', calls=calls, content=ANSWER)
        assert not accepts('{"q": "x"}', calls=calls, content=ANSWER)

    def test_a_text_with_a_grammar_is_no_json(self) -> None:
        tool = CallableTool("sql", {}, "start: /a/", raw="start: /a/")
        calls = Calls(known_tools.LLAMA, [tool], is_required=False, is_parallel=True)
        with pytest.raises(sources.GrammarError, match="grammar"):
            accepts("", calls=calls, content=ANSWER)

    def test_a_call_that_is_json_with_blanks_before(self) -> None:
        calls = Calls(known_tools.LLAMA, TOOLS, is_required=False, is_parallel=True)
        written = write_calls(known_tools.LLAMA, [CALL])
        assert accepts("\n" + written, calls=calls) and accepts("\nHi", calls=calls)
        assert not accepts("\n" + written[:-1], calls=calls)

    def test_a_required_call_leaves_no_choice(self) -> None:
        calls = CALLS._replace(is_required=True)
        assert accepts(" " + WRITTEN, calls=calls, content=ANSWER)
        assert not accepts('{"q": 1}', calls=calls, content=ANSWER)

    def test_no_tools(self) -> None:
        assert accepts("Write <tool_call>.", calls=CALLS._replace(tools=[]))
        assert accepts("", calls=None)


class Vocabulary:
    """A real one, with control tokens."""

    def __init__(self, path: Path) -> None:
        self.model = Model(library.load(), str(path), ModelOptions(vocab_only=True))
        vocab = self.model.vocab
        pairs = enumerate(zip(vocab.pieces, vocab.control_pieces, strict=True))
        ids = {name.decode(): id for id, (piece, name) in pairs if name and not piece}
        self.special = SpecialTexts(ids)
        self.grammars = GrammarCompiler(make_grammar_tokenizer(vocab))

    def takes(self, source: str, *texts: str) -> bool:
        """Whether these come through one by one, control tokens as such, and may end there."""
        matcher = self.grammars.matcher(source)
        vocab = self.model.vocab
        tokens: list[int] = []
        for text in texts:
            tokens += vocab.tokenize(text.encode(), add_special=False, parse_special=True)
        end = vocab.end_of_generation_ids[0]
        return all(map(matcher.take, tokens)) and (matcher.is_over or matcher.take(end))


@pytest.mark.parametrize(
    ("name", "format", "thinking"),
    [
        (
            "gemma-4",
            known_tools.GEMMA,
            ReasoningFormat("<|channel>thought\n", "<channel|>"),
        ),
        ("command-r", HERMES, ReasoningFormat("<|START_OF_TURN_TOKEN|>", "<|YES_TOKEN|>")),
        ("llama-bpe", known_tools.LLAMA, ReasoningFormat("<|python_tag|>", "<|eom_id|>")),
        ("qwen2", HERMES, ReasoningFormat("<|im_start|>", "<|object_ref_end|>")),
    ],
)
def test_control_tokens(name: str, format: ToolFormat, thinking: ReasoningFormat) -> None:
    vocabulary = Vocabulary(vocabulary_file(name))
    calls = Calls(format, TOOLS, is_required=False, is_parallel=True)
    marks = Thinking(thinking, is_open=False, budget=3)
    source = answer_grammar(vocabulary.special, calls=calls, thinking=marks, content=None)
    written = write_calls(format, [CALL])
    assert vocabulary.takes(source, written) and vocabulary.takes(source, "Hello")
    assert not vocabulary.takes(source, written.replace("3", "x"))
    for words, good in (("a b", True), ("a b c d e f g", False)):
        texts = (thinking.open, words, thinking.close, written)
        assert vocabulary.takes(source, *texts) == good


def test_the_default_models_vocabulary(default_model: Path) -> None:
    vocabulary = Vocabulary(default_model)
    source = answer_grammar(vocabulary.special, calls=CALLS, thinking=None, content=None)
    assert vocabulary.takes(source, f"Look: {WRITTEN} Done.")
    assert not vocabulary.takes(source, WRITTEN.replace("weather", "whether"))
    assert not vocabulary.takes(source, "Hi<|im_start|>")
