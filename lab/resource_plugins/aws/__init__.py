"""Stand-in for `pulumi-resource-aws`: what this project uses of it, over AWS's own API (real or emulated)."""
