#!/bin/sh
# An answer by Anthropic's API.
curl -sS --fail "${CRIA_URL:-http://127.0.0.1:3000}/v1/messages" \
  -H "x-api-key: ${CRIA_API_KEY:-none}" \
  -H "anthropic-version: 2023-06-01" \
  -H "Content-Type: application/json" \
  -d '{
    "model": "smollm2",
    "system": "You answer in one short sentence.",
    "messages": [{"role": "user", "content": "What is gravity?"}],
    "max_tokens": 48
  }'
