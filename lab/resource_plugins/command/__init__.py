"""Stand-in for the resource plugin `command` 1.2.1: commands on this machine and, by SSH, on others.

`CopyToRemote` and `CopyFile` are not there; the engine says so by name.
"""
