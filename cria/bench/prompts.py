"""Prompts that no server has seen before, and the requests that carry them."""

from __future__ import annotations

import json
import random

from cria.bench.settings import Settings

# Short and common, so that nearly every word is one token of any vocabulary.
WORDS = (
    "the of and to in a is that for it as was with be by on not he his but at are this have from "
    "or had an they which one you were all her she there would their we him been has when who "
    "will no more if out so up said what its about than into them can only other time new some "
    "could these two may first then do any like my now over such our man me even most made after "
    "also did many off before must well back through years where much your way down should because"
).split()


def make_prompts(settings: Settings, count: int, key: str) -> list[str]:
    """Different prompts with one beginning; the same again only for the same seed and `key`."""
    rng = random.Random(f"{settings.seed}/{key}")
    shared = _text(rng, settings.shared_words)
    return [f"{shared} {_text(rng, settings.prompt_words)}".strip() for _ in range(count)]


def make_long_prompt(settings: Settings, key: str) -> str:
    return _text(random.Random(f"{settings.seed}/{key}/long"), settings.long_prompt)


def make_arrivals(count: int, rate: float, key: str) -> list[float]:
    """Seconds at which `count` requests arrive, `rate` a second on average (Poisson)."""
    rng, now, arrivals = random.Random(f"{key}/arrivals"), 0.0, []
    for _ in range(count):
        arrivals.append(now)
        now += rng.expovariate(rate)
    return arrivals


def make_body(settings: Settings, model: str, prompt: str, max_tokens: int) -> str:
    """A streamed completion as JSON text; without a seed, with which some servers are slower."""
    body = {
        "model": model,
        "prompt": prompt,
        "max_tokens": max_tokens,
        "temperature": settings.temperature,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if settings.ignore_eos:  # not of OpenAI: who does not know it may refuse it
        body["ignore_eos"] = True
    return json.dumps(body)


def _text(rng: random.Random, num_words: int) -> str:
    return " ".join(rng.choices(WORDS, k=num_words))
