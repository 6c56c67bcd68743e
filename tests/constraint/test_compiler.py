from __future__ import annotations

import threading
from typing import Any

import pytest

from cria.constraint import compiler, sources
from cria.constraint.sources import GrammarError
from tests.constraint.byte_grammars import make_compiler, takes


def test_each_matcher_is_at_the_beginning() -> None:
    grammars, source = make_compiler(), sources.from_choice(["ab"])
    first = grammars.matcher(source)
    assert first.take(ord("a"))
    assert takes(grammars.matcher(source), "ab")


def test_what_was_used_last_is_kept() -> None:
    names = [sources.from_choice([name]) for name in ("a", "b", "c")]
    size = compiler.BYTES_PER_GRAMMAR + compiler.BYTES_PER_SOURCE_BYTE * len(names[0])
    grammars = make_compiler(max_cache_bytes=2 * size)
    for source in (names[0], names[1], names[0], names[2]):
        grammars.matcher(source)
    kept = [key.hex() for key in grammars._cache]
    assert len(kept) == 2 and grammars._num_bytes == 2 * size
    grammars.matcher(names[0])
    assert sorted(key.hex() for key in grammars._cache) == sorted(kept), "it was still there"


def test_a_grammar_larger_than_the_cache_is_used_all_the_same() -> None:
    grammars = make_compiler(max_cache_bytes=1)
    assert takes(grammars.matcher(sources.from_choice(["a"])), "a")


def test_several_threads_at_once() -> None:
    grammars, results = make_compiler(), []
    source = sources.from_json_schema({"type": "object"})

    def work() -> None:
        results.append(takes(grammars.matcher(source), '{"a":1}'))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 8 and len(grammars._cache) == 1


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"$ref": "#"}, "refers to itself"),
        ({"type": "strnig"}, "strnig"),
        ({"uniqueItems": True, "type": "array"}, '"uniqueItems"'),
        (False, "nsatisfiable"),
        ({"properties": {f"p{n}": {} for n in range(2000)}, "type": "object"}, "items; max is"),
    ],
)
def test_impossible_schemas(schema: Any, reason: str) -> None:
    with pytest.raises(GrammarError, match=reason) as caught:
        make_compiler().matcher(sources.from_json_schema(schema))
    assert "verbose" not in str(caught.value)


@pytest.mark.parametrize("pattern", ["(", "(?=a)b", "[z-a]", "(" * 5000 + ")" * 5000])
def test_impossible_patterns(pattern: str) -> None:
    with pytest.raises(GrammarError):
        make_compiler().matcher(sources.from_regex(pattern))


def test_a_grammar_that_is_too_large_says_no_more_than_that() -> None:
    with pytest.raises(GrammarError) as caught:
        make_compiler().matcher(sources.from_grammar("root ::=" + ' "a"' * 70_000))
    assert str(caught.value) == "it is too large"


def test_what_a_lenient_grammar_ignores() -> None:
    schema = {"type": "array", "uniqueItems": True}
    source = sources.from_json_schema(schema, lenient=True)
    assert takes(make_compiler().matcher(source), "[1, 1]")
    assert make_compiler().ignored(source) == ['Unimplemented keys: ["uniqueItems"]']
