"""A consumer's project with machines, in the whole lab.

Proves: that the component works in other people's programs. Does not prove: AWS itself. Command: `make test-lab`. By
hand: `make lab-down`.
"""

from lab.tests.own_machine import machine

__all__ = ["machine"]
"""The fixture is used by every test of the folder."""
