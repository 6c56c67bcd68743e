#!/bin/sh
# The same, each token as it is made: -N stops curl from holding lines back.
curl -sSN --fail "${CRIA_URL:-http://127.0.0.1:3000}/v1/completions" \
  -H "Authorization: Bearer ${CRIA_API_KEY:-none}" \
  -H "Content-Type: application/json" \
  -d '{"model": "smollm2", "prompt": "The capital of France is", "max_tokens": 16, "stream": true}'
