"""Stand-in for the resource plugin `random`: bytes, ids, passwords and strings from the kernel's generator.

Every input replaces, `keepers` among them, so nothing generated ever changes in place.
"""
