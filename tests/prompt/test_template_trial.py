from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cria.native.tiny_model import write_tiny_model
from cria.prompt import template_trial
from cria.prompt.template_trial import TOO_MUCH, problem_of
from tests.prompt import templates
from tests.real_server import RealServer

NESTED_LOOPS = (
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}{{ messages }}"
)
MEMORY_BOMB = "{{ 'a' * 10 ** 10 }}"
GOOD = sorted(value for name, value in vars(templates).items() if name.isupper())


@pytest.mark.parametrize("source", GOOD)
def test_a_good_template_has_no_problem(source: str) -> None:
    assert problem_of(source, "<s>", "</s>") is None


@pytest.mark.parametrize(
    "source",
    [
        "{% if %}",
        "{{ raise_exception('never') }}",
        "{{ messages[9].content.x }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% for i in range(99999) %}{{ 'a' * 99999 }}{% endfor %}",
    ],
)
def test_one_that_fails_or_refuses_is_harmless(source: str) -> None:
    assert problem_of(source, "<s>", "</s>") is None


def test_loops_end_with_their_processor_time() -> None:
    start = time.monotonic()
    assert problem_of(NESTED_LOOPS, "<s>", "</s>") == TOO_MUCH
    assert time.monotonic() - start < template_trial.WALL_SECONDS


def test_the_time_on_the_clock_is_limited_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_trial, "WALL_SECONDS", 0.5)
    before = psutil.Process().children()
    assert problem_of(NESTED_LOOPS, "<s>", "</s>") == TOO_MUCH
    assert psutil.Process().children() == before


@pytest.mark.parametrize(
    "source",
    [
        MEMORY_BOMB,
        "{{ range(10 ** 9) }}",
        # Only in the conversation of a probe, which takes any failure for an answer.
        "{% for m in messages if m.tool_calls %}{% set n = 10 ** 10 %}{{ 'a' * n }}{% endfor %}",
    ],
)
def test_memory_is_limited_wherever_it_is_asked_for(source: str) -> None:
    assert problem_of(source, "<s>", "</s>") == TOO_MUCH


def test_a_child_that_ends_in_another_way_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert "exit code 1" in str(problem_of(templates.CHATML, "<s>", "</s>"))
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert "could not be tried" in str(problem_of(templates.CHATML, "<s>", "</s>"))


def test_the_child_is_light() -> None:
    program = "import cria.prompt.template_trial, sys; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", program], text=True).split()
    assert not {"numpy", "msgspec", "gevent", "flask", "cria.native"} & set(loaded)


UNDER_GEVENT = """
from gevent import monkey
monkey.patch_all()
import gevent, psutil, sys, time
from cria.prompt import template_trial
ticks = []
def tick():
    while True:
        ticks.append(0)
        gevent.sleep(0.01)
gevent.spawn(tick)
template_trial.WALL_SECONDS = 1.0
start = time.monotonic()
print(template_trial.problem_of(sys.argv[1], "", ""), len(ticks) > 20)
print(template_trial.problem_of("{{ messages }}" + " " * 200_000, "", ""))
trial = gevent.spawn(template_trial.problem_of, sys.argv[1], "", "")
gevent.sleep(0.3)
trial.kill()
print(psutil.Process().children(), time.monotonic() - start < 4)
"""


def test_under_gevent_others_go_on_and_a_kill_ends_it() -> None:
    program = [sys.executable, "-c", UNDER_GEVENT, NESTED_LOOPS]
    output = subprocess.check_output(program, text=True, timeout=30)
    assert output.splitlines() == [f"{TOO_MUCH} True", "None", "[] True"]


@pytest.mark.integration
def test_a_model_with_a_bad_template_is_served_without_chat(tmp_path: Path) -> None:
    model = tmp_path / "hostile.gguf"
    write_tiny_model(model, chat_template=MEMORY_BOMB)
    with RealServer.start(model, "--alias", "tiny", log=tmp_path / "log") as server:
        done = server.post("/v1/completions", {"model": "tiny", "prompt": "a", "max_tokens": 1})
        assert done.status_code == 200, done.text
        messages = [{"role": "user", "content": "Hello"}]
        refused = server.post("/v1/chat/completions", {"model": "tiny", "messages": messages})
        assert refused.status_code == 400
        assert refused.json()["error"]["message"] == f"{TOO_MUCH} Use /v1/completions."
    assert TOO_MUCH in server.log.read_text()
