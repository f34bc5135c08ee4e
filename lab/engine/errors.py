"""Errors of the engine package."""


class EngineError(Exception):
    """The engine, or a tool that it needs, cannot be provided; the message is one line with the remedy."""
