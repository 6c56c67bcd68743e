"""Which models a command line and a file mean together, and with which options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from cria.access_key import hashed
from tests.cli.conftest import GGUF_HEADER, RecordingServer

Run = Callable[..., Result]


@pytest.fixture
def file(tmp_path: Path) -> str:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.gguf").write_bytes(GGUF_HEADER)
    (tmp_path / "chat.jinja").touch()
    path = tmp_path / "cria.toml"
    path.write_text(
        """
        defaults = {temperature = 0.5}
        [server]
        port = 5
        parallel = 4
        context-size = 100
        api-key = ["secret"]
        [models.small]
        model = "a.gguf"
        aliases = ["other"]
        pinned = true
        context-size = 200
        chat-template = "chat.jinja"
        max-queue = 7
        [models.large]
        model = "b.gguf"
        keep-alive = 9
        """
    )
    return str(path)


def test_all_models_of_a_file(run: Run, server: RecordingServer, file: str, tmp_path: Path) -> None:
    assert run("serve", "--config", file).exit_code == 0
    small, large = server.entries
    assert server.config.port == 5 and server.config.keys == (hashed("secret"),)
    assert small.engine.model_path == str(tmp_path / "a.gguf")
    assert small.server.aliases == ("small", "other") and large.server.aliases == ("large",)
    assert (small.pinned, large.pinned, large.keep_alive) == (True, False, 9.0)
    assert (small.engine.context_size, large.engine.context_size) == (200, 100)
    assert small.engine.num_slots == large.engine.num_slots == 4
    assert small.server.chat_template == f"the template in {tmp_path / 'chat.jinja'}"
    assert (small.server.max_queue, large.server.max_queue) == (7, None)
    assert small.server.settings.defaults == {"temperature": 0.5}


def test_command_line_and_environment_win(run: Run, server: RecordingServer, file: str) -> None:
    run("serve", "--config", file, "-c", "300", CRIA_PORT="6", CRIA_PARALLEL="2")
    assert server.config.port == 6
    assert {entry.engine.context_size for entry in server.entries} == {300}
    assert {entry.engine.num_slots for entry in server.entries} == {2}


def test_the_variable_names_the_file(run: Run, server: RecordingServer, file: str) -> None:
    run("serve", CRIA_CONFIG=file)
    assert len(server.entries) == 2


def test_some_of_its_models_and_others(
    run: Run, server: RecordingServer, file: str, tmp_path: Path
) -> None:
    run("serve", "large", str(tmp_path / "c.gguf"), "--config", file)
    large, plain = server.entries
    assert large.server.aliases == ("large",) and plain.server.aliases == ()
    assert plain.engine.context_size == 100 and plain.server.settings.defaults


def test_one_model_of_it(run: Run, server: RecordingServer, file: str) -> None:
    run("serve", "small", "--config", file, "--alias", "mine")
    (entry,) = server.entries
    assert entry.server.aliases == server.config.aliases == ("mine", "small", "other")


def test_several_models_without_a_file(
    run: Run, server: RecordingServer, file: str, tmp_path: Path
) -> None:
    paths = [str(tmp_path / f"{name}.gguf") for name in "abc"]
    run("serve", *paths)
    assert [entry.engine.model_path for entry in server.entries] == paths
    refused = run("serve", *paths, "--alias", "x")
    assert refused.exit_code == 2 and "--alias names one model" in refused.output


def test_a_field_that_cannot_be_set_stops_the_start(
    run: Run, server: RecordingServer, file: str
) -> None:
    text = Path(file).read_text().replace("temperature = 0.5", "temperatur = 1")
    Path(file).write_text(text)
    error = run("serve", "--config", file).exception
    assert "[models.small] defaults: temperatur" in str(error) and "serve" not in server.calls


def test_options_of_one_model_are_checked_together(
    run: Run, server: RecordingServer, file: str
) -> None:
    Path(file).write_text(Path(file).read_text() + "batch-size = 10\nubatch-size = 20\n")
    assert "--ubatch-size 20 is larger" in run("serve", "--config", file).output
