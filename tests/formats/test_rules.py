from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.formats.rules import Rules, one_of, re_escape, regex
from cria.formats.special import SpecialTexts
from tests.constraint.byte_grammars import make_compiler, takes

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="0"), min_size=1, max_size=8)


def accepts(source: str, text: str) -> bool:
    return takes(make_compiler().matcher(source), text)


def test_control_tokens_are_referred_to_by_id() -> None:
    assert Rules(SpecialTexts({"<a>": 7})).literal('<a>"') == r'<[7]> "\""'


def test_equal_rules_are_one() -> None:
    rules = Rules(SpecialTexts({}))
    assert rules.add('"a"') == rules.add('"a"') != rules.add('"b"')
    assert rules.grammar("start: /a/") == rules.grammar("start: /a/")


@given(TEXTS)
def test_any_text_can_be_a_literal_or_an_end(text: str) -> None:
    rules = Rules(SpecialTexts({}))
    assert accepts(rules.source(rules.literal(text)), text)
    assert accepts(rules.source(rules.until(text)), "0" + text)
    assert not accepts(rules.source(rules.until(text)), "0" + text + "0" + text)
    assert accepts(rules.source(rules.terminal(regex(re_escape(text)))), text)


@pytest.mark.parametrize(("text", "good"), [("ab", True), ("b", True), ("aab", False)])
def test_other_grammars(text: str, good: bool) -> None:
    rules = Rules(SpecialTexts({}))
    source = rules.source(f'{one_of([rules.grammar("start: /a/"), rules.literal("")])}? "b"')
    assert accepts(source.replace("( | )", "()").replace(" | )", ")"), text) == good


@pytest.mark.parametrize("text", ["<a>", " <a>", "\n\n<a>", "  <b>", "  x<a>", ""])
def test_blanks_before_a_mark_are_no_reason_to_take_it_for_other_text(text: str) -> None:
    rules = Rules(SpecialTexts({}))
    others = rules.terminal(r"/(?s:.*)/ & ~/[ \t\r\n]*<a>(?s:.*)/")
    source = rules.source(one_of([f'{rules.beginning("<a>")} "!"', f"{others}?"]))
    assert accepts(source, text) == ("<a>" not in text.strip()[:3])
    assert accepts(source, text + "!")
