"""Cria: local llama models behind the OpenAI API."""

__version__ = "0.1.0"
