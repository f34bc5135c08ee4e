"""Lets a gateway install security updates in its window, and finishes them.

Needs nothing but the standard library of Python 3.11 and newer, and its own copies of modules of vpn-gateway.
"""
