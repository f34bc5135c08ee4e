"""Stand-in for the resource plugin `random`: bytes, ids, passwords and strings from the kernel's generator.

A change of any input, including `keepers`, replaces the resource. Nothing changes in place.
"""
