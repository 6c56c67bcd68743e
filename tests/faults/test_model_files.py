"""Model files that are damaged, or made to harm: their load fails, and nothing else does."""

from __future__ import annotations

import json
import os
import random
import re
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cria.errors import ModelFileError
from cria.model_file import check_model_file
from cria.native.tiny_model import write_tiny_model
from tests.faults.crafted_gguf import KILLERS, OTHERS, VOCABULARY_KILLERS, write_crafted
from tests.model_file.building import gguf
from tests.real_server import PATIENCE_SECONDS, REPOSITORY

pytestmark = pytest.mark.hostile

SERVED = {
    "epsilon 0",
    "10 MB chat template",
    "hostile chat template",
    "odd name",
}
"""What is strange, but works."""
NUM_MUTANTS = 60
UNCHECKED = Path(__file__).parent / "unchecked"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


def refusal(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        check_model_file(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def load(*paths: Path) -> list[str]:
    """What came of each file, in a process that may die of one; empty if all went well."""
    command = [sys.executable, "-m", "tests.faults.load_model", *map(str, paths)]
    done = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"{paths[len(outcomes)]} killed the process: {done.stderr[-500:]}"
    return outcomes


def serve(path: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cria", "serve", str(path), "--port", "0", *options],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


@pytest.mark.parametrize("name", [*KILLERS, *VOCABULARY_KILLERS])
def test_what_would_kill_the_process_is_refused_before(path: Path, name: str) -> None:
    write_crafted(path, {**KILLERS, **VOCABULARY_KILLERS}[name])
    assert str(path) in refusal(path)


@pytest.mark.integration
def test_what_is_wrong_otherwise_is_a_sentence_or_serves(tmp_path: Path) -> None:
    paths = {name: tmp_path / f"{number}.gguf" for number, name in enumerate(OTHERS)}
    for name, path in paths.items():
        write_crafted(path, OTHERS[name])
    for name, outcome in zip(OTHERS, load(*paths.values()), strict=True):
        assert (outcome == "") == (name in SERVED), f"{name}: {outcome}"
        assert len(outcome) < 1000 and "\n" not in outcome


@pytest.mark.integration
@pytest.mark.parametrize("name", ["epsilon NaN", "a tensor is missing"])
def test_the_server_says_so_and_ends(path: Path, name: str) -> None:
    write_crafted(path, {**KILLERS, **OTHERS}[name])
    began = time.monotonic()
    done = serve(path)
    assert done.returncode == 3 and time.monotonic() - began < 10
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("Error: "))
    assert str(path) in line and "Traceback" not in done.stderr


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.parametrize("name", KILLERS)
def test_the_engine_dies_of_what_the_check_does_not_know(path: Path, name: str) -> None:
    """`unchecked/sitecustomize.py` takes the rules away, in the server and in the engine."""
    write_crafted(path, KILLERS[name])
    began = time.monotonic()
    done = serve(path, PYTHONPATH=f"{UNCHECKED}{os.pathsep}{REPOSITORY}")
    assert done.returncode == 3 and time.monotonic() - began < 10
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("Error: "))
    assert re.search("The engine process was ended by SIG(ABRT|SEGV) while it loaded", line)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is not a GGUF file"),
        *((bytes(size), "is not a GGUF file") for size in (1, 4, 64)),
        *((gguf()[:size], "ends within") for size in (4, 8, 23)),
        (gguf(version=1), "version 1"),
        (gguf(version=3 << 24), "big-endian"),
        (gguf(counts=(0, 10**6)), "more than"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**30) + bytes(64), "a key has 1073741824 bytes"),
        (gguf([("a", b"")] * 2), "twice"),
        (gguf({f"key{number}": 1 for number in range(100)})[:-500], "more than|ends within"),
    ],
)
def test_headers_that_lie(path: Path, data: bytes, words: str) -> None:
    path.write_bytes(data)
    assert pytest.approx(0, abs=2) == _seconds(lambda: refusal(path))
    with pytest.raises(ModelFileError, match=words):
        check_model_file(path)


def test_a_million_keys(path: Path) -> None:
    path.write_bytes(gguf((f"{number}", True) for number in range(10**6)))
    assert _seconds(lambda: refusal(path)) < 10


def test_what_is_no_regular_file(tmp_path: Path, path: Path) -> None:
    os.mkfifo(path)
    assert "not a regular file" in refusal(path)  # and does not wait for a writer
    assert "not a regular file" in refusal(Path("/dev/zero"))
    assert "folder" in refusal(tmp_path)
    loop = tmp_path / "loop.gguf"
    loop.symlink_to(loop)
    assert "symbolic links" in refusal(loop)


@pytest.mark.integration
def test_downloads_that_ended_early(tmp_path: Path, path: Path) -> None:
    write_tiny_model(path)
    data = path.read_bytes()
    chance = random.Random(1)
    for size in [len(data) - 40, len(data) // 2, *(chance.randrange(len(data)) for _ in range(20))]:
        path.write_bytes(data[:size])
        assert "missing at its end" in refusal(path) or "header" in refusal(path) or size < 4096
    path.write_bytes(data + b"junk behind the end")
    assert load(path) == [""]


@pytest.mark.integration
def test_a_split_name_does_not_lead_elsewhere(tmp_path: Path) -> None:
    inside = tmp_path / "models"
    inside.mkdir()
    path = inside / "..-00001-of-00002.gguf"
    write_tiny_model(path)
    assert "missing" in refusal(path) and "..-00002-of-00002.gguf" in refusal(path)


@pytest.mark.integration
def test_names_are_shown_without_what_a_terminal_acts_on(tmp_path: Path) -> None:
    path = tmp_path / "a\r\n\x1b[31mb\u202e.gguf"
    path.write_bytes(b"GGUF")
    done = serve(path)
    assert done.returncode == 3
    assert r"a\r\n\x1b[31mb\u202e.gguf" in done.stderr and "\x1b" not in done.stderr


@pytest.mark.integration
@pytest.mark.slow
def test_random_damage_to_the_header_kills_nothing(tmp_path: Path) -> None:
    base = tmp_path / "base.gguf"
    write_tiny_model(base, context_length=64)
    passed = [path for path in mutants(base) if passes(path)]
    assert NUM_MUTANTS // 10 < len(passed) < NUM_MUTANTS
    load(*passed)


def mutants(base: Path) -> list[Path]:
    """Models with some bytes of their headers changed."""
    data, chance, paths = base.read_bytes(), random.Random(2), []
    header = check_model_file(base).data_start
    for number in range(NUM_MUTANTS):
        damaged = bytearray(data)
        for _ in range(chance.choice([1, 1, 2, 4])):
            damaged[chance.randrange(24, header)] = chance.choice([0, 1, 127, 255, 128])
        paths.append(base.with_name(f"{number}.gguf"))
        paths[-1].write_bytes(damaged)
    return paths


def passes(path: Path) -> bool:
    try:
        check_model_file(path)
    except ModelFileError:
        return False
    return True


def _seconds(call: object) -> float:
    began = time.monotonic()
    assert callable(call)
    call()
    return time.monotonic() - began
