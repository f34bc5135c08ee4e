"""The YAML language host."""
