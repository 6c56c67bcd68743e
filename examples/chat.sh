#!/bin/sh
# An answer in a conversation.
curl -sS --fail "${CRIA_URL:-http://127.0.0.1:3000}/v1/chat/completions" \
  -H "Authorization: Bearer ${CRIA_API_KEY:-none}" \
  -H "Content-Type: application/json" \
  -d '{
    "model": "smollm2",
    "messages": [
      {"role": "system", "content": "You answer in one short sentence."},
      {"role": "user", "content": "What is gravity?"}
    ],
    "max_tokens": 48
  }'
