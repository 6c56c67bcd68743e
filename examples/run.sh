#!/bin/sh
# The server's own description of its models, and what a model has to say to it: a pipe.
url="${CRIA_URL:-http://127.0.0.1:3000}"
curl -sS --fail "$url/v1/models" -H "Authorization: Bearer ${CRIA_API_KEY:-none}" |
  "${PYTHON:-python3}" -m cria run --url "$url" --max-tokens 32 "Say in one sentence what this is:" |
  tr '[:lower:]' '[:upper:]'
