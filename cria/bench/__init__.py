"""Loads any server of the OpenAI API, and reports; knows nothing of how Cria serves."""
