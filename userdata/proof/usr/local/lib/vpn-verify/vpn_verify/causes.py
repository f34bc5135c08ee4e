"""Why a negotiation failed, from pluto's log."""

import re
from collections.abc import Sequence

Causes = Sequence[tuple[str, str]]

IKE_CAUSES: Causes = [
    (r"Peer ID .* mismatched", "the peer's identity is another"),
    (r"PPK_ID not found and|not support PPK", "no postquantum pre-shared key in common"),
    (r"ignored received PPK_IDENTITY", "the peer insists on a postquantum pre-shared key"),
    (r"computed hash does not match|mismatch of preshared secrets", "the pre-shared keys differ"),
    (r"AUTHENTICATION_FAILED|MAIN_I3: retrans", "the pre-shared keys differ, or else the identities"),
    (r"INVALID_ID_INFORMATION", "the peer expects another identity"),
    (
        r"NO_PROPOSAL_CHOSEN|no suitable connection|no connection has been auth|ignoring IKEv1|MAIN_I1: retrans",
        "no common version or proposal: the profiles differ",
    ),
]
"""Pattern for pluto's log -> cause, the surest first; as Libreswan 4.10 and 5.2 were seen to log them."""

POLICY_CAUSES: Causes = [
    (r"TS_UNACCEPTABLE|Traffic Selectors|INVALID_ID|no connection is known|match my proposal", "the networks differ"),
    (r"NO_PROPOSAL_CHOSEN|no acceptable Proposal", "no common ESP proposal: the profiles differ"),
]
"""The same where an IKE SA stands, and the gateways cannot agree on what to carry."""

KEY_CAUSES: Causes = [
    (r"no PSK found", "pluto has read no key for this connection"),
    (r"AUTHENTICATION_FAILED", "the pre-shared keys differ, or else the peer has not run vpn-configure"),
]
"""The same where the connection is the one that proves the key: its identities cannot differ."""


def cause(connection: str, public_ip: str, causes: Causes, log: str) -> str:
    """Return why the newest negotiation failed, with pluto's line; nothing when its log does not tell.

    Only lines since pluto last started count, and of these only lines that name the connection or come from the peer's
    address. If the peer's refusal leaves several causes open (`or else`), the result is what this side has refused
    since it last established an IKE SA, if it has refused anything.
    """
    ours = f'"{connection}"', f'"{connection}/', f"packet from {public_ip}:"
    lines = [line for line in log.rpartition("Starting Pluto")[2].splitlines() if any(own in line for own in ours)]
    open_cause = ""
    for newest in reversed(lines):
        if open_cause and "established IKE SA" in newest:
            break
        if any(re.search(pattern, newest) for pattern, _ in causes):
            number = re.search(r"#\d+:", newest)
            negotiation = [line for line in lines if number[0] in line] if number else [newest]
            matches = [(words, line) for pattern, words in causes for line in negotiation if re.search(pattern, line)]
            found = f"{matches[0][0]} ({matches[0][1][:200]})"
            if "or else" not in matches[0][0]:
                return found
            open_cause = open_cause or found
            causes = causes[: [words for _, words in causes].index(matches[0][0])]
    return open_cause
