"""Why a run of `vpn-configure` ends without success."""


class ConfigureError(Exception):
    """The gateway is not as desired; the message says why and what to do."""
