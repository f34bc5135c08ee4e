"""Language hosts: the processes through which the engine runs programs, one per language."""
