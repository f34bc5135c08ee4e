"""Reorders the output of a failed `pulumi` for reading."""

import re


def causes_last(output: str) -> str:
    """Put the program's traceback before the resources' messages, because often only the end of a long log is kept."""
    before, heading, diagnostics = output.partition("Diagnostics:\n")
    entries = re.split(r"^(?=  \S)", diagnostics, flags=re.M)
    return before + heading + "".join(sorted(entries, key=lambda entry: not entry.startswith("  pulumi:pulumi:Stack")))
