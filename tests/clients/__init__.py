"""Programs that people point at an OpenAI server, against the real server and the real model.

They need packages of their own, which `requirements.txt`, `requirements-no-deps.txt` and
`node/package.json` name, so that nothing here is collected unless it is asked for:
`pytest -m clients tests/clients`. Then nothing is skipped either: what is missing is an error.
"""
