"""Pulumi's engine: a complete real installation on this machine, otherwise built from the Go modules in `pulumi/`."""
