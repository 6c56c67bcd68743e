"""The steps of `build_native.py`, which alone imports them; cria never does.

1. Standard library only: this runs on a bare Python, before anything is installed.
2. Imports go one way, from `build` down to `errors`; there are no cycles.
3. A failure that a user can cause or repair is a BuildError: one sentence, never a traceback.
"""
