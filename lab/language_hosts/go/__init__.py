"""The Go language host."""
