"""The AWS resources of one site, and the hooks that check a change before the engine makes it."""
