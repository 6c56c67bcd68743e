"""Anthropic's Messages API as types: what it asks becomes a chat request, what comes of that its
answer, whole or as events.
"""
