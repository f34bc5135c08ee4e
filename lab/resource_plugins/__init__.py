"""Stand-ins for Pulumi plugins that cannot be downloaded where there is no Internet."""
