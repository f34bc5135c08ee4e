"""strongSwan as a gateway's peer, from the bottom up.

`confined` runs a program in a separate tree, `tree` has strongSwan's programs, `configuration` writes its files and
reads its SAs. `peer` is the running strongSwan, `substitute` puts it in place of a gateway, and `tunnel` connects it to
the other gateway and checks the tunnel.
"""
