"""The base of all language hosts."""
