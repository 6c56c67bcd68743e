"""The soak: a server under load for minutes, while things around it break; `docs/soak.md`."""
