"""What a failed `pulumi` has printed, in the order in which it is best read."""

import re


def causes_last(output: str) -> str:
    """Put the program's traceback before what resources say: of a long log often only the end is kept."""
    before, heading, diagnostics = output.partition("Diagnostics:\n")
    entries = re.split(r"^(?=  \S)", diagnostics, flags=re.M)
    return before + heading + "".join(sorted(entries, key=lambda entry: not entry.startswith("  pulumi:pulumi:Stack")))
