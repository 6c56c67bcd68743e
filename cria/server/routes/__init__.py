"""One blueprint per resource; a view decodes, starts, and hands over to `answers`.

A view never waits for tokens itself, and no view touches the socket.
"""
