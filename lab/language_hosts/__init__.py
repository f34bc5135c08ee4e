"""Language hosts: what the engine starts to run a program."""
