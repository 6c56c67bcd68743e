"""HTTP: routes, errors, keys, server-sent events, and the server process itself.

Knows `generation` and `api`, never the engine, llama.cpp or the protocol between the processes;
flask stays in here, gevent in `http`, `serve` and `worker` alone.
"""
