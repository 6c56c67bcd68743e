#!/bin/sh
# Text that goes on from a prompt.
curl -sS --fail "${CRIA_URL:-http://127.0.0.1:3000}/v1/completions" \
  -H "Authorization: Bearer ${CRIA_API_KEY:-none}" \
  -H "Content-Type: application/json" \
  -d '{"model": "smollm2", "prompt": "The capital of France is", "max_tokens": 16}'
