"""Stand-in for the resource plugin `tls`: private keys and public keys, but no certificates."""
