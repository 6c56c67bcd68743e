#!/bin/sh
# One of several answers, and nothing else.
curl -sS --fail "${CRIA_URL:-http://127.0.0.1:3000}/v1/chat/completions" \
  -H "Authorization: Bearer ${CRIA_API_KEY:-none}" \
  -H "Content-Type: application/json" \
  -d '{
    "model": "smollm2",
    "messages": [{"role": "user", "content": "Is the sun a star?"}],
    "guided_choice": ["yes", "no"]
  }'
