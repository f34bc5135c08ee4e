"""The lab's own network and machines, without Pulumi.

Proves: that the lab enforces what AWS enforces, with real packets. Does not prove: that AWS does. Command:
`make test-lab`. By hand: `make lab-down`.
"""

from lab.tests.own_machine import machine

__all__ = ["machine"]
"""The fixture is used by every test of the folder."""
