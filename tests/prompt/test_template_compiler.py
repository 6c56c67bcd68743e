"""Most of what the compiler adds shows in what `hostile` templates are stopped by."""

from __future__ import annotations

import pytest

from cria.prompt import render_limits
from cria.prompt.render_limits import RenderLimit, limited
from cria.prompt.template_environment import make_environment
from tests.prompt.hostile import LARGE, LONG


@pytest.mark.parametrize("name", LONG)
def test_what_takes_long_is_ended(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_limits, "CPU_SECONDS", 0.1)
    template = make_environment().from_string(LONG[name])
    with limited(), pytest.raises(RenderLimit):
        "".join(template.generate())


@pytest.mark.parametrize("name", LARGE)
def test_what_makes_much_of_little_is_ended(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_limits, "CPU_SECONDS", 0.5)
    template = make_environment().from_string(LARGE[name])
    with limited(), pytest.raises(RenderLimit):
        "".join(template.generate())


def render(source: str, **variables: object) -> str:
    return make_environment().from_string(source).render(**variables)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ 'a' + x + 'b' }}{{ 1 + 2 }}{{ [x] + [1] }}", "axb3['x', 1]"),
        ("{{ x ~ 1 ~ none ~ [x] }}", "x1None['x']"),
        ("{{ ((x + x) + (x + x)) + ((x + x) + (x + x + x + x + x + x + x)) }}", "x" * 13),
        ("{% for i in range(4) if i % 2 %}{{ i }}{% else %}none{% endfor %}", "13"),
        ("{% for i in [] %}{% else %}none{% endfor %}", "none"),
        ("{% for i in [3] recursive %}{{ i }}{{ loop([i - 1]) if i }}{% endfor %}", "3210"),
        ("{% for k, v in {'a': x}.items() %}{{ loop.index }}{{ k }}{{ v }}{% endfor %}", "1ax"),
        (
            "{% macro f(a, b=2) %}{{ a }}{{ b }}{{ varargs }}{% endmacro %}{{ f(1) + f(3, 4, 5) }}",
            "12()34(5,)",
        ),
        ("{% macro f() %}{{ caller(1) }}{% endmacro %}{% call(n) f() %}{{ n }}{% endcall %}", "1"),
        ("{% block a %}b{% endblock %}{{ self.a() }}", "bb"),
        ("{% set a, b = (x, 2) %}{{ a }}{{ b }}{{ (a, b) }}{{ {a: b} }}", "x2('x', 2){'x': 2}"),
        ("{{ x if x in ('x', 'y') }}{{ '%s-%s' % (x, 1) }}{{ '%d' % 3 }}{{ 7 % 4 }}", "xx-133"),
        ("{% autoescape true %}{{ '<' + x }}{{ '<' ~ x }}{% endautoescape %}", "&lt;x&lt;x"),
        ("{{ 2 ** 8 }}{{ x * 3 }}{{ [1] * 2 }}{{ 1.5 * 2 }}{{ -2 * 3 }}", "256xxx[1, 1]3.0-6"),
    ],
)
def test_everything_else_means_what_it_meant(source: str, text: str) -> None:
    assert render(source, x="x") == text
