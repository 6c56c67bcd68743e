"""Asks a server of the OpenAI API, whichever it is; starts one of our own if need be."""
