from __future__ import annotations

import pytest

from cria.errors import RequestError
from cria.prompt import render_limits, template_program
from cria.prompt.render_limits import RenderLimit
from cria.prompt.template_environment import TemplateRefusal
from cria.prompt.template_program import TemplateProgram, compile_source, request_error
from tests.prompt import templates
from tests.prompt.hostile import LARGE, LONG

TOKENS = {"bos_token": "<s>"}


def test_it_renders_what_it_is_given_and_its_tokens() -> None:
    program = TemplateProgram("{{ bos_token }}{{ x }}", TOKENS)
    assert program.render({"x": 1, "bos_token": "2"}) == "<s>1"
    assert program.variables == {"x", "bos_token"}
    assert (program.source, program.problem) == ("{{ bos_token }}{{ x }}", "")


@pytest.mark.parametrize(("source", "sentence"), [(None, "no chat"), ("{% if %}", "not compile")])
def test_without_a_program_every_use_says_so(source: str | None, sentence: str) -> None:
    program = TemplateProgram(source, TOKENS)
    assert sentence in program.problem
    assert program.source == ""
    with pytest.raises(RequestError, match="/v1/completions"):
        program.render({})
    assert compile_source(source)[1] == program.problem


def test_one_that_changes_lists_does_so_with_copies() -> None:
    program = TemplateProgram(templates.TOOLS_APPENDED, TOKENS)
    assert program.form.may_append
    seen: list[int] = []
    given = program.form.variables([{"role": "user", "content": "Hi"}], None)
    assert "Hi" in program.render(given | {"seen": seen})
    assert seen == []


@pytest.mark.parametrize("name", ["nested loops", "macros"])
def test_time_is_limited(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_limits, "CPU_SECONDS", 0.02)
    program = TemplateProgram("{% if x %}" + LONG[name] + "{% endif %}", TOKENS)
    assert program.render({}) == ""
    with pytest.raises(RenderLimit):
        program.render({"x": 1})


def test_memory_is_limited() -> None:
    program = TemplateProgram("{% if x %}" + LARGE["+"] + "{% endif %}", TOKENS)
    with pytest.raises(RenderLimit):
        program.render({"x": 1})


def test_the_output_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_program, "MAX_PROMPT_CHARACTERS", 10)
    with pytest.raises(RequestError, match="more than 10 characters"):
        TemplateProgram("{{ x }}{{ x }}", TOKENS).render({"x": "123456"})


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (TemplateRefusal("no"), "refuses these messages: no"),
        (RenderLimit("it takes too long"), "messages: it takes too long. Send fewer"),
        (RecursionError("maximum"), "is nested too deeply. Send flatter ones"),
        (KeyError("x" * 1000), "fails with these messages: KeyError"),
    ],
)
def test_a_client_is_told_what_happened(error: Exception, sentence: str) -> None:
    told = request_error(error)
    assert sentence in str(told)
    assert len(str(told)) < 500
    assert told.param == "messages"
