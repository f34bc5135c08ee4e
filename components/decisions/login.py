"""Whether running gateways admit the key that a deployment logs in with, and no others than they should."""

from collections.abc import Sequence

from .problems import SECRET, Problem


def lockout_refusal(gateway: str, instance_urn: str, *, admitted: Sequence[str], login_key: str | None) -> str:
    """Return why a running gateway would refuse the login with another key; empty if it admits that key.

    `admitted` are the public keys that it admits. `login_key` is the public part of the other key, None if that is not
    known yet. `instance_urn` is that of the gateway's instance.
    """
    if login_key in admitted:
        return ""
    rule = f"is not a key that {gateway} admits now, so nothing could log in to change it"
    remedy = (
        "keep the former key, run `pulumi up` with the public part of the new one in `ssh_authorized_keys`, and then "
        "make this change; or replace every gateway that has the former key in one command, this one by: pulumi up "
        f"--replace '{instance_urn}'"
    )
    return str(Problem(setting="ssh_private_key", value=SECRET, rule=rule, remedy=remedy))


def last_login_refusal(gateway: str, *, admitted: Sequence[str], login_key: str | None) -> str:
    """Return why a gateway has to be changed in place a last time; empty if it admits `login_key` alone."""
    if not {*admitted} - {login_key}:
        return ""
    rule = f"still log in to {gateway}, and without a login nothing could take them off its list"
    remedy = "leave `ssh_authorized_keys` out, and run `pulumi up` before the login is switched off"
    return str(Problem(setting="ssh_authorized_keys", value="…", rule=rule, remedy=remedy))
