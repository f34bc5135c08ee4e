"""What can go wrong with the engine."""


class EngineError(Exception):
    """There is no usable engine; the message is one line with the remedy."""
