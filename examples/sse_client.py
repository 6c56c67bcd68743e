"""A stream without the official client: sseclient-py splits it into events."""

import json
import os

import requests
import sseclient

response = requests.post(
    os.environ.get("CRIA_URL", "http://127.0.0.1:3000") + "/v1/completions",
    headers={"Authorization": "Bearer " + os.environ.get("CRIA_API_KEY", "none")},
    json={"model": "smollm2", "prompt": "Once upon a time", "max_tokens": 32, "stream": True},
    stream=True,
    timeout=60,
)
response.raise_for_status()

for event in sseclient.SSEClient(response).events():
    if event.data == "[DONE]":
        break
    print(json.loads(event.data)["choices"][0]["text"], end="", flush=True)
print()
