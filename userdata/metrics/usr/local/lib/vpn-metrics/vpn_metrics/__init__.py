"""Publishes the state of a gateway and of its tunnels to Amazon CloudWatch, once a minute.

/etc/vpn-gateway/metrics.json says where to, and gateway.json says which tunnels there are.
"""
