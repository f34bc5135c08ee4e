"""Stand-in for the resource plugin `tls`: private keys, and the public half of any key. No certificates."""
