"""The engine process: token ids in, token ids out. It knows no text, no HTTP and no gevent.

Only `model_runner` may import `cria.native`; `scheduler`, `sequence` and `slots` are pure Python.
"""
