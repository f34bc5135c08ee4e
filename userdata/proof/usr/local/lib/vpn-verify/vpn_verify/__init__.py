"""Reports, layer by layer, whether this gateway and its tunnels carry packets, and what to do where they do not.

Works on Libreswan 4.10 to 5.4 with the standard library of Python 3.11 and newer.
"""
