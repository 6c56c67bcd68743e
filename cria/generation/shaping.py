"""`Shaping`: what the answer to a chat may look like, and how it is read.

One grammar says all of it: thinking, up to its budget, then text of the shape that was asked for or
calls of the tools that may be called. A parser of the same formats reads the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import NamedTuple

from cria.api.chat import ChatCompletionRequest
from cria.api.constraints import Constraint
from cria.api.generation_request import GenerationRequest
from cria.api.tools import ToolPlan, ToolSpec
from cria.formats.answer_grammar import CallableTool, Calls, Thinking, answer_grammar
from cria.formats.marked_formats import format_texts
from cria.formats.model_formats import ModelFormats
from cria.formats.parser import AnswerParser, ReadableTool
from cria.formats.reasoning_format import Start, starts_thinking
from cria.formats.tool_format import ToolFormat
from cria.generation.choice import Output
from cria.generation.constraining import NO_GRAMMAR, Constraining, Grammar
from cria.output.detokenizer import text_of
from cria.output.parsed import ParsedOutput
from cria.output.processor import OutputProcessor
from cria.prompt.tokenizer import Tokenizer

NUM_TAIL_TOKENS = 64
"""Of a prompt, in which its template may have opened the model's thinking."""


class Shape(NamedTuple):
    """Of the answers to one request."""

    grammar: Grammar
    make_output: Callable[[], Output]
    tool_kinds: Mapping[str, str]
    """Of the tools that are no functions, by name."""


class Shaping:
    """Of one model."""

    def __init__(
        self, formats: ModelFormats, constraining: Constraining, tokenizer: Tokenizer
    ) -> None:
        self._formats = formats
        self._constraining = constraining
        self._tokenizer = tokenizer
        self._marked_pieces = cache(self._make_marked_pieces)

    def shape(self, request: GenerationRequest, prompt: Sequence[int]) -> Shape:
        """RequestError for what cannot be enforced; compiles, which takes up to a second.

        `prompt` are token ids: its end says whether the model begins by thinking.
        """
        if isinstance(request, ChatCompletionRequest):
            return self._shape_chat(request, self._start(request, prompt))
        grammar = self._constrained(request)
        return Shape(grammar, self._text_output(request), {})

    def _shape_chat(self, request: ChatCompletionRequest, start: Start) -> Shape:
        plan, reasoning = request.tool_plan, self._formats.reasoning
        content = self._constrained(request)
        grammar = self._grammar(request, plan, content, start)
        reads_thinking = reasoning is not None and request.splits_thinking
        if not (plan.callable or reads_thinking):
            return Shape(grammar, self._text_output(request), {})
        make_parser = partial(
            AnswerParser,
            self._formats.special,
            tools=self._readable_format(content, plan) if plan.callable else None,
            callable=[_readable(tool) for tool in plan.callable],
            reasoning=reasoning,
            is_thinking=start is Start.OPEN,
            is_inline=not reads_thinking,
        )
        pieces = self._marked_pieces(bool(plan.callable))
        kinds = {tool.name: tool.kind for tool in plan.callable if tool.kind != "function"}
        return Shape(grammar, lambda: _parsed(pieces, make_parser(), request), kinds)

    def _readable_format(self, content: Grammar, plan: ToolPlan) -> ToolFormat:
        """An answer of a shape has no calls beside it, but may quote one."""
        is_either = content.source != "" and not plan.is_required
        return self._formats.tools._replace(is_whole=self._formats.tools.is_whole or is_either)

    def _grammar(
        self, request: ChatCompletionRequest, plan: ToolPlan, content: Grammar, start: Start
    ) -> Grammar:
        """Of the whole answer, the thinking included."""
        thinking = self._thinking(request, start)
        bounds_thinking = thinking is not None and thinking.budget is not None
        if not (plan.callable or bounds_thinking or (thinking and content.source)):
            return content._replace(warnings=content.warnings + self._unbounded(request))
        arguments = [self._constraining.tool(tool) for tool in plan.callable]
        make = partial(
            answer_grammar,
            self._formats.special,
            calls=self._calls(plan, [grammar.source for grammar in arguments]),
            thinking=thinking,
            content=content.source or None,
        )
        warnings = content.warnings + self._unbounded(request)
        for grammar in arguments:
            warnings += grammar.warnings
        param = content.param or ("tools" if plan.callable else request.budget_path or "")
        return self._constraining.whole(make, warnings, param)

    def _calls(self, plan: ToolPlan, sources: Sequence[str]) -> Calls | None:
        if not plan.callable:
            return None
        tools = [
            CallableTool(tool.name, tool.schema, source, raw=source if tool.grammar else "")
            for tool, source in zip(plan.callable, sources, strict=True)
        ]
        return Calls(self._formats.tools, tools, plan.is_required, plan.is_parallel)

    def _thinking(self, request: ChatCompletionRequest, start: Start) -> Thinking | None:
        """What the model may think; a model that is told not to think and has not begun does not
        have to be stopped.
        """
        budget, is_open = request.thinking_budget, start is Start.OPEN
        if (
            self._formats.reasoning is None
            or start is Start.CLOSED
            or (budget == 0 and not is_open)
        ):
            return None
        return Thinking(self._formats.reasoning, is_open, budget)

    def _unbounded(self, request: ChatCompletionRequest) -> tuple[str, ...]:
        """The budget's field, if the model has no thinking that could be bounded."""
        path = request.budget_path
        return (path,) if path and self._formats.reasoning is None else ()

    def _constrained(self, request: GenerationRequest) -> Grammar:
        constraint: Constraint | None = request.constraint
        return NO_GRAMMAR if constraint is None else self._constraining.grammar(constraint)

    def _start(self, request: ChatCompletionRequest, prompt: Sequence[int]) -> Start:
        reasoning = self._formats.reasoning
        if reasoning is None or request.continues_last or not request.opens_answer:
            return Start.CLOSED
        tail = text_of(self._tokenizer.spelled_pieces, prompt[-NUM_TAIL_TOKENS:])
        return starts_thinking(reasoning, tail)

    def _text_output(self, request: GenerationRequest) -> Callable[[], Output]:
        return partial(
            OutputProcessor,
            self._tokenizer.pieces,
            request.stop,
            frozenset(request.stop_token_ids),
            request.min_tokens,
        )

    def _make_marked_pieces(self, reads_calls: bool) -> list[bytes]:
        """The bytes of every token where the control tokens that a parser looks for are marked."""
        formats = self._formats
        texts = format_texts(formats.tools if reads_calls else None, formats.reasoning)
        return formats.special.pieces(self._tokenizer.pieces, texts)


def compiles(request: GenerationRequest) -> bool:
    """Whether the request's grammar, if it has one, takes a while."""
    if request.constraint is not None:
        return True
    if not isinstance(request, ChatCompletionRequest):
        return False
    return request.thinking_budget is not None or bool(request.tool_plan.callable)


def _parsed(
    pieces: Sequence[bytes], parser: AnswerParser, request: ChatCompletionRequest
) -> ParsedOutput:
    stop_ids = frozenset(request.stop_token_ids)
    return ParsedOutput(pieces, parser, request.stop, stop_ids, request.min_tokens)


def _readable(tool: ToolSpec) -> ReadableTool:
    is_custom = tool.kind == "custom"
    return ReadableTool(
        tool.name,
        tool.schema,
        is_text=is_custom and tool.grammar is None,
        is_raw=is_custom and tool.grammar is not None,
    )
