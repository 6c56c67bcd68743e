"""A stream by hand: one event is a line that begins with `data: `, and an empty line."""

import json
import os

import urllib3

response = urllib3.request(
    "POST",
    os.environ.get("CRIA_URL", "http://127.0.0.1:3000") + "/v1/completions",
    headers={"Authorization": "Bearer " + os.environ.get("CRIA_API_KEY", "none")},
    json={"model": "smollm2", "prompt": "Once upon a time", "max_tokens": 32, "stream": True},
    preload_content=False,
)
if response.status != 200:
    raise SystemExit(response.data.decode())

rest = b""
for block in response.stream():
    *events, rest = (rest + block).split(b"\n\n")
    for event in events:
        # Lines that begin with a colon are comments: they keep the connection awake.
        if event.startswith(b"data: ") and event != b"data: [DONE]":
            print(json.loads(event[6:])["choices"][0]["text"], end="", flush=True)
print()
