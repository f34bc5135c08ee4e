"""Pulumi's engine: the user's own where it is complete, otherwise built from the Go modules in `pulumi/`."""
