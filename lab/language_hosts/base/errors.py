"""What a language host tells the user."""


class EnvironmentUnusableError(Exception):
    """A program, its options or what it runs in cannot be used; the message is for the user."""
