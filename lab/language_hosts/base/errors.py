"""Errors that a language host reports to the user."""


class EnvironmentUnusableError(Exception):
    """A program, its options or its environment cannot be used; the message is for the user."""
