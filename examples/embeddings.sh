#!/bin/sh
# The vectors of two texts.
curl -sS --fail "${CRIA_URL:-http://127.0.0.1:3000}/v1/embeddings" \
  -H "Authorization: Bearer ${CRIA_API_KEY:-none}" \
  -d '{"model": "smollm2", "input": ["A man is eating food.", "A man is eating bread."]}'
