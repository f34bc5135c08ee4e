"""Stand-ins for the Pulumi resource plugins that no package registry has."""
