"""Measure a running build side by side with its limits; prints ratios, asserts nothing.

    python -m tests.measure MODEL.gguf [--tokens 128] [--rounds 5]

1. One streamed completion over HTTP against a bare `llama_decode` loop of the same build with the
   same number of threads, in turns.
2. Eight streamed completions at once against the same eight one after another, in turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

PROMPT = "The history of the city begins with a river and a bridge. "
NUM_CLIENTS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with running_server(options.model) as url:
        one_stream(url, options)
        eight_streams(url, options)


def one_stream(url: str, options: argparse.Namespace) -> None:
    """HTTP against the bare loop."""
    raw, http = [], []
    with raw_loop(options.model) as measure_raw:
        stream(url, PROMPT, options.tokens)
        for _ in range(options.rounds):
            raw.append(measure_raw(options.tokens))
            http.append(stream(url, PROMPT, options.tokens))
    ratios = [h / r for r, h in zip(raw, http, strict=True)]
    print(
        f"one stream, {options.tokens} tokens: "
        f"llama_decode loop {statistics.median(raw):.1f} tok/s,"
        f" over HTTP {statistics.median(http):.1f} tok/s, ratio {statistics.median(ratios):.3f}"
        f" (min {min(ratios):.3f}, max {max(ratios):.3f})"
    )


def eight_streams(url: str, options: argparse.Namespace) -> None:
    """Together against one after another."""
    ratios = []
    for _ in range(options.rounds):
        before = engine_counters(url)
        together = at_once(url, options.tokens)
        after = engine_counters(url)
        alone = one_by_one(url, options.tokens)
        ratios.append(together / alone)
        decoded = after["decode_tokens_total"] - before["decode_tokens_total"]
        steps = after["decode_steps_total"] - before["decode_steps_total"]
        print(
            f"{NUM_CLIENTS} streams: together {together:.2f} s, one by one {alone:.2f} s,"
            f" ratio {together / alone:.3f}, {decoded / steps:.2f} decode tokens per step"
        )
    print(f"{NUM_CLIENTS} streams: median ratio {statistics.median(ratios):.3f}")


def stream(url: str, prompt: str, num_tokens: int) -> float:
    """Tokens per second of one stream, from its first token to its last."""
    body = {
        "model": "measured",
        "prompt": prompt,
        "max_tokens": num_tokens,
        "temperature": 0,
        "stream": True,
        "ignore_eos": True,
    }
    request = urllib.request.Request(url + "/v1/completions", json.dumps(body).encode())
    arrivals = []
    with urllib.request.urlopen(request) as response:
        for line in response:
            if line.startswith(b"data: {") and b'"text":""' not in line:
                arrivals.append(time.perf_counter())
    return (num_tokens - 1) / (arrivals[-1] - arrivals[0])


def at_once(url: str, num_tokens: int) -> float:
    """Seconds for all clients together."""
    threads = [
        threading.Thread(target=stream, args=(url, f"{i} {PROMPT}", num_tokens))
        for i in range(NUM_CLIENTS)
    ]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - start


def one_by_one(url: str, num_tokens: int) -> float:
    start = time.perf_counter()
    for i in range(NUM_CLIENTS):
        stream(url, f"{i} {PROMPT}", num_tokens)
    return time.perf_counter() - start


def engine_counters(url: str) -> dict[str, int]:
    with urllib.request.urlopen(url + "/health") as response:
        counters: dict[str, int] = json.load(response)["engine"]
    return counters


@contextmanager
def running_server(model: str) -> Iterator[str]:
    """`cria serve` on a free port; its URL."""
    command = [sys.executable, "-m", "cria", "serve", model, "--port", "0", "--alias", "measured"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        first = next(line for line in process.stdout if "http://" in line)
        print(first.strip())
        yield next(w for w in first.split() if w.startswith("http://")).removesuffix("/v1")
    finally:
        process.terminate()
        process.wait()


@contextmanager
def raw_loop(model: str):  # type: ignore[no-untyped-def]
    """A process that decodes greedily without a server; calls of the result measure it."""
    process = subprocess.Popen(
        [sys.executable, "-c", RAW_LOOP, model, PROMPT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def measure(num_tokens: int) -> float:
        stdin.write(f"{num_tokens}\n")
        stdin.flush()
        return float(stdout.readline())

    try:
        yield measure
    finally:
        stdin.close()
        process.wait()


RAW_LOOP = """
import sys, time
from cria.native import devices, library
from cria.native.batch import Batch
from cria.native.context import Context, ContextOptions
from cria.native.model import Model, ModelOptions
model = Model(library.load(), sys.argv[1], ModelOptions(num_gpu_layers=-1))
prompt = model.vocab.tokenize(sys.argv[2].encode(), add_special=True, parse_special=True)
context = Context(model, ContextOptions(4096, 1, 512, 512, devices.num_cores()))
batch = Batch(512)
for line in sys.stdin:
    context.clear()
    batch.clear()
    batch.append(prompt, 0, 0, True)
    context.decode(batch)
    token, start = int(context.logits(1)[0].argmax()), time.perf_counter()
    for position in range(len(prompt), len(prompt) + int(line) - 1):
        batch.clear()
        batch.append([token], position, 0, True)
        context.decode(batch)
        token = int(context.logits(1)[0].argmax())
    print((int(line) - 1) / (time.perf_counter() - start), flush=True)
"""

if __name__ == "__main__":
    main()
