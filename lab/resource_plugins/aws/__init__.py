"""Stand-in for the resource plugin `aws`, as far as this project needs it, on AWS's own API (real or emulated)."""
