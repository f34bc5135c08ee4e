"""Changes the files of a running gateway, and reloads only what a change needs.

Works on Libreswan 4.10 to 5.4 with the standard library of Python 3.11 and newer.
"""
