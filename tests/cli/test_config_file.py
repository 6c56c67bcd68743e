"""What a configuration file says, and which mistakes it may have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cria.cli.config_file import ABOUT_MODEL, ConfigFile, named_options, read_config
from cria.cli.serve import command
from cria.config import ModelSettings
from cria.errors import SetupError

EXAMPLE = Path(__file__).parents[2] / "examples" / "cria.toml"


def read(folder: Path, text: str) -> ConfigFile:
    path = folder / "cria.toml"
    path.write_text(text)
    return read_config(path, click.Context(command))


def test_options_by_their_names(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
        [server]
        port = 1
        mmap = false
        strict = true
        allowed-host = ["a", "b"]
        cors-origin = "https://x.org"
        api-key-file = "keys"
        response-store = "none"
        control-vector-layer-range = [1, 2]
        """,
    )
    assert found.server == {
        "port": "1",
        "use_mmap": False,
        "strict": True,
        "allowed_hosts": ["a", "b"],
        "cors_origins": ["https://x.org"],
        "key_file": str(tmp_path / "keys"),
        "response_store": "none",
        "control_vector_layers": ["1", "2"],
    }
    assert found.models == {} and found.settings == ModelSettings()


def test_models_and_their_settings(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").touch()
    found = read(
        tmp_path,
        """
        system-prompt = "Be brief."
        defaults = {temperature = 0.5, top_p = 0.9}
        limits = {max-tokens = 9, max-choices = 2}
        [models.a]
        model = "a.gguf"
        aliases = ["b"]
        pinned = true
        parallel = 3
        keep-alive = "5m"
        forced = {seed = 1}
        defaults = {temperature = 0}
        limits = {max-tokens = 5}
        [models.c]
        model = "smollm2"
        system-prompt = ""
        """,
    )
    a, c = found.models["a"], found.models["c"]
    assert (a.spec, c.spec) == (str(tmp_path / "a.gguf"), "smollm2")
    assert (a.aliases, a.pinned) == (("b",), True)
    assert a.values == {"num_slots": "3", "keep_alive": "5m"}
    assert a.settings == ModelSettings(
        "Be brief.", {"temperature": 0, "top_p": 0.9}, {"seed": 1}, 5, None, 2
    )
    assert c.settings.system_prompt is None and c.settings.max_tokens == 9


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[sever]", ["sever", "did you mean server"]),
        ("[server]\nprot = 1", ["[server] prot", "did you mean port"]),
        ("[server]\nport = 99999", ["[server] port", "99999"]),
        ("[server]\nport = true", ["[server] port", "true or false"]),
        ("[server]\nstrict = 1", ["[server] strict", "true or false"]),
        ("[server]\nconfig = 'x'", ["[server] config"]),
        ("[server]\nmodel = 'x'", ["[server] model"]),
        ("[server]\nallowed-host = [[1]]", ["allowed-host", "an array"]),
        ("[server]\nkv = 'odd'", ["[server] kv", "odd"]),
        ("[server]\nkeep-alive = 'soon'", ["[server] keep-alive", "soon"]),
        ("server = 1", ["server", "a table"]),
        ("[models.a]", ["[models.a] model"]),
        ("[models.a]\nmodel = 3", ["[models.a] model", "a text"]),
        ("[models.a]\nmodel = 'x'\nport = 3", ["[models.a] port", "[server]"]),
        ("[models.a]\nmodel = 'x'\nparalel = 3", ["[models.a] paralel", "did you mean parallel"]),
        ("[models.a]\nmodel = 'x'\npinned = 3", ["[models.a] pinned"]),
        ("[models.a]\nmodel = 'x'\nlimits = {max = 3}", ["[models.a.limits] max"]),
        ("[models.a]\nmodel = 'x'\nlimits = {max-tokens = 0}", ["[models.a.limits] max-tokens"]),
        ("models = [1]", ["models", "a table"]),
    ],
)
def test_mistakes_name_table_and_key(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(SetupError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'cria.toml'}: ")
    for word in words:
        assert word in str(caught.value)


def test_every_option_has_one_name_that_is_its_own() -> None:
    names = named_options(command.params)
    assert {"port", "lora", "lora-adapters", "mmap", "max-loaded-models"} <= names.keys()
    assert not {"no-mmap", "config", "model", "help"} & names.keys()
    assert not names.keys() & set(ABOUT_MODEL)


def test_the_example_says_what_it_should() -> None:
    found = read_config(EXAMPLE, click.Context(command))
    assert len(found.models) >= 2 and any(table.pinned for table in found.models.values())


KEYS = st.sampled_from(["server", "models", "defaults", "limits", "port", "model", "a", "pinned"])
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
TREES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3)
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(KEYS, TREES, max_size=4))
def test_any_tree_is_a_configuration_or_a_sentence(tmp_path: Path, tree: dict[str, Any]) -> None:
    try:
        read(tmp_path, "\n".join(f"{key} = {_toml(value)}" for key, value in tree.items()))
    except SetupError as error:
        assert str(tmp_path) in str(error)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return "0" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
