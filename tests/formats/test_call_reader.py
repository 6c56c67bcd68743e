from __future__ import annotations

import pytest

from cria.formats.call_reader import CallReader
from cria.formats.flow import Flow
from cria.formats.pieces import Piece
from cria.formats.source import Source
from cria.formats.special import MARK
from tests.every_split import splits
from tests.formats.answers import FORMATS, SPECIAL, TOOLS, called, joined
from tests.formats.rendering import render_calls
from tests.formats.test_source import run

CALLS = [("f", {"number": 1}), ("get_weather", {}), ("f", {"text": "a"})]


def read(name: str, text: str) -> tuple[bool, list[Piece], str]:
    """Whether there were calls, their pieces, and what is left."""
    results = []
    for chunks in splits(text):
        source, flow = Source(), Flow()
        reader = CallReader(source, flow, FORMATS[name][0], TOOLS, SPECIAL)
        is_call = run(source, reader.read(), list(chunks))
        results.append((is_call, joined(flow.take()), source.text[source.pos :]))
    assert all(result == results[0] for result in results)
    return results[0]


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"gpt-oss"}))
def test_all_calls_up_to_the_text(name: str) -> None:
    text = SPECIAL.marked(render_calls(FORMATS[name][0], CALLS))
    is_call, pieces, rest = read(name, text + " Hm")
    assert is_call and rest == "Hm"
    arguments = ['{"number": 1}', "{}", '{"text": "a"}']
    assert called(pieces) == [
        (call[0], text) for call, text in zip(CALLS, arguments, strict=True)
    ]  # fmt: skip


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_text_is_left_as_it_is(name: str) -> None:
    for text in ("Hm", f"{MARK}<tool_call>a b", "[TOOL_CALLS]"):
        assert read(name, text) == (False, [], text)


@pytest.mark.parametrize(
    ("name", "marks"),
    [
        ("hermes", (f"{MARK}<tool_call>",)),
        ("nemo", (f"{MARK}[TOOL_CALLS][",)),
        ("functionary", (">>>",)),
        ("gpt-oss", ("to=functions.",)),
        ("llama", ()),
    ],
)
def test_what_calls_begin_with(name: str, marks: tuple[str, ...]) -> None:
    reader = CallReader(Source(), Flow(), FORMATS[name][0], TOOLS, SPECIAL)
    assert reader.marks == marks
    assert reader.is_marked == (name != "functionary")


def test_blanks_behind_a_name_may_be_missing_where_a_mark_tells_the_call() -> None:
    text = SPECIAL.marked("<tool_call>f</tool_call>")
    assert called(read("glm", text)[1]) == [("f", "{}")]
    assert not read("functionary", "f{}")[0]
