"""The layer `key`: a fresh authentication with the pre-shared keys, beside the tunnel.

An IKEv2 rekey does not authenticate, so the tunnel outlives a key that one side alone has changed. The connection
`key/uk-to-au` has other identities than the tunnel, so pluto makes an IKE SA of its own for it, with the key that it
has read last. No packet belongs to that connection, so the tunnel notices neither its begin nor its end.

The peer may look at the same time. Each side ends all SAs of the connection when it is done, also those of the other,
so a look tries several times. Each try needs an IKE SA that it has begun itself: one that stands already may be older
than the key. pluto would only add a Child SA to it, so its end is waited for.
"""

import re
import subprocess
import time

from pluto import WHACK, whack
from vpn_verify.causes import KEY_CAUSES, cause
from vpn_verify.layer import LayerError

TRIES = 3
SECONDS = 6
"""For one try. An answer takes two round trips, and the arithmetic of a small machine."""
PATIENCE = 8
"""Quarters of a second for the peer's look to end by itself."""


def key(name: str, public_ip: str, *, ike_version: int, secret: str, status: str, postquantum: bool) -> str:
    """Check that the peer authenticates itself with our pre-shared key now, and we ourselves with its key.

    With `postquantum`, the same for the postquantum key. `name` is the tunnel's connection, `secret` the text of its
    secrets file, and `status` is `whack --status`.
    """
    if ike_version == 1:
        return "not tried with IKEv1: every rekey of the IKE SA authenticates"
    own = f"key/{name}"
    if f'"{own}"' not in status:
        return f"not tried: {own} is not loaded"
    if " @key." not in secret:
        return f"not tried: the secret of {name} is not for {own}: sudo vpn-secrets --fresh"
    said = ""
    for _ in range(TRIES):
        leave(own)
        try:
            said = negotiate(own)
        finally:
            # With a wrong key, Libreswan 5.2 tries once more by itself after this, within seconds or minutes.
            whack("--terminate", "--name", own, seconds=2)
        if authenticated(own, said):
            if postquantum and "PPK AUTH calculated" not in said:
                raise LayerError(f"{public_ip} has authenticated itself without the postquantum key")
            return f"{public_ip} has authenticated itself with the same key{'s' if postquantum else ''}"
        if why := cause(own, public_ip, KEY_CAUSES, said):
            raise LayerError(why)
    raise LayerError(f"{public_ip} has not authenticated itself: {said.splitlines()[-1:]}")


def leave(connection: str) -> None:
    """Wait until nothing stands of the connection; end what stays, which a look has left that was killed."""
    for _ in range(PATIENCE):
        if f'"{connection}"' not in (whack("--showstates") or ""):
            return
        time.sleep(0.25)
    whack("--terminate", "--name", connection, seconds=2)


def negotiate(connection: str) -> str:
    """Return what pluto says of a negotiation, until its end or for so many seconds."""
    command = [WHACK, "--initiate", "--name", connection]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        return (error.stdout or b"").decode(errors="replace")
    return (done.stdout + done.stderr).decode(errors="replace")


def authenticated(connection: str, said: str) -> bool:
    """Return whether an IKE SA of the connection was begun and authenticated on both sides."""
    return bool(re.search(rf'"{re.escape(connection)}" #\d+: initiator established IKE SA; authenticated', said))
