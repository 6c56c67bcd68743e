"""A server under load: asked what it serves, then measured."""

from __future__ import annotations

import http.client
import json
import time

import msgspec

from cria.bench import client
from cria.bench.connection import connect, path_of
from cria.bench.messages import Job, Outcome
from cria.bench.pool import WorkerPool, num_processes
from cria.bench.prompts import make_arrivals, make_body, make_long_prompt, make_prompts
from cria.bench.results import Run
from cria.bench.settings import Load, Settings
from cria.bench.statistics import summarize
from cria.client.address import headers_for
from cria.client.event_stream import error_message
from cria.errors import SetupError

ASK_SECONDS = 30.0
MAX_ANSWER_BYTES = 4 * 1024 * 1024
WARM_UP_TOKENS = 8


class Server:
    """One address, with the name that the report gives it."""

    def __init__(self, name: str, url: str, model: str, api_key: str | None) -> None:
        self.name = name
        self.url = url
        self.model = model
        self.headers = headers_for(api_key)

    def check(self, settings: Settings) -> None:
        """One short request; SetupError if it is not answered as a measurement needs it."""
        prompt = make_prompts(settings, 1, f"check/{self.name}")[0]
        body = make_body(settings, self.model, prompt, WARM_UP_TOKENS)
        job = Job(self.url, self.headers, [body], timeout=settings.timeout)
        trace = client.request(job, body, time.monotonic())
        if trace.error is not None:
            raise SetupError(f"{self.url} cannot be measured: {trace.error.rstrip('.')}.")

    def measure(
        self, pool: WorkerPool, settings: Settings, load: Load, round_number: int
    ) -> list[Run]:
        """One run, and with `repeat` another with the same prompts."""
        job = self._job(settings, load, f"{load.title}/{round_number}")
        runs = []
        for again in (False, True) if settings.repeat else (False,):
            outcome = pool.run(job, num_processes(load, settings.processes))
            runs.append(Run(self.name, again, round_number, summarize(outcome), outcome))
        return runs

    def warm_up(self, pool: WorkerPool, settings: Settings, load: Load) -> Outcome:
        """Short answers for as many clients, which count for nothing."""
        count = load.clients or 1
        short = min(WARM_UP_TOKENS, settings.max_tokens)
        settings = msgspec.structs.replace(
            settings, requests=count, max_tokens=short, long_prompt=0
        )
        load = Load(clients=count)
        job = self._job(settings, load, f"{load.title}/warm-up")
        return pool.run(job, num_processes(load, settings.processes))

    def _job(self, settings: Settings, load: Load, key: str) -> Job:
        count = load.num_requests(settings.requests)
        own = f"{key}/{self.name}"  # two names may be one server, which would know the prompts
        prompts = make_prompts(settings, count, own)
        bodies = [
            make_body(settings, self.model, prompt, settings.max_tokens) for prompt in prompts
        ]
        arrivals = make_arrivals(count, load.rate, f"{settings.seed}/{key}") if load.rate else None
        long_body = None
        if settings.long_prompt:
            long_body = make_body(settings, self.model, make_long_prompt(settings, own), 1)
        return Job(
            self.url, self.headers, bodies, load.clients, arrivals, long_body, settings.timeout
        )


def find_model(root: str, api_key: str | None) -> str:
    """The first model of the server's list; SetupError if it has none."""
    status, body = _ask(root, "/v1/models", api_key)
    reason = error_message(body).rstrip(".")
    if status in (401, 403):
        raise SetupError(f"{root} wants another API key ({status}: {reason}).")
    if status >= 500:
        raise SetupError(f"{root} is not ready ({status}: {reason}).")
    if status != 200:
        raise SetupError(
            f"{root} has no list of models ({status} for /v1/models): it is not an OpenAI "
            "server, or the model has to be named."
        )
    try:
        return str(json.loads(body)["data"][0]["id"])
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        raise SetupError(f"{root}/v1/models lists no model as an OpenAI server does.") from None


def _ask(root: str, path: str, api_key: str | None) -> tuple[int, bytes]:
    connection = connect(root, ASK_SECONDS)
    try:
        connection.request("GET", path_of(root, path), headers=headers_for(api_key))
        response = connection.getresponse()
        return response.status, response.read(MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise SetupError(f"{root} cannot be reached: {reason}.") from None
    finally:
        connection.close()
