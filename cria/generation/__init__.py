"""Where a request meets an engine: the only package that knows both sides.

May not import `cria.engine` (it starts that as a process), flask or gevent.
"""
