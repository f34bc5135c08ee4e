"""The error that lists every problem with the settings."""

from collections.abc import Sequence

import pulumi

from ..decisions.problems import Problem


class SettingsError(pulumi.RunError):
    """The settings break rules; nothing is created. The message has one line for each problem."""

    def __init__(self, subject: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = "1 setting is" if len(problems) == 1 else f"{len(problems)} settings are"
        super().__init__("\n".join([f"{subject}: {count} wrong:", *(f"  - {problem}" for problem in problems)]))
