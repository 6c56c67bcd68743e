"""Whose API a request speaks: OpenAI's, or Anthropic's, whose failures look different."""

from __future__ import annotations

from flask import Request

ANTHROPIC_PATHS = ("/messages", "/v1/messages")
VERSION = "anthropic-version"
"""A header that every client of Anthropic's sends."""


def speaks_anthropic(request: Request) -> bool:
    """By its path, or, on paths that both have, by its header."""
    return is_anthropic_path(request.path) or VERSION in request.headers


def is_anthropic_path(path: str) -> bool:
    """Whether the path is of the Messages API, or below."""
    return any(path == root or path.startswith(f"{root}/") for root in ANTHROPIC_PATHS)
