"""`cria serve`: every option reaches its setting, from the command line and the environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from cria.access_key import hashed
from cria.config import EngineConfig, ServerConfig
from cria.errors import ModelFileError
from tests.cli.conftest import RecordingServer

Run = Callable[..., Result]
Settings = Callable[..., dict[str, Any]]

OPTIONS = [
    ("--host", "::1", "host", "::1"),
    ("--port", "1234", "port", 1234),
    ("--api-key", "k1", "keys", (hashed("k1"),)),
    ("--api-key-file", "a/file", "key_file", "a/file"),
    ("--allowed-host", "example.com", "allowed_hosts", ("example.com",)),
    ("--cors-origin", "https://x.org", "cors_origins", ("https://x.org",)),
    ("--tls-cert", "c.pem", "tls_cert", "c.pem"),
    ("--tls-key", "k.pem", "tls_key", "k.pem"),
    ("--alias", "gpt-4", "aliases", ("gpt-4",)),
    ("--workers", "3", "num_workers", 3),
    ("--log-level", "DEBUG", "log_level", "debug"),
    ("--context-size", "512", "context_size", 512),
    ("--parallel", "3", "num_slots", 3),
    ("--threads", "2", "num_threads", 2),
    ("--batch-size", "256", "batch_size", 256),
    ("--ubatch-size", "64", "ubatch_size", 64),
    ("--gpu-layers", "32", "num_gpu_layers", 32),
    ("--gpu-layers", "all", "num_gpu_layers", -1),
    ("--gpu-layers", "-1", "num_gpu_layers", -1),
    ("--gpu-layers", "auto", "num_gpu_layers", None),
    ("--gpu-layers", "0", "num_gpu_layers", 0),
    ("--main-gpu", "1", "main_gpu", 1),
    ("--split-mode", "row", "split_mode", "row"),
    ("--tensor-split", "3,1", "tensor_split", (3.0, 1.0)),
    ("--flash-attn", "off", "flash_attention", "off"),
    ("--kv", "streams", "kv_layout", "streams"),
    ("--pooling", "last", "pooling", "last"),
    ("--chat-template", "chat.jinja", "chat_template", "the template in chat.jinja"),
    ("--response-store", "a/file", "response_store", "a/file"),
    ("--response-store", "none", "response_store", None),
    ("--response-store-days", "0.5", "response_store_days", 0.5),
    ("--response-store-mb", "1", "response_store_mb", 1.0),
    ("--cache-type-k", "q8_0", "cache_type_k", "q8_0"),
    ("--cache-type-v", "bf16", "cache_type_v", "bf16"),
]


@pytest.mark.parametrize(("option", "value", "name", "expected"), OPTIONS)
def test_an_option_sets_its_field(
    settings: Settings, option: str, value: str, name: str, expected: Any
) -> None:
    assert settings(option, value)[name] == expected


@pytest.mark.parametrize(("option", "value", "name", "expected"), OPTIONS)
def test_its_variable_does_the_same(
    settings: Settings, option: str, value: str, name: str, expected: Any
) -> None:
    variable = "CRIA_" + option[2:].upper().replace("-", "_")
    assert settings(**{variable: value})[name] == expected


def test_the_command_line_wins(run: Run, server: RecordingServer, model: str) -> None:
    run("serve", model, "--port", "1", CRIA_PORT="2", CRIA_HOST="::1")
    assert (server.config.port, server.config.host) == (1, "::1")


def test_without_options_the_settings_are_the_defaults(
    run: Run, server: RecordingServer, model: str
) -> None:
    run("serve", model)
    assert server.config == ServerConfig()
    assert server.engine_config == EngineConfig(model)


@pytest.mark.parametrize(
    ("args", "environment", "name", "expected"),
    [
        (["--strict"], {}, "strict", True),
        (["--no-auth"], {}, "no_auth", True),
        (["--ignore-built-in-tools"], {}, "ignore_built_in_tools", True),
        ([], {"CRIA_STRICT": "1"}, "strict", True),
        (["--no-mmap"], {}, "use_mmap", False),
        ([], {"CRIA_MMAP": "0"}, "use_mmap", False),
        ([], {"CRIA_PREFER_MMAP": "false"}, "use_mmap", False),
        (["-m"], {"CRIA_MMAP": "0"}, "use_mmap", True),
        (["--api-key", "a", "--api-key", "b"], {}, "keys", (hashed("a"), hashed("b"))),
        ([], {"CRIA_API_KEY": "a, b"}, "keys", (hashed("a"), hashed("b"))),
        ([], {"CRIA_API_KEY": ""}, "keys", ()),
    ],
)
def test_switches_and_lists(
    settings: Settings, args: list[str], environment: dict[str, str], name: str, expected: Any
) -> None:
    assert settings(*args, **environment)[name] == expected


@pytest.mark.parametrize(
    ("args", "layers", "required"),
    [
        ([], None, False),
        (["--use-gpu"], -1, True),
        (["--use-gpu", "--gpu-layers", "32"], 32, True),
        (["-g", "32"], 32, True),
        (["-g", "auto"], None, False),
        (["--no-use-gpu"], 0, False),
        (["--no-use-gpu", "-g", "0"], 0, False),
    ],
)
def test_what_is_asked_of_the_gpu(
    settings: Settings, args: list[str], layers: int | None, required: bool
) -> None:
    made = settings(*args)
    assert (made["num_gpu_layers"], made["require_gpu"]) == (layers, required)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--port", "70000"], "70000 is not in the range 0<=x<=65535"),
        (["--port", "http"], "'http' is not a valid integer range"),
        (["--context-size", "0"], "0 is not in the range"),
        (["--parallel", "0"], "0 is not in the range"),
        (["--workers", "0"], "0 is not in the range 1<=x<=64"),
        (["--threads", "-1"], "-1 is not in the range"),
        (["--tensor-split", "a,b"], "'a,b' is not a list of numbers"),
        (["--tensor-split", "0,0"], "at least one above 0"),
        (["--tensor-split", "1,-1"], "at least one above 0"),
        (["--tensor-split", "1,nan"], "at least one above 0"),
        (["--gpu-layers", "many"], "neither a number of layers nor 'all' nor 'auto'"),
        (["--gpu-layers", "-2"], "neither a number of layers"),
        (["--cache-type-k", "q3"], "'q3' is not one of"),
        (["--api-key", "with space"], "visible ASCII"),
        (["--api-key", ""], "visible ASCII"),
        (["--allowed-host", "a.org:80"], "without a port"),
        (["--cors-origin", "https://a.org/"], "without a path"),
        (["--no-use-gpu", "-g", "3"], "contradict"),
        (["--kv", "streams", "--cache-size", "100"], "--cache-size is for one pool"),
        (["--context-size", "1"], "2<=x"),
        (["--batch-size", "8", "--ubatch-size", "16"], "larger than --batch-size 8"),
        (["--model", "other"], "Give the model once"),
        (["--frobnicate"], "No such option"),
    ],
)
def test_nonsense_is_one_sentence(
    run: Run, server: RecordingServer, model: str, args: list[str], words: str
) -> None:
    result = run("serve", model, *args)
    assert result.exit_code == 2
    assert words in result.output
    assert server.calls == []


def test_a_refused_key_is_not_shown(run: Run, model: str) -> None:
    assert "se cret" not in run("serve", model, "--api-key", "se cret").output


def test_the_address_is_taken_before_the_model_is_looked_at(
    run: Run, server: RecordingServer
) -> None:
    result = run("serve", "/no/such/model.gguf", "--port", "5")
    assert isinstance(result.exception, ModelFileError)
    assert server.calls == ["prepare", "check_access", "bind 127.0.0.1 5", "check_setup"]


def test_the_template_is_read_before_a_model_is_fetched(run: Run, server: RecordingServer) -> None:
    run("serve", "/no/such/model.gguf", "--chat-template", "chat.jinja")
    assert server.calls[3:] == ["check_setup", "read_template"]


@pytest.mark.parametrize("variable", ["CRIA_MODEL", "CRIA_MODEL_PATH"])
def test_the_model_may_come_from_the_environment(
    run: Run, server: RecordingServer, model: str, variable: str
) -> None:
    run("serve", **{variable: model})
    assert server.engine_config.model_path == model


def test_the_argument_wins_over_the_environment(
    run: Run, server: RecordingServer, model: str
) -> None:
    run("serve", model, CRIA_MODEL="other")
    assert server.engine_config.model_path == model


def test_the_known_name_is_a_name_of_the_model(
    run: Run, server: RecordingServer, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cria.cli.serve.resolve", lambda spec, report, legacy: model)
    run("serve")
    assert server.config.aliases == ("smollm2",)
    run("serve", "smollm2", "--alias", "a")
    assert server.config.aliases == ("a", "smollm2")


def test_every_option_is_explained(run: Run) -> None:
    text = run("serve", "--help").output
    for option, *_ in OPTIONS:
        assert option in text
        assert "CRIA_" + option[2:].upper().replace("-", "_") in text


@pytest.mark.parametrize(
    "option", ["--max-stall-ms", "--response-store-days", "--response-store-mb"]
)
def test_no_number_is_in_no_range(run: Run, model: str, option: str) -> None:
    result = run("serve", model, option, "nan")
    assert result.exit_code == 2
    assert f"Invalid value for '{option}'" in result.output
    assert "'nan' is not a number." in result.output


def test_keys_of_the_environment_do_not_reach_child_processes(
    run: Run, server: RecordingServer, model: str
) -> None:
    run("serve", model, CRIA_API_KEY="secret", CRIA_PORT="1")
    assert server.config.keys == (hashed("secret"),)
    assert "secret" not in server.environment.values() and "CRIA_PORT" in server.environment
