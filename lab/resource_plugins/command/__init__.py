"""Stand-in for the resource plugin `command` 1.2.1: commands on this machine and, through SSH, on others.

`CopyToRemote`, `CopyFile` and the function `local.run` are not supported and are refused with their names.
"""
