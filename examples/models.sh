#!/bin/sh
# Which models the server has.
curl -sS --fail "${CRIA_URL:-http://127.0.0.1:3000}/v1/models" \
  -H "Authorization: Bearer ${CRIA_API_KEY:-none}"
