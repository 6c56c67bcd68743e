"""`POST /v1/responses`: the request, its conversation, and the answer as items and as events.

Everything here is data in, data out: what is kept is `cria.answer_store`'s, what is
sent the server's.
"""
