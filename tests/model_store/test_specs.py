from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.errors import ModelFileError
from cria.model_store.specs import (
    HubSpec,
    OllamaSpec,
    UrlSpec,
    is_private_line,
    is_safe_path,
    parse,
    safe_part,
)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("hf:org/repo", HubSpec("org", "repo")),
        ("hf:org/repo:Q4_K_M", HubSpec("org", "repo", "Q4_K_M")),
        ("hf:org/re.po:sub/x.gguf", HubSpec("org", "re.po", "sub/x.gguf")),
        ("ollama:llama3", OllamaSpec("registry.ollama.ai", "library", "llama3", "latest")),
        ("ollama:me/x:7b", OllamaSpec("registry.ollama.ai", "me", "x", "7b")),
        ("ollama:h.io/me/x", OllamaSpec("h.io", "me", "x", "latest")),
        (
            f"https://example.org/a%20b.gguf?x=1#sha256={'A' * 64}",
            UrlSpec("https://example.org/a%20b.gguf?x=1", "example.org", "a b.gguf", "a" * 64),
        ),
        ("smollm2", None),
        ("some/path.gguf", None),
    ],
)
def test_what_they_mean(text: str, spec: object) -> None:
    assert parse(text) == spec


@pytest.mark.parametrize(
    "text",
    [
        *(
            "hf:org",
            "hf:/repo",
            "hf:a/b/c",
            "hf:../x",
            "hf:org/..",
            "hf:org/r:../x.gguf",
            "hf:a/b:/x",
        ),
        *("ollama:", "ollama:a/b/c/d", "ollama:../x", "ollama:x:../y", "ollama:.x"),
        *("https://h", "https://h/x", "https:///x.gguf", "https://h/x.gguf#y", "http://h:0/x.gguf"),
        *(
            "https://u:p@h/x.gguf",
            "https://h/..%2f.gguf",
            "https://h/.x.gguf",
            "https://h/a b.gguf",
        ),
        *("https://h:x/a.gguf", "https://h/x\n.gguf", "https://[/x.gguf"),
    ],
)
def test_what_makes_no_sense_is_a_sentence(text: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        parse(text)
    assert str(caught.value).isprintable() and "p@h" not in str(caught.value)


PARTS = st.text(st.sampled_from("ab./:\\~-%\n\0\u202e")) | st.text(max_size=9)


@given(st.sampled_from(["hf:", "ollama:", "https://", "http://", ""]), PARTS, PARTS)
def test_any_text_is_understood_or_refused(kind: str, one: str, other: str) -> None:
    try:
        spec = parse(f"{kind}{one}/{other}")
    except ModelFileError as error:
        assert str(error).isprintable()
        return
    if isinstance(spec, HubSpec):
        assert ".." not in (spec.org, spec.repo) and is_safe_path(spec.choice or "x")
    if isinstance(spec, UrlSpec):
        assert safe_part(spec.file_name)


@given(PARTS)
def test_safe_names_are_names_of_files_in_a_folder(name: str) -> None:
    if safe_part(name):
        assert "/" not in name and "\0" not in name and name not in (".", "..")


def test_who_can_listen() -> None:
    assert is_private_line("https://example.org/x") and is_private_line("http://127.0.0.1:1/x")
    assert is_private_line("http://localhost/x") and is_private_line("http://[::1]/x")
    assert not is_private_line("http://example.org/x")
