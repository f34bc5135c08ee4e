"""What runs on a gateway: one cloud-init document, rendered from decisions made elsewhere. Text in, text out."""

from .encode import encode_user_data
from .render import Connection, GatewayDocument, Peer, SecretsInline, SecretsInSsm, render_user_data

__all__ = [
    "Connection",
    "GatewayDocument",
    "Peer",
    "SecretsInSsm",
    "SecretsInline",
    "encode_user_data",
    "render_user_data",
]
