"""`cria run`: words, pipes, and a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import psutil
import pytest

from cria.cli.run import make_prompt, split_words
from cria.native.tiny_model import write_tiny_model
from tests.real_server import REPOSITORY, RealServer, wait_for

RUN = [sys.executable, "-m", "cria", "run"]


def run(*args: object, piped: str = "", **settings: Any) -> subprocess.CompletedProcess[str]:
    words = [*RUN, *map(str, args)]
    return subprocess.run(
        words, input=piped, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, **settings
    )


@pytest.mark.parametrize(
    ("words", "model", "url", "meant"),
    [
        (("m", "p"), None, None, ("m", "p")),
        (("m",), None, None, ("m", None)),
        ((), None, None, (None, None)),
        (("p",), None, "u", (None, "p")),
        (("m", "p"), None, "u", ("m", "p")),
        (("p",), "m", None, ("m", "p")),
        ((), "m", "u", ("m", None)),
    ],
)
def test_which_word_is_what(
    words: tuple[str, ...], model: str | None, url: str | None, meant: tuple[str, str]
) -> None:
    assert split_words(words, model, url) == meant


def test_too_many_words() -> None:
    with pytest.raises(click.UsageError, match="in quotes"):
        split_words(("m", "two", "words"), None, None)


@pytest.mark.parametrize(
    ("words", "piped", "prompt"),
    [("p", None, "p"), (None, "in\n", "in"), ("p", "in\n\n", "p\n\nin\n"), ("p", "", "p")],
)
def test_argument_and_pipe(words: str | None, piped: str | None, prompt: str) -> None:
    assert make_prompt(words, piped) == prompt


def test_no_prompt_is_a_mistake_of_use(tiny_gguf: Path) -> None:
    assert run(tiny_gguf).returncode == 2


def test_a_model_that_is_not_there_is_code_3() -> None:
    failed = run("/nowhere/m.gguf", "Hi")
    assert (failed.returncode, failed.stdout) == (3, "")
    assert failed.stderr.startswith("Error: ") and failed.stderr.count("\n") == 1


def test_nobody_there() -> None:
    failed = run("--url", "http://127.0.0.1:1", "Hi")
    assert failed.returncode == 1
    assert failed.stderr == "Error: http://127.0.0.1:1 cannot be reached: Connection refused.\n"


@pytest.mark.integration
class TestServers:
    def test_one_of_its_own(self, tiny_gguf: Path) -> None:
        done = run(tiny_gguf, "Hi", "--max-tokens", 8, "--seed", 1, "--json", "--system", "Short.")
        assert done.returncode == 0, done.stderr
        made = json.loads(done.stdout)
        assert made["model"] == "tiny" and made["text"] and done.stdout.count("\n") == 1
        assert made["usage"]["completion_tokens"] <= 8
        assert made["finish_reason"] in ("stop", "length")

    def test_a_running_one(self, tiny_server: RealServer) -> None:
        words = ("--url", tiny_server.url, "--seed", "1", "--max-tokens", "6")
        argument = run(*words, "Hi")
        assert argument.returncode == 0 and argument.stdout.endswith("\n")
        assert run(*words, piped="Hi\n").stdout == argument.stdout
        assert run(*words, "tiny", "Hi").stdout == argument.stdout
        by_variable = run(*words[2:], "Hi", env={**os.environ, "CRIA_URL": tiny_server.url})
        assert by_variable.stdout == argument.stdout
        raw = run(*words, "--raw", "Hi", "--json")
        assert json.loads(raw.stdout)["usage"]["prompt_tokens"] < 6

    def test_a_shape_for_the_answer(self, tiny_server: RealServer, tmp_path: Path) -> None:
        (tmp_path / "s.json").write_text('{"type": "boolean"}')
        (tmp_path / "g").write_text('root ::= "yes" | "no"')
        words = ("--url", tiny_server.url, "Hi")
        schema = run(*words, "--json-schema", tmp_path / "s.json")
        assert schema.stdout.strip() in ("true", "false"), schema.stderr
        assert run(*words, "--grammar", tmp_path / "g").stdout in ("yes\n", "no\n")

    def test_a_name_that_it_does_not_know(self, tiny_server: RealServer) -> None:
        failed = run("--url", tiny_server.url, "other", "Hi")
        assert failed.returncode == 1 and "`other` does not exist" in failed.stderr

    def test_a_model_without_a_chat_template(self, tmp_path: Path) -> None:
        write_tiny_model(tmp_path / "plain.gguf")
        words = ("--max-tokens", 4, "--seed", 1, "--json")
        done = run(tmp_path / "plain.gguf", "Hi", *words)
        assert done.returncode == 0 and "goes on with the prompt" in done.stderr
        raw = run(tmp_path / "plain.gguf", "Hi", *words, "--raw")
        assert json.loads(raw.stdout) == json.loads(done.stdout)
        failed = run(tmp_path / "plain.gguf", "Hi", *words, "--system", "Short.")
        assert failed.returncode == 1 and "which --system needs" in failed.stderr

    def test_settings_of_other_servers(self, tiny_gguf: Path) -> None:
        other = {
            "CRIA_API_KEY": "a,b",
            "CRIA_PORT": "1",
            "CRIA_HOST": "0.0.0.0",
            "CRIA_WORKERS": "2",
        }
        done = run(tiny_gguf, "Hi", "--max-tokens", 4, env={**os.environ, **other})
        assert (done.returncode, bool(done.stdout.strip())) == (0, True), done.stderr

    def test_nobody_reads(self, tiny_gguf: Path, tmp_path: Path) -> None:
        (tmp_path / "g").write_text("root ::= [a-z]{1500}")
        words = [*RUN, str(tiny_gguf), "Hi", "--grammar", str(tmp_path / "g")]
        with subprocess.Popen(
            words,
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None and process.stderr is not None
            assert process.stdout.read(1)
            process.stdout.close()
            assert process.wait(20) == 141
            assert process.stderr.read() == b""

    def test_ctrl_c_leaves_nothing(self, tiny_gguf: Path) -> None:
        words = [*RUN, str(tiny_gguf), "Hi", "--max-tokens", "1900"]
        with subprocess.Popen(
            words, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        ) as process:
            me = psutil.Process(process.pid)
            tree = wait_for(lambda: me.children(recursive=True), bool, "a server")
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130
        assert not psutil.wait_procs(tree, timeout=20)[1]
